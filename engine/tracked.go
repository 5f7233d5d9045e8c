// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/servo"
	"github.com/lockstep-time/lockstep/source"
)

// tracked is what the engine knows of one source, whatever its protocol.
type tracked struct {
	id      source.ID
	kind    source.Kind
	name    string
	options source.Options
	clock   clock.ID // that it measures
	verdict source.Verdict
	// points are the latest measurements, as residuals against what the host believed
	points  [recentPoints]point
	next, n int
	spread  servo.DelaySpread
	last    clock.Mono
	sample  discipline.Measurement
	delay   time.Duration
	relate  bool // its scale can be related to the system clock's
	// suspect since it jumped
	suspect bool
	since   clock.Mono
	// bias against the source that was followed before, learned while that was good; ns
	bias    float64
	learned int
	samples uint64
	refused uint64
}

const (
	recentPoints = 8
	biasMemory   = 32 // samples over which a bias is learned
	biasNeeded   = 4
)

// point is one measurement.
type point struct {
	at       clock.Mono
	residual float64 // ns
	bound    time.Duration
}

// reset forgets what was measured: another server or master answers now.
func (s *tracked) reset() {
	s.n, s.learned, s.bias, s.suspect = 0, 0, 0, false
	s.spread.Forget()
}

func (s *tracked) add(p point) {
	s.points[s.next] = p
	s.next = (s.next + 1) % recentPoints
	s.n = min(s.n+1, recentPoints)
	s.last = p.at
	s.samples++
}

func (s *tracked) latest() *point { return &s.points[(s.next+recentPoints-1)%recentPoints] }

// jitter returns the standard deviation of the latest residuals from one to the next, in ns.
func (s *tracked) jitter() float64 {
	var sum float64
	for i := 1; i < s.n; i++ {
		newer := (s.next + 2*recentPoints - i) % recentPoints
		d := s.points[newer].residual - s.points[(newer+recentPoints-1)%recentPoints].residual
		sum += d * d / 2
	}
	return math.Sqrt(sum / float64(max(s.n-1, 1)))
}

// shift moves the residuals when the host's belief has moved by ns.
func (s *tracked) shift(ns float64) {
	for i := range s.points[:s.n] {
		s.points[i].residual -= ns
	}
}

// best returns the point with the least error now, and that error, for a host whose clock may run off by rate (ratio).
func (s *tracked) best(now clock.Mono, rate float64) (p point, bound time.Duration) {
	bound = math.MaxInt64
	for _, q := range s.points[:s.n] {
		b := q.bound + time.Duration(rate*float64(now.Sub(q.at)))
		if b <= bound {
			p, bound = q, b
		}
	}
	return p, bound
}

// age of the last measurement.
func (s *tracked) age(now clock.Mono) time.Duration { return now.Sub(s.last) }

// take enters a measurement of the source's clock, and has the tree follow it if the source is followed.
func (e *Engine) take(now clock.Mono, s *tracked, m discipline.Measurement) {
	s.sample = m
	before, known := float64(0), e.tree.Known()
	residual, ok := e.tree.Residual(now, m.At, m.Offset, m.OffsetFraction)
	s.relate = ok
	if ok {
		s.add(point{now, residual, m.MaxError})
	} else {
		s.last = now
		s.samples++
	}
	if !e.followed(s) {
		e.learnBias(now, s, residual, ok)
		if e.leader == nil || s.samples <= warmUp {
			e.soon(now)
		}
		return
	}
	if s.kind == source.NTP && s.learned >= biasNeeded {
		m.OffsetFraction -= s.bias
	}
	if !known {
		before = residual
	}
	switch e.tree.Sample(now, m) {
	case servo.Used:
		if !known && e.tree.Known() {
			e.rebase(before)
		}
	case servo.Jumped:
		s.refused++
		if math.Abs(residual) < float64(m.MaxError) { // nothing that it has not allowed for
			e.tree.Accept(now, m)
			break
		}
		if !s.suspect {
			s.suspect, s.since = true, now
			e.note(now, string(s.id)+" has jumped by "+time.Duration(residual).String())
		}
		e.soon(now)
	default:
		s.refused++
	}
}

// followed reports whether samples of the source steer the clocks.
func (e *Engine) followed(s *tracked) bool {
	return e.leader != nil && !s.suspect &&
		(s == e.leader || s.verdict.State == source.Combined) && s.clock == e.tree.Root()
}

// learnBias finds out what a source is wrong by, while a better one of another kind is followed.
func (e *Engine) learnBias(now clock.Mono, s *tracked, residual float64, ok bool) {
	if !ok || s.kind != source.NTP || e.leader == nil || e.leader.kind == source.NTP || e.leader.suspect ||
		s.verdict.State == source.Falseticker || !e.tree.Locked(now) {
		return
	}
	s.learned = min(s.learned+1, biasMemory)
	s.bias += (residual - s.bias) / float64(s.learned)
}

// rebase moves what was measured so far to the host's new belief, which differs by ns.
func (e *Engine) rebase(ns float64) {
	for _, s := range e.sources {
		s.shift(ns)
	}
}
