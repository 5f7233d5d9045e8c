// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"slices"
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
	points    [recentPoints]point
	next, n   int
	spread    servo.DelaySpread
	last      clock.Mono
	sample    discipline.Measurement // the last one, and the one before
	before    discipline.Measurement
	delay     time.Duration
	arbitrary bool // its timescale is: it can be related to nothing
	relate    bool // its scale can be related to the system clock's
	// suspect since it jumped; absolved when it is to be followed all the same
	suspect, absolved bool
	since             clock.Mono
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
	s.n, s.learned, s.bias, s.suspect, s.absolved = 0, 0, 0, false, false
	s.spread.Forget()
}

func (s *tracked) add(p point) {
	s.points[s.next] = p
	s.next = (s.next + 1) % recentPoints
	s.n = min(s.n+1, recentPoints)
	s.last = p.at
	s.samples++
}

// point returns the one that came back measurements before the latest; back is less than n.
func (s *tracked) point(back int) *point {
	return &s.points[(s.next+2*recentPoints-1-back)%recentPoints]
}

func (s *tracked) latest() *point { return s.point(0) }

// jitter returns the standard deviation of the latest residuals from one to the next, in ns: from their median difference,
// which a jump does not touch.
func (s *tracked) jitter() float64 {
	var all [recentPoints]float64
	differences := all[:0]
	for i := 1; i < s.n; i++ {
		differences = append(differences, math.Abs(s.point(i-1).residual-s.point(i).residual))
	}
	if len(differences) == 0 {
		return 0
	}
	slices.Sort(differences)
	return normalMedian * differences[len(differences)/2]
}

// normalMedian is the standard deviation of normal values by the median magnitude of the difference of two of them.
const normalMedian = 1.0484

// shift moves what was measured when the host's belief has moved by ns.
func (s *tracked) shift(ns float64) {
	for i := range s.n {
		s.point(i).residual -= ns
	}
	if s.learned > 0 {
		s.bias -= ns
	}
}

// best returns the point with the least error now, and that error, for a host whose clock may run off by rate (ratio).
func (s *tracked) best(now clock.Mono, rate float64) (p point, bound time.Duration) {
	bound = math.MaxInt64
	for i := range s.n {
		q := *s.point(i)
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
	s.before, s.sample = s.sample, m
	before, known := float64(0), e.tree.Known()
	residual, ok := e.tree.Residual(now, m.At, m.Offset, m.OffsetFraction)
	ok = ok && !s.arbitrary
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
		// nothing that it has not allowed for, or that the host knows better
		if math.Abs(residual) < float64(m.MaxError) || s.kind == source.NTP && !e.tree.Trusted(e.tree.Root()) {
			e.rebase(float64(e.tree.Accept(now, m)))
			break
		}
		if !s.suspect {
			s.suspect, s.since = true, now
			s.n = min(s.n, 1) // what it said before tells nothing of how it scatters now
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
