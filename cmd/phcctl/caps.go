// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/phc"
)

// methodInfo is how one method of comparing does.
type methodInfo struct {
	Method string        `json:"method"`
	Works  bool          `json:"works"`
	Window time.Duration `json:"window_ns"`
	Error  string        `json:"error,omitempty"`
}

func methods(d *phc.Device) (infos []methodInfo) {
	for _, p := range d.ProbeMethods() {
		m := methodInfo{Method: p.Method.String(), Works: p.Err == nil, Window: p.Window}
		if p.Err != nil {
			m.Error = p.Err.Error()
		}
		infos = append(infos, m)
	}
	return infos
}

// capsInfo is all that a clock can do.
type capsInfo struct {
	Device     string        `json:"device"`
	Driver     string        `json:"driver"`
	Resolution time.Duration `json:"resolution_ns"`
	phc.Caps
	Methods []methodInfo `json:"methods"`
	// VirtualClocks is nil where there can be none.
	VirtualClocks *vclockInfo `json:"virtual_clocks,omitempty"`
}

func (c *capsInfo) text(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { fmt.Fprintf(t, "  %s\t%v\n", name, value) }
	fmt.Fprintf(t, "%s (%s)\n", c.Device, c.Driver)
	row("resolution", c.Resolution)
	row("maximum frequency adjustment", fmt.Sprintf("±%d ppb", c.MaxAdjust))
	row("programmable alarms", c.Alarms)
	row("programmable pins", c.Pins)
	row("external timestamp channels", c.ExtTS)
	row("periodic outputs", c.PerOut)
	row("pulse per second", yesNo(c.PPS))
	row("cross timestamping", yesNo(c.CrossTimestamp))
	phase := yesNo(c.AdjustPhase)
	if c.MaxPhase > 0 {
		phase += fmt.Sprintf(", up to ±%d ns", c.MaxPhase)
	}
	row("phase adjustment", phase)
	for _, m := range c.Methods {
		switch {
		case !m.Works:
			row("compare by "+m.Method, "no")
		case m.Window > 0:
			row("compare by "+m.Method, fmt.Sprintf("window %v", m.Window))
		default:
			row("compare by "+m.Method, "yes")
		}
	}
	if c.VirtualClocks != nil {
		row("virtual clocks", fmt.Sprintf("%d of %d", c.VirtualClocks.Count, c.VirtualClocks.Max))
	}
	t.Flush()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func capabilities(_ context.Context, _ *app, d *phc.Device, _ []string) (result, error) {
	c := &capsInfo{Device: d.Name(), Driver: d.Driver(), Caps: d.Caps(), Methods: methods(d)}
	var err error
	if c.Resolution, err = d.Resolution(); err != nil {
		return nil, err
	}
	if n, limit, err := d.VirtualClocks(); err == nil {
		c.VirtualClocks = &vclockInfo{Device: d.Name(), Driver: d.Driver(), Count: n, Max: limit}
	}
	return c, nil
}

// clockInfo is one clock of the host.
type clockInfo struct {
	phc.Info
	Links []linkInfo `json:"links"`
	// Caps and the rest are nil, and Error says why, if the device could not be opened.
	Caps      *phc.Caps    `json:"caps,omitempty"`
	Methods   []methodInfo `json:"methods,omitempty"`
	Frequency *float64     `json:"frequency_ppb,omitempty"`
	Offset    *offset      `json:"offset,omitempty"`
	Resolve   int64        `json:"resolution_ns,omitempty"`
	Holders   []phc.Holder `json:"holders"`
	Error     string       `json:"error,omitempty"`
}

// linkInfo is an interface of the clock's NIC.
type linkInfo struct {
	Interface string `json:"interface"`
	Up        bool   `json:"up"`
	Speed     int    `json:"speed_mbit"`
}

func (l linkInfo) String() string {
	switch {
	case !l.Up:
		return l.Interface + " down"
	case l.Speed == 0:
		return l.Interface + " up"
	case l.Speed%1000 == 0:
		return fmt.Sprintf("%s %dG", l.Interface, l.Speed/1000)
	}
	return fmt.Sprintf("%s %dM", l.Interface, l.Speed)
}

// clockList is all clocks of the host; Reason says why there are none.
type clockList struct {
	Clocks []clockInfo `json:"clocks"`
	Reason string      `json:"reason,omitempty"`
}

func (l *clockList) text(w io.Writer) {
	if len(l.Clocks) == 0 {
		fmt.Fprintf(w, "no PTP hardware clock: %s\n", l.Reason)
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "DEVICE\tDRIVER\tNAME\tINTERFACES\tRES\tMAX ADJ\tPINS\tEXTTS\tPEROUT\tPPS\tCOMPARE\tFREQUENCY\tOFFSET\tHELD BY\tVCLOCKS")
	for _, c := range l.Clocks {
		c.row(t)
	}
	t.Flush()
	for _, c := range l.Clocks {
		if c.Error != "" {
			fmt.Fprintln(w, c.Error)
		}
	}
}

func (c *clockInfo) row(w io.Writer) {
	driver := c.Driver
	if c.ClockName != c.Driver {
		driver += " (" + c.ClockName + ")"
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t", c.Device, driver, orDash(c.Bus), orDash(join(c.Links)))
	if c.Caps == nil {
		fmt.Fprint(w, "?\t?\t?\t?\t?\t?\t?\t?\t?\t")
	} else {
		var works []string
		for _, m := range c.Methods {
			if m.Works && m.Window > 0 {
				works = append(works, fmt.Sprintf("%s %s", m.Method, m.Window))
			} else if m.Works {
				works = append(works, m.Method)
			}
		}
		frequency, offset := "?", "?"
		if c.Frequency != nil {
			frequency = ppb(*c.Frequency)
		}
		if c.Offset != nil {
			offset = signed(c.Offset.Error)
			if c.Offset.Scale == clock.TAI.String() {
				offset += " TAI"
			}
		}
		fmt.Fprintf(w, "%d ns\t%d ppm\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t", c.Resolve, c.Caps.MaxAdjust/1000, c.Caps.Pins, c.Caps.ExtTS, c.Caps.PerOut,
			yesNo(c.Caps.PPS), orDash(strings.Join(works, ", ")), frequency, offset)
	}
	var held []string
	for _, h := range c.Holders {
		held = append(held, fmt.Sprintf("%s[%d]", h.Command, h.PID))
	}
	virtual := "-"
	switch {
	case c.Parent >= 0:
		virtual = fmt.Sprintf("of ptp%d", c.Parent)
	case c.MaxVirtualClocks > 0:
		virtual = fmt.Sprintf("%d", c.VirtualClocks)
	}
	fmt.Fprintf(w, "%s\t%s\n", orDash(strings.Join(held, " ")), virtual)
}

func join(links []linkInfo) string {
	var parts []string
	for _, l := range links {
		parts = append(parts, l.String())
	}
	return strings.Join(parts, ", ")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// listClocks looks at every clock. That there are none is no error: the reason is told.
func (a *app) listClocks() (*clockList, error) {
	l := &clockList{Clocks: []clockInfo{}}
	infos, err := a.list()
	if errors.Is(err, phc.ErrNotPHC) {
		l.Reason = "the kernel has no support for them (CONFIG_PTP_1588_CLOCK, module ptp), or /sys is not mounted"
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	nics, nicErr := a.discover()
	for _, i := range infos {
		l.Clocks = append(l.Clocks, a.look(i, nics))
	}
	if len(infos) > 0 {
		return l, nil
	}
	l.Reason = "the kernel has PTP support, but no driver has registered a clock"
	if nicErr != nil {
		return l, nil
	}
	var drivers []string
	for _, n := range nics {
		drivers = append(drivers, fmt.Sprintf("%s (%s)", n.Interface, orDash(n.Driver)))
	}
	if len(drivers) > 0 {
		l.Reason += "; interfaces: " + strings.Join(drivers, ", ")
	}
	return l, nil
}

// look opens one clock and asks it what it is.
func (a *app) look(i phc.Info, nics []hwts.Capabilities) clockInfo {
	c := clockInfo{Info: i, Links: []linkInfo{}, Holders: []phc.Holder{}}
	if c.Interfaces == nil {
		c.Interfaces = []string{} // for JSON
	}
	for _, n := range nics {
		if n.PHC == i.Index {
			c.Links = append(c.Links, linkInfo{n.Interface, n.Up, n.Speed})
		}
	}
	if h, err := a.holders(i.Index); err == nil && h != nil {
		c.Holders = h
	}
	d, err := a.open(i.Device)
	if err != nil {
		c.Error = err.Error()
		return c
	}
	defer d.Close()
	caps := d.Caps()
	c.Caps, c.Methods = &caps, methods(d)
	if r, err := d.Resolution(); err == nil {
		c.Resolve = int64(r)
	}
	if f, err := d.Frequency(); err == nil {
		c.Frequency = &f
	}
	if o, err := a.measure(d, readings); err == nil {
		c.Offset = &o
	} else {
		c.Error = err.Error()
	}
	return c
}
