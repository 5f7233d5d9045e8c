// SPDX-License-Identifier: Apache-2.0

package text

import (
	"fmt"
	"strings"
	"time"

	"github.com/lockstep-time/lockstep/status"
)

// maxEvents is how many of the latest events the status screen shows.
const maxEvents = 5

// factIndent is the column in which the values of facts begin.
const factIndent = 16

// Status returns the screen that tells how the host's time is: the state and why, which clock follows what, the sources,
// and the latest events.
func Status(s *status.Snapshot, style Style) string {
	p := &page{style: style}
	p.headline(s)
	p.tree(s)
	p.sources(s)
	p.problems(s)
	p.events(s)
	return p.String()
}

// headline says in a few lines what most people come for.
func (p *page) headline(s *status.Snapshot) {
	p.put(stateInk(string(s.State))+";1", "● "+dash(clean(string(s.State))))
	if s.Selected != "" {
		switch s.State {
		case status.Locked:
			p.put(bold, " to "+clean(string(s.Selected)))
		case status.Acquiring:
			p.put(bold, " "+clean(string(s.Selected)))
		}
	}
	p.line(faint, " for "+Age(s.Time.Sub(s.Changed)))
	for _, l := range wrap(clean(s.Reason), Width-2) {
		p.line(normal, "  "+l)
	}
	if s.State == status.Panicked {
		p.line(yellow, "  Nothing is steered until `lockstepctl resume`, or a restart.")
	}
	p.WriteByte('\n')
	p.fact("System clock", systemClock(s))
	p.fact("TAI-UTC", taiOffset(s))
	p.fact("Daemon", fmt.Sprintf("lockstep %s, up %s, at %s", dash(clean(s.Version)), Age(s.Time.Sub(s.Started)),
		s.Time.UTC().Format("2006-01-02 15:04:05 UTC")))
	p.WriteByte('\n')
}

// fact writes a value behind its name, on as many lines as it takes. A fact without a value is left out.
func (p *page) fact(name, value string) {
	for _, l := range wrap(value, Width-factIndent) {
		p.put(faint, fmt.Sprintf("  %-*s", factIndent-2, name))
		p.line(normal, l)
		name = ""
	}
}

func systemClock(s *status.Snapshot) string {
	switch {
	case s.State == status.Starting:
		return "not measured yet"
	case s.MaxError == 0:
		return "max error unknown"
	}
	text := fmt.Sprintf("offset %s, max error %s", Offset(s.Offset), Bound(s.MaxError))
	for _, c := range s.Clocks {
		if c.Name == "system" {
			text += ", frequency " + Frequency(c.Frequency)
		}
	}
	return text
}

func taiOffset(s *status.Snapshot) string {
	if !s.UTC.Known {
		return "unknown: clocks on TAI cannot set those on UTC"
	}
	text := fmt.Sprintf("%d s by %s", s.UTC.Seconds, clean(s.UTC.Origin))
	switch {
	case s.UTC.Leap > 0:
		text += "; a leap second is inserted at the end of the UTC day"
	case s.UTC.Leap < 0:
		text += "; a second is left out at the end of the UTC day"
	case s.UTC.LeapDoubt != "":
		text += "; " + clean(s.UTC.LeapDoubt)
	case !s.UTC.ListExpires.IsZero() && s.Time.After(s.UTC.ListExpires):
		text += "; the leap-seconds list has expired"
	}
	return text
}

// problems lists what keeps clocks and ports from working.
func (p *page) problems(s *status.Snapshot) {
	var lines []string
	for _, c := range s.Clocks {
		if c.Error != "" {
			lines = append(lines, wrap(clean("! clock "+c.Name+": "+c.Error), Width)...)
		}
	}
	for _, port := range s.Ports {
		if port.Error != "" {
			lines = append(lines, wrap(clean("! port "+port.Interface+": "+port.Error), Width)...)
		}
	}
	if len(lines) > 0 {
		p.WriteByte('\n')
	}
	for _, l := range lines {
		p.line(red, l)
	}
}

func (p *page) events(s *status.Snapshot) {
	if len(s.Events) == 0 {
		return
	}
	p.WriteByte('\n')
	p.line(faint, "Latest events (UTC)")
	for _, e := range s.Events[max(0, len(s.Events)-maxEvents):] {
		stamp := e.Time.UTC().Format("01-02 15:04:05")
		for i, l := range wrap(clean(e.Text), Width-len(stamp)-4) {
			if i > 0 {
				stamp = strings.Repeat(" ", len(stamp))
			}
			p.put(faint, "  "+stamp)
			p.line(normal, "  "+l)
		}
	}
}

// Line returns the state on one line, without its end: for logs and for what is no terminal.
func Line(s *status.Snapshot) string {
	text := s.Time.UTC().Format("2006-01-02T15:04:05.000Z") + " " + clean(string(s.State))
	if s.Selected != "" {
		text += " " + clean(string(s.Selected))
	}
	if s.State == status.Starting {
		return text + ": " + clean(s.Reason)
	}
	if s.MaxError == 0 {
		text += " max error unknown"
	} else {
		text += fmt.Sprintf(" offset %s max error %s", Offset(s.Offset), Bound(s.MaxError))
	}
	for _, c := range s.Clocks {
		text += fmt.Sprintf(" | %s %s %s", clean(c.Name), Offset(c.Offset), Frequency(c.Frequency))
	}
	return text
}

// EventLine returns an event on one line, without its end.
func EventLine(e status.PastEvent) string {
	return e.Time.UTC().Format("2006-01-02T15:04:05.000Z") + " * " + clean(e.Text)
}

// stateInk returns the colour of a state of the host, a clock, a source or a port.
func stateInk(state string) ink {
	switch state {
	case "locked", "selected", "combined", "slave", "master":
		return green
	case "starting", "acquiring", "holdover", "warming up", "unconfirmed", "uncalibrated", "listening":
		return yellow
	case "unsynchronised", "panic", "falseticker", "unreachable", "faulty":
		return red
	}
	return normal
}

// since returns the age of an instant, or "-" for none.
func since(s *status.Snapshot, t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return Age(s.Time.Sub(t))
}
