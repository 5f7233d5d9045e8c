// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	ntpwire "github.com/lockstep-time/lockstep/ntp/wire"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	ptpwire "github.com/lockstep-time/lockstep/ptp/wire"
	"github.com/lockstep-time/lockstep/sim"
)

// target is what a change happens to, and the keys that apply to it.
type target struct {
	kind, pattern string
	names         []string
	keys          []string
}

func (c *change) targets(s *Scenario) (list []target) {
	announced := []string{"priority1", "priority2", "clock_class", "clock_accuracy", "steps_removed",
		"announced_utc_offset", "utc_offset_valid", "ptp_timescale", "silent", "follow_up_delay"}
	answered := []string{"stratum", "root_delay", "root_dispersion", "dead", "kiss", "min_interval"}
	lies := []string{"shift", "drift", "leap"}
	for _, t := range []target{
		{"link", c.Link, s.linkNames(), []string{"cut", "loss", "extend", "extend_there", "extend_back"}},
		{"grandmaster", c.Grandmaster, nil, slices.Concat(lies, announced)},
		{"server", c.Server, nil, slices.Concat(lies, answered)},
		{"host", c.Host, s.HostNames(), []string{"daemon", "clock", "step", "interface", "up"}},
	} {
		switch t.kind {
		case "grandmaster":
			for _, g := range s.Grandmasters {
				t.names = append(t.names, g.Name)
			}
		case "server":
			for _, v := range s.Servers {
				t.names = append(t.names, v.Name)
			}
		}
		if t.pattern != "" {
			list = append(list, t)
		}
	}
	return list
}

func (s *Scenario) linkNames() (names []string) {
	for _, l := range s.Links {
		names = append(names, l.Name)
	}
	return names
}

// event checks a change: that it happens to one thing that is there, and says what of that changes.
func (c *checker) event(i int, e *change) {
	at := fmt.Sprintf("event[%d]", i)
	c.within(at+".at", e.At, 0, c.scenario.Duration.d)
	targets := e.targets(c.scenario)
	if !c.must(len(targets) == 1, at, fmt.Sprintf("it happens to %d things", len(targets)),
		"one of link, grandmaster, server, host") {
		return
	}
	t := targets[0]
	c.must(len(matching(t.pattern, t.names)) > 0, at+"."+t.kind, fmt.Sprintf("there is no %s %q", t.kind, clip(t.pattern)),
		strings.Join(t.names, " "))
	changes := 0
	for key := range c.lines {
		name, ok := strings.CutPrefix(key, at+".")
		if !ok || name == "at" || name == t.kind {
			continue
		}
		changes++
		c.must(slices.Contains(t.keys, name), key, "that is nothing of a "+t.kind, strings.Join(t.keys, " "))
	}
	c.must(changes > 0, at, "nothing changes", strings.Join(t.keys, " "))
	c.announcement(at, &e.announcement)
	c.answers(at, &e.answers)
	c.changeValues(at, e)
	if e.Host != "" {
		c.hostChange(at, e)
	}
}

// changeValues checks the numbers of a change.
func (c *checker) changeValues(at string, e *change) {
	if e.LossNow != nil {
		probability(c, at+".loss", *e.LossNow)
	}
	if e.Drift != nil {
		c.must(*e.Drift >= -1e9 && *e.Drift <= 1e9, at+".drift", fmt.Sprint(*e.Drift), "-1e9 to 1e9 ppb")
	}
	for _, x := range []struct {
		key  string
		d    *span
		most time.Duration
	}{{"extend", e.Extend, maxDelay}, {"extend_there", e.ExtendThere, maxDelay}, {"extend_back", e.ExtendBack, maxDelay},
		{"shift", e.Shift, maxSpan / 2}, {"step", e.Step, maxSpan}} {
		if x.d != nil {
			c.within(at+"."+x.key, *x.d, -x.most, x.most)
		}
	}
}

// hostChange checks a change of hosts: that what it is about is there.
func (c *checker) hostChange(at string, e *change) {
	c.must(e.Daemon == "" || e.Daemon == "kill" || e.Daemon == "start", at+".daemon", fmt.Sprintf("%q",
		clip(e.Daemon)), "kill start")
	c.must((e.Step == nil) == (e.Clock.ID == 0), at+".step", "step and clock belong together", "both")
	c.must((e.Up == nil) == (e.Interface == ""), at+".up", "up and interface belong together", "both")
	c.hasClock(at, e.Host, e.Clock.ID)
	var interfaces []string
	for i := range c.scenario.Hosts {
		h := &c.scenario.Hosts[i]
		if len(matching(e.Host, h.names())) > 0 && h.parsed != nil {
			for _, p := range h.parsed.PTP.Ports {
				interfaces = append(interfaces, p.Interface)
			}
		}
	}
	c.must(e.Interface == "" || slices.Contains(interfaces, e.Interface), at+".interface",
		fmt.Sprintf("there is no PTP port on %q", clip(e.Interface)), strings.Join(interfaces, " "))
}

// hasClock checks that all hosts of a pattern have a clock.
func (c *checker) hasClock(at, pattern string, id clock.ID) {
	index, isPHC := id.PHCIndex()
	for i := range c.scenario.Hosts {
		h := &c.scenario.Hosts[i]
		if isPHC && len(matching(pattern, h.names())) > 0 {
			c.must(index < len(h.PHCs), at+".clock", fmt.Sprintf("%s has no ptp%d", h.Name, index), "system ptp0 …")
		}
	}
}

func (a *answers) kiss() string {
	if a.Kiss == nil {
		return ""
	}
	return *a.Kiss
}

// announce puts what is given into force.
func (a *announcement) announce(m *sim.Master) {
	p := m.Properties()
	set(&p.Priority1, a.Priority1)
	set(&p.Priority2, a.Priority2)
	set(&p.Quality.Class, (*uint8)(a.ClockClass))
	if a.ClockAccuracy != nil {
		p.Quality.Accuracy = ptpwire.ClockAccuracy(*a.ClockAccuracy)
	}
	set(&p.StepsRemoved, a.StepsRemoved)
	set(&p.Time.UTCOffset, a.AnnouncedUTC)
	set(&p.Time.UTCOffsetValid, a.UTCOffsetValid)
	set(&p.Time.PTPTimescale, a.PTPTimescale)
	set(&m.Faults().Silent, a.Silent)
	if a.FollowUpDelay != nil {
		m.DelayFollowUp(a.FollowUpDelay.d)
	}
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func setSpan(to *time.Duration, from *span) {
	if from != nil {
		*to = from.d
	}
}

// answer puts what is given into force.
func (a *answers) answer(s *sim.Server) {
	n := s.Answers()
	set(&n.Stratum, a.Stratum)
	setSpan(&n.RootDelay, a.RootDelay)
	setSpan(&n.RootDispersion, a.RootDispersion)
	set(&n.Dead, a.Dead)
	set(&n.Kiss, a.Kiss)
	setSpan(&n.MinInterval, a.MinInterval)
}

// happen puts a change into force.
func (c *change) happen(b *built) {
	for name, list := range b.links {
		if c.Link != "" && len(matching(c.Link, []string{name})) > 0 {
			for _, l := range list {
				c.link(l)
			}
		}
	}
	for name, m := range b.masters {
		if c.Grandmaster != "" && len(matching(c.Grandmaster, []string{name})) > 0 {
			c.master(m)
		}
	}
	for name, s := range b.servers {
		if c.Server != "" && len(matching(c.Server, []string{name})) > 0 {
			c.server(s)
		}
	}
	for _, h := range b.hosts {
		if c.Host != "" && len(matching(c.Host, []string{h.Name()})) > 0 {
			c.host(h, b.world.Now())
		}
	}
}

func (c *change) link(l *sim.Link) {
	if c.Cut != nil {
		l.Cut(*c.Cut)
	}
	if c.LossNow != nil {
		l.SetLoss(*c.LossNow)
	}
	there, back := c.Extend, c.Extend
	if c.ExtendThere != nil {
		there = c.ExtendThere
	}
	if c.ExtendBack != nil {
		back = c.ExtendBack
	}
	if there != nil || back != nil {
		l.Extend(nanoseconds(there), nanoseconds(back))
	}
}

func nanoseconds(s *span) int64 {
	if s == nil {
		return 0
	}
	return int64(s.d)
}

func (c *change) master(m *sim.Master) {
	if c.Shift != nil {
		m.Shift(c.Shift.d)
	}
	if c.Drift != nil {
		m.Drift(*c.Drift)
	}
	if c.Leap != nil {
		t := &m.Properties().Time
		t.Leap61, t.Leap59 = c.Leap.Leap == clock.LeapInsert, c.Leap.Leap == clock.LeapDelete
	}
	c.announce(m)
}

func (c *change) server(s *sim.Server) {
	if c.Shift != nil {
		s.Shift(c.Shift.d)
	}
	if c.Drift != nil {
		s.Drift(*c.Drift)
	}
	if c.Leap != nil {
		s.Answers().Leap = map[clock.Leap]ntpwire.Leap{clock.NoLeap: ntpwire.LeapNone, clock.LeapInsert: ntpwire.LeapInsert,
			clock.LeapDelete: ntpwire.LeapDelete}[c.Leap.Leap]
	}
	c.answer(s)
}

func (c *change) host(h *sim.Host, now time.Duration) {
	switch c.Daemon {
	case "kill":
		h.Kill()
	case "start":
		h.Start()
	}
	if c.Step != nil {
		if k := h.Clock(c.Clock.ID); k != nil {
			k.Step(now, c.Step.d)
		}
	}
	if c.Up != nil {
		h.SetInterface(c.Interface, *c.Up)
	}
}

// configOf returns what a grandmaster is made of.
func (g *grandmaster) config() ptptest.Config {
	return ptptest.Config{Domain: g.Domain, MinorVersion: 1, OneStep: g.OneStep, LogAnnounceInterval: logOf(g.AnnounceInterval),
		LogSyncInterval: logOf(g.SyncInterval), LogMinDelayReqInterval: logOf(g.DelayRequestInterval)}
}
