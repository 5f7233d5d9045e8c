// SPDX-License-Identifier: Apache-2.0

package configs

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
)

// Describe writes what a daemon with this configuration would run, for people, and then the effective values as TOML.
func (c *Config) Describe(w io.Writer) error {
	var b bytes.Buffer
	for _, part := range []struct {
		title string
		lines []string
	}{
		{"Sources", c.describeSources()},
		{"Selection", c.describeSelection()},
		{"Steering", c.describeSteering()},
		{"Holdover", []string{fmt.Sprintf("unsynchronised when the maximum error passes %s, or after %s without a source",
			formatSpan(c.Holdover.Limit), formatSpan(c.Holdover.MaxAge))}},
		{"UTC", c.describeUTC()},
		{"Services", c.describeServices()},
	} {
		for i, line := range part.lines {
			if i > 0 {
				part.title = ""
			}
			fmt.Fprintf(&b, "%-10s %s\n", part.title, line)
		}
	}
	b.WriteString("\nEffective values:\n\n")
	c.toml(&b)
	return write(w, &b, "description of the configuration")
}

// WriteTOML writes all values as a configuration file that Parse reads as the same Config.
func (c *Config) WriteTOML(w io.Writer) error {
	var b bytes.Buffer
	c.toml(&b)
	return write(w, &b, "configuration")
}

func write(w io.Writer, b *bytes.Buffer, what string) error {
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write %s: %w", what, err)
	}
	return nil
}

func (c *Config) describeSources() []string {
	if !c.HasSources() {
		return []string{"none given: a PTP port on each interface with a PHC, and the distribution's NTP pool"}
	}
	var lines []string
	if c.Discovered {
		lines = append(lines, "none given, so those that this host has:")
	}
	if c.Discovered && len(c.PTP.Ports) == 0 {
		lines = append(lines, "no PTP port, since no interface has a hardware clock")
	}
	for _, p := range c.PTP.Ports {
		lines = append(lines, p.describe())
	}
	if c.Discovered && len(c.PTP.Ports) > 0 {
		lines = append(lines, Unconfigured)
	}
	for _, s := range c.NTP.Servers {
		lines = append(lines, "NTP server "+s.Address+s.Association.describe())
	}
	for _, p := range c.NTP.Pools {
		lines = append(lines, fmt.Sprintf("NTP pool %s, %d servers%s", p.Name, p.Count, p.Association.describe()))
	}
	return lines
}

func (p Port) describe() string {
	carrier := map[Transport]string{UDP4: "UDP/IPv4", UDP6: "UDP/IPv6", L2: "Ethernet"}[p.Transport]
	if p.Transport != L2 && (p.EventPort != 319 || p.GeneralPort != 320) {
		carrier += fmt.Sprintf(" ports %d and %d", p.EventPort, p.GeneralPort)
	}
	stamps := map[Timestamping]string{
		AutoTimestamping:     "hardware timestamps if the NIC has them, else the kernel's",
		HardwareTimestamping: "hardware timestamps",
		KernelTimestamping:   "kernel timestamps",
	}[p.Timestamping]
	s := fmt.Sprintf("PTP port %s, %s, domain %d, %s, asks for the delay every %s", p.Interface, carrier, p.Domain, stamps,
		formatSpan(p.DelayRequestInterval))
	for _, correction := range []struct {
		name string
		d    time.Duration
	}{{"delay asymmetry", p.DelayAsymmetry}, {"ingress latency", p.IngressLatency}, {"egress latency", p.EgressLatency}} {
		if correction.d != 0 {
			s += ", " + correction.name + " " + formatSpan(correction.d)
		}
	}
	if len(p.Masters) > 0 {
		s += ", of the masters " + strings.Join(p.Masters, ", ")
	}
	return s + p.Preference.describe()
}

func (p Preference) describe() string {
	s := ""
	if p.Prefer {
		s += ", preferred"
	}
	if p.Trust {
		s += ", trusted"
	}
	if p.NoSelect {
		s += ", only watched"
	}
	return s
}

func (a Association) describe() string {
	s := ""
	if a.Port != 123 {
		s += fmt.Sprintf(" port %d", a.Port)
	}
	if a.Interface != "" {
		s += " through " + a.Interface
	}
	s += fmt.Sprintf(", asked every %s to %s", formatSpan(a.MinPoll), formatSpan(a.MaxPoll))
	if a.Burst {
		s += ", quickly at first"
	}
	return s + a.Preference.describe()
}

func (c *Config) describeSelection() []string {
	s := c.Selection
	who := "follows any kind alike"
	if len(s.PreferKinds) > 0 {
		who = "follows " + strings.Join(s.PreferKinds, " before ")
	}
	return []string{fmt.Sprintf("%s, among sources that tell the truth (at least %d) and may be wrong by at most %s", who,
		s.MinSources, formatSpan(s.MaxDistance))}
}

func (c *Config) describeSteering() []string {
	s := c.Steering
	var clocks []string
	switch s.SystemClock {
	case RealSystemClock:
		clocks = append(clocks, "the system clock")
	case VirtualSystemClock:
		clocks = append(clocks, fmt.Sprintf("a virtual clock that starts %s and %s ppb off",
			formatSpan(s.Virtual.Offset), decimal(s.Virtual.Frequency)))
	}
	if s.PHC {
		clocks = append(clocks, "the hardware clocks of the NICs in use")
	}
	if clocks == nil {
		return []string{"no clock, the sources are only watched"}
	}
	slew := fmt.Sprintf("slews by at most %s per second", formatSpan(s.MaxSlew))
	steps := map[StepPolicy]string{
		StepFirst: "steps a clock that is off by more than " + formatSpan(s.StepThreshold) +
			", until it is locked for the first time",
		StepNever:  "never steps",
		StepAlways: "steps a clock whenever it is off by more than " + formatSpan(s.StepThreshold),
	}[s.Step]
	return []string{
		strings.Join(clocks, " and ") + ", by the " + string(s.Servo) + " servo",
		steps + ", " + slew,
		"stops if a clock that was locked is off by more than " + formatSpan(s.PanicThreshold),
	}
}

func (c *Config) describeUTC() []string {
	origins := []string{"from the sources"}
	if c.UTC.LeapSecondsList != "" {
		origins = append(origins, "else from "+c.UTC.LeapSecondsList)
	}
	if c.UTC.Offset != 0 {
		origins = append(origins, fmt.Sprintf("else TAI - UTC = %d s", c.UTC.Offset))
	}
	return []string{strings.Join(origins, ", ")}
}

func (c *Config) describeServices() []string {
	or := func(s, none string) string {
		if s == "" {
			return none
		}
		return s
	}
	control := "no control socket"
	if c.Control.Socket != "" {
		control = fmt.Sprintf("control socket %s (%04o)", c.Control.Socket, c.Control.Mode)
	}
	metrics := "no metrics"
	if c.Metrics.Listen != "" {
		metrics = "metrics on http://" + c.Metrics.Listen + "/metrics"
	}
	return []string{
		control + ", " + metrics,
		fmt.Sprintf("logs %s and above as %s, state file %s", c.Log.Level, c.Log.Format, or(c.StateFile, "none")),
	}
}

// toml writes all values as a configuration file.
func (c *Config) toml(b *bytes.Buffer) {
	writeSection(b, schema(), reflect.ValueOf(c).Elem())
}

func writeSection(b *bytes.Buffer, s section, v reflect.Value) {
	if s.path != "" && len(s.keys) > 0 {
		fmt.Fprintf(b, "\n%s\n", s.header())
	}
	for _, k := range s.keys {
		fmt.Fprintf(b, "%s = %s\n", k.name, k.rule.show(v.FieldByIndex(k.index)))
	}
	for _, sub := range s.subs {
		field := v.FieldByIndex(sub.index)
		if !sub.list {
			writeSection(b, sub, field)
			continue
		}
		for i := range field.Len() {
			writeSection(b, sub, field.Index(i))
		}
	}
}
