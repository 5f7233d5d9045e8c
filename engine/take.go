// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"log/slog"
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/estimate"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
)

// rebase moves what was measured when the host's belief has moved by ns.
func (s *tracked) rebase(ns float64) {
	s.shift(ns)
	s.bias.ns -= ns
	s.estimate.Jump(-clock.Int64(math.Round(ns)), 0)
}

// age of the last measurement.
func (s *tracked) age(now clock.Mono) time.Duration { return now.Sub(s.last) }

// take enters a measurement of the source's clock, and has the graph follow it if the source is followed.
func (e *Engine) take(now clock.Mono, s *tracked, m source.Sample) {
	if m.OneWay {
		e.takeOneWay(now, s, m)
		return
	}
	s.before, s.sample = s.sample, m
	residual, ok := e.graph.Residual(now, m.At, m.Offset, m.OffsetFraction)
	ok = ok && !s.arbitrary
	s.relate = ok
	if ok {
		s.add(point{now, residual, m.MaxError})
	}
	s.last = now
	s.samples++
	s.fresh++
	if ok {
		e.estimate(now, s, residual, &m)
	}
	if e.observer != nil {
		e.observer.Sampled(s.ID, s.delay)
	}
	if e.followed(s) {
		e.steerBy(now, s, residual, m)
		return
	}
	if ok {
		e.learnBias(now, s, residual, &m)
	}
	if e.leader == nil || s.fresh <= warmUp {
		e.soon(now)
	}
}

// takeOneWay has a measurement steer if its source is followed. It says nothing of its source: the path may have changed.
func (e *Engine) takeOneWay(now clock.Mono, s *tracked, m source.Sample) {
	s.last = now
	s.samples++
	s.fresh++
	if !e.followed(s) {
		return
	}
	if e.graph.Sample(now, m) == estimate.Used {
		e.observe(now, e.graph.Root())
	} else {
		s.refused++
	}
}

// steerBy has the graph follow a measurement.
func (e *Engine) steerBy(now clock.Mono, s *tracked, residual float64, m source.Sample) {
	known := e.graph.Known()
	switch e.graph.Sample(now, e.corrected(s, m)) {
	case estimate.Used:
		if !known && e.graph.Known() {
			e.rebase(residual)
		}
		e.learnBias(now, s, residual, &m)
		if s == e.leader {
			e.proven = true
			e.settle(now)
		}
		e.observe(now, e.graph.Root())
	case estimate.Jumped:
		s.refused++
		if s == e.leader {
			e.jumped(now, s, residual, m)
		} else {
			e.learnBias(now, s, residual, &m)
		}
	default:
		s.refused++
		if s != e.leader { // it is how it differs from the leader that changes
			e.learnBias(now, s, residual, &m)
		}
	}
}

// jumped has the host follow its leader to where that has jumped, if it is nothing that the leader has not allowed for, or
// that the host knows better. Else the leader is suspect.
func (e *Engine) jumped(now clock.Mono, s *tracked, residual float64, m source.Sample) {
	known := m.MaxError
	if !e.proven { // the source before it knew no better than the host does
		known = clock.Sum(known, e.own.MaxError)
	}
	if math.Abs(residual) < float64(known) || s.Traits.Combinable && !e.graph.Trusted(e.graph.Root()) {
		e.moveTo(now, s, m)
		return
	}
	if !s.suspect {
		s.suspect, s.since = true, now
		s.n = min(s.n, 1) // what it said before tells nothing of how it scatters now
		s.tell(now, status.SourceJumped, slog.Duration("offset", clock.Nanoseconds(residual)))
	}
	e.soon(now)
}

// moveTo moves the host's belief to what the leader says now, and returns by how much.
func (e *Engine) moveTo(now clock.Mono, s *tracked, m source.Sample) time.Duration {
	d := e.graph.Accept(now, e.corrected(s, m))
	usual := s.bias
	e.rebase(float64(d))
	s.bias = usual // it has moved along
	s.renew()
	return d
}

// estimate keeps account of how the host's time differs from the source's. Until the host is sure of its own there is
// nothing to compare.
func (e *Engine) estimate(now clock.Mono, s *tracked, residual float64, m *source.Sample) {
	if !e.graph.Trusted(e.graph.Root()) {
		return
	}
	whole := math.Floor(residual)
	o := estimate.Observation{Time: int64(now), Offset: clock.Int64(whole), OffsetFraction: residual - whole, Variance: m.Variance,
		DelayVariance: m.DelayVariance}
	if s.estimate.Observe(o) == estimate.Jumped {
		s.renew()
		s.estimate.Observe(o)
	}
}

// renew has the estimate begin anew.
func (s *tracked) renew() {
	s.estimate.Forget()
	s.estimate.SetFrequency(0, unlikeFrequency)
}

// unlikeFrequency is the standard deviation, in ppb, of what a source's frequency may differ by from the host's.
const unlikeFrequency = 1000

// observe tells what the offset of a clock is that has just been measured.
func (e *Engine) observe(now clock.Mono, id clock.ID) {
	if e.observer == nil || !e.graph.Steers(id) {
		return
	}
	if est, ok := e.graph.Estimate(now, id); ok {
		e.observer.Steered(id, clock.Nanoseconds(est.Offset))
	}
}

// rebase moves what was measured so far to the host's new belief, which differs by ns.
func (e *Engine) rebase(ns float64) {
	for _, s := range e.sources {
		s.rebase(ns)
	}
}
