// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
)

// Sample is what one clock was like at one second of true time.
type Sample struct {
	// Error of the clock in ns, and of its frequency in ppb: the truth.
	Error, Frequency float64
	// MaxError is the bound that the host states, if Bounded; Locked is whether it says that the clock is right.
	MaxError        time.Duration
	Bounded, Locked bool
}

// HostSample is what a host said at one second of true time.
type HostSample struct {
	State  status.State
	Source source.ID
	// Steps of its clocks, and Requests to NTP servers that it has sent, until then.
	Steps, Requests uint64
}

// Opinion is what a host thinks of a source: its state and the reason, as in "falseticker: its time has jumped; …".
type Opinion struct {
	Source  source.ID
	Verdict string
}

// recording is what was seen of a host, a sample for each true second from the beginning.
type recording struct {
	host     []HostSample
	clocks   [][]Sample
	opinions [][]Opinion
}

// Record has all hosts observed at each second of true time until end.
func (w *World) Record(end time.Duration) {
	seconds := int(end / time.Second)
	for _, h := range w.hosts {
		h.record.host = make([]HostSample, 0, seconds+1)
		h.record.clocks = make([][]Sample, 1+len(h.phcs))
		for i := range h.record.clocks {
			h.record.clocks[i] = make([]Sample, 0, seconds+1)
		}
	}
	w.queue.push(event{to: (*observer)(w), kind: wake})
}

// observer looks at everything once a second.
type observer World

func (o *observer) handle(e *event) {
	w := (*World)(o)
	for _, c := range w.clocks {
		c.advance(w.now) // else one that nobody asks for long would catch up at once
	}
	for _, h := range w.hosts {
		h.observe()
	}
	w.queue.push(event{at: e.at + int64(time.Second), to: o, kind: wake})
}

func (h *Host) observe() {
	now := h.world.now
	h.world.work += eventWork
	s, r := &h.summary, &h.record
	s.Clocks, s.State, s.Selected = s.Clocks[:0], status.Starting, ""
	if h.daemon != nil {
		h.daemon.Summary(mono(now), s)
	}
	r.host = append(r.host, HostSample{s.State, s.Selected, uint64(h.steps()), h.requests})
	if h.watched {
		r.opinions = append(r.opinions, h.opinions())
	}
	for i := range r.clocks {
		id := clock.System
		if i > 0 {
			id = clock.PHC(i - 1)
		}
		c := h.Clock(id)
		var p Sample
		p.Error, p.Frequency = c.Error(time.Duration(now))
		for k := range s.Clocks {
			if s.Clocks[k].ID == id {
				p.MaxError, p.Bounded, p.Locked = s.Clocks[k].MaxError, s.Clocks[k].Known, s.Clocks[k].Locked
			}
		}
		r.clocks[i] = append(r.clocks[i], p)
	}
}

// opinions returns what the host thinks of each source now.
func (h *Host) opinions() (list []Opinion) {
	if h.daemon == nil {
		return nil
	}
	for _, s := range h.daemon.Snapshot(mono(h.world.now), time.Time{}, nil).Sources {
		list = append(list, Opinion{s.ID, s.State + ": " + s.Reason})
	}
	return list
}

// Watch has what the host thinks of its sources recorded as well, from now on.
func (h *Host) Watch() { h.watched = true }

// Opinions returns what was recorded of the host's sources, for each second of true time from 0 on; nil if it was not
// watched.
func (h *Host) Opinions() [][]Opinion { return h.record.opinions }

func (h *Host) steps() int {
	n := h.system.steps
	for _, p := range h.phcs {
		n += p.steps
	}
	return n
}

// Samples returns what was recorded of a clock, one sample for each second of true time from 0 on; nil if the host has no
// such clock.
func (h *Host) Samples(id clock.ID) []Sample {
	for i, c := range h.Clocks() {
		if c == id && i < len(h.record.clocks) {
			return h.record.clocks[i]
		}
	}
	return nil
}

// States returns what was recorded of the host, one for each second of true time from 0 on.
func (h *Host) States() []HostSample { return h.record.host }
