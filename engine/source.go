// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"log/slog"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/estimate"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/timescale"
)

// Source is what the engine asks of a protocol for each source that it has.
type Source interface {
	// Info never changes.
	Info() source.Info
	// Standing says whether the source can be used now, and if not, why.
	Standing(now clock.Mono) source.Standing
	// Claim is what the source says of time scales and leap seconds now; zero if it says nothing.
	Claim() timescale.Claim
	// Need says how often the source should measure. It is called when the role of the source may have changed, and after each
	// sample.
	Need(now clock.Mono, n source.Need)
	// Judged hands over the verdict of each selection, once a second or more often.
	Judged(now clock.Mono, v source.Verdict)
	// ClockChanged tells what was done to one of the host's clocks, whether this source measures it or not.
	ClockChanged(now clock.Mono, c source.Change)
	// Wake does what is due, NextWake says when that is.
	Wake(now clock.Mono)
	NextWake() clock.Mono
	// Describe fills in what the status shows of the source beyond what the engine knows.
	Describe(now clock.Mono, s *status.Source)
}

// Sink is what a source tells the engine. Each source has its own. Its methods may be called from within Wake only, and
// while the source handles an event of its own.
type Sink interface {
	// Sample hands over a measurement of a clock against the source's own scale. It is valid during the call only.
	Sample(now clock.Mono, m *source.Sample)
	// Restarted says that the source measures something else from now on: what was measured so far is forgotten.
	Restarted(now clock.Mono, why source.Restart)
	// StandingChanged has the sources judged soon; ClaimChanged has time scales reviewed at once as well.
	StandingChanged(now clock.Mono)
	ClaimChanged(now clock.Mono)
	// Event tells of a change that a person or a program wants to know of.
	Event(now clock.Mono, e status.Event)
	// Relates reports whether what the source says of a clock can be related to the clock's scale.
	Relates(id clock.ID) bool
}

// tracked is what the engine knows of one source, whatever its protocol. It is the source's Sink.
type tracked struct {
	source.Info
	engine  *Engine
	source  Source
	clock   clock.ID // that it measures, 0 before the first sample
	verdict source.Verdict
	recent  // samples
	last    clock.Mono
	sample  source.Sample // the last one, and the one before
	before  source.Sample
	delay   time.Duration
	// arbitrary: its timescale is, and can be related to nothing; relate: the last sample could be compared with what the host
	// believes.
	arbitrary, relate bool
	// suspect since it jumped; absolved when it is to be followed all the same
	suspect, absolved bool
	since             clock.Mono
	bias              bias
	estimate          *estimate.Estimator // of what the host differs by from it
	fresh             int                 // samples since the last restart
	samples, refused  uint64              // since the start
}

// Register adds a source, and returns what it tells the engine by. All sources are registered before the first event.
func (e *Engine) Register(s Source) Sink {
	t := &tracked{Info: s.Info(), engine: e, source: s, estimate: estimate.New()}
	e.sources = append(e.sources, t)
	return t
}

// Sample implements Sink.
func (s *tracked) Sample(now clock.Mono, m *source.Sample) {
	e := s.engine
	e.now = now
	if e.paused(now) {
		return
	}
	s.delay = m.Delay
	scaled, ok := e.onClockScale(now, s, *m)
	if !ok {
		return
	}
	s.clock = scaled.At.Clock()
	e.take(now, s, scaled)
	s.source.Need(now, e.need(s))
}

// Restarted implements Sink. Everything that was learned from samples goes; what is counted since the start stays.
func (s *tracked) Restarted(now clock.Mono, _ source.Restart) {
	s.engine.now = now
	s.recent, s.fresh, s.sample, s.before = recent{}, 0, source.Sample{}, source.Sample{}
	s.bias, s.suspect, s.absolved = bias{}, false, false
	s.renew()
	s.engine.soon(now)
}

// tell tells of an event that is about the source.
func (s *tracked) tell(now clock.Mono, kind status.EventKind, fields ...slog.Attr) {
	s.engine.tell(now, kind, string(s.ID), fields...)
}

// StandingChanged implements Sink.
func (s *tracked) StandingChanged(now clock.Mono) { s.engine.soon(now) }

// ClaimChanged implements Sink.
func (s *tracked) ClaimChanged(now clock.Mono) {
	e := s.engine
	e.now = now
	if scale := s.source.Claim().Scale; scale != clock.UnknownScale {
		s.arbitrary = scale == clock.Arbitrary
	}
	e.findUTCOffset(now)
	e.soon(now)
}

// Event implements Sink.
func (s *tracked) Event(now clock.Mono, e status.Event) { s.engine.Tell(now, e) }

// Relates implements Sink.
func (s *tracked) Relates(id clock.ID) bool {
	if id != clock.System {
		return true // an arbitrary timescale can be kept by a PHC
	}
	if s.source.Claim().Scale == clock.UTC {
		return true
	}
	_, known := s.offset(s.engine.now)
	return !s.arbitrary && known
}

// onClockScale returns a measurement against the source's scale as one on the scale of the clock that it is about. Where TAI
// − UTC is not known, a PHC that was measured against UTC is related to it through the system clock.
func (e *Engine) onClockScale(now clock.Mono, s *tracked, m source.Sample) (_ source.Sample, ok bool) {
	switch id := m.At.Clock(); s.source.Claim().Scale {
	case clock.UTC:
		if id == clock.System {
			return m, true
		}
		if o := e.scales.Offset(); o.Known {
			m.Offset -= int64(o.Seconds) * int64(time.Second)
			return m, true
		}
		m, _ = e.graph.OnSystem(now, m)
		return m, true
	default:
		if id != clock.System {
			return m, true
		}
		seconds, known := s.offset(now)
		m.Offset += int64(seconds) * int64(time.Second)
		return m, known && !s.arbitrary
	}
}

// need says how much depends on the samples of a source now.
func (e *Engine) need(s *tracked) source.Need {
	n := source.Need{Role: e.role(s)}
	if s.relate && s.n >= 2 {
		n.Compared = true
		n.Miss = clock.Nanoseconds(s.latest().residual - s.bias.value())
		n.Jitter = clock.Nanoseconds(s.jitter(0))
	}
	return n
}

func (e *Engine) role(s *tracked) source.Role {
	switch {
	case e.leader == nil:
		return source.Idle
	case !s.Traits.Combinable:
		return source.Lead
	case !e.leader.Traits.Combinable:
		return source.StandBy
	}
	for _, o := range e.sources {
		if !o.Traits.Combinable {
			return source.StandIn
		}
	}
	return source.Lead
}

// tellNeeds tells all sources what is needed of them, where the leader has changed.
func (e *Engine) tellNeeds(now clock.Mono) {
	for _, s := range e.sources {
		s.source.Need(now, source.Need{Role: e.role(s)})
	}
}
