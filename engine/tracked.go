// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"slices"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/estimate"
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
	spread    estimate.DelaySpread
	floor     estimate.Floor   // of the delays there and back
	level     estimate.Plateau // of the same
	last      clock.Mono
	sample    discipline.Measurement // the last one, and the one before
	before    discipline.Measurement
	delay     time.Duration
	arbitrary bool // its timescale is: it can be related to nothing
	relate    bool // its scale can be related to the system clock's
	// suspect since it jumped; absolved when it is to be followed all the same
	suspect, absolved bool
	since             clock.Mono
	bias              bias
	estimate          *estimate.Estimator // of what the host differs by from it
	samples           uint64
	refused           uint64
}

const recentPoints = 8

// point is one measurement.
type point struct {
	at       clock.Mono
	residual float64 // ns
	bound    time.Duration
}

// reset forgets what was measured: another server or master answers now.
func (s *tracked) reset() {
	s.n, s.bias, s.suspect, s.absolved = 0, bias{}, false, false
	s.spread.Forget()
	s.forgetPath()
	s.renew()
}

// forgetPath says that the way to the source may be another one from now on.
func (s *tracked) forgetPath() {
	s.floor.Forget()
	s.level.Forget()
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

// jitter returns the standard deviation of the latest residuals from one to the next, in ns, apart from a trend of that
// ratio: from their median difference, which a jump does not touch.
func (s *tracked) jitter(trend float64) float64 {
	var all [recentPoints]float64
	differences := all[:0]
	for i := 1; i < s.n; i++ {
		differences = append(differences, math.Abs(s.moved(i-1, i, trend)))
	}
	if len(differences) == 0 {
		return 0
	}
	slices.Sort(differences)
	return normalMedian * differences[len(differences)/2]
}

// moved returns by how much the residual differs between two points, apart from a trend.
func (s *tracked) moved(later, earlier int, trend float64) float64 {
	a, b := s.point(later), s.point(earlier)
	return a.residual - b.residual - trend*float64(a.at.Sub(b.at))
}

// normalMedian is the standard deviation of normal values by the median magnitude of the difference of two of them.
const normalMedian = 1.0484

// shift moves what was measured when the host's belief has moved by ns.
func (s *tracked) shift(ns float64) {
	for i := range s.n {
		s.point(i).residual -= ns
	}
	s.bias.ns -= ns
	s.estimate.Jump(-clock.Int64(math.Round(ns)), 0)
}

// forgetBefore drops what was measured before then.
func (s *tracked) forgetBefore(then clock.Mono) {
	for s.n > 0 && s.point(s.n-1).at < then {
		s.n--
	}
}

// best returns the point with the least error now, and that error, for a host whose clock may run off by rate (ratio).
func (s *tracked) best(now clock.Mono, rate float64) (p point, bound time.Duration) {
	bound = math.MaxInt64
	for i := range s.n {
		q := *s.point(i)
		b := clock.Sum(q.bound, clock.Nanoseconds(rate*float64(now.Sub(q.at))))
		if b <= bound {
			p, bound = q, b
		}
	}
	return p, bound
}

// trend returns how fast, as a ratio, the host's clock runs off from the source, as the latest measurements tell, and by
// how much that may be wrong.
func (s *tracked) trend() (ratio, rate float64) {
	if s.n < trendNeeded {
		return 0, wildRate
	}
	first, last := s.point(s.n-1), s.point(0)
	span := float64(max(1, last.at.Sub(first.at)))
	if rate = float64(clock.Sum(first.bound, last.bound)) / span; rate >= wildRate {
		return 0, wildRate
	}
	return (last.residual - first.residual) / span, rate
}

// age of the last measurement.
func (s *tracked) age(now clock.Mono) time.Duration { return now.Sub(s.last) }

// take enters a measurement of the source's clock, and has the tree follow it if the source is followed.
func (e *Engine) take(now clock.Mono, s *tracked, m discipline.Measurement) {
	if m.OneWay {
		e.takeOneWay(now, s, m)
		return
	}
	s.before, s.sample = s.sample, m
	residual, ok := e.tree.Residual(now, m.At, m.Offset, m.OffsetFraction)
	ok = ok && !s.arbitrary
	s.relate = ok
	if ok {
		s.add(point{now, residual, m.MaxError})
		e.estimate(now, s, residual, &m)
	} else {
		s.last = now
		s.samples++
	}
	if e.observer != nil {
		e.observer.Sampled(s.id, s.delay)
	}
	if e.followed(s) {
		e.steerBy(now, s, residual, m)
		return
	}
	if ok {
		e.learnBias(now, s, residual, &m)
	}
	if e.leader == nil || s.samples <= warmUp {
		e.soon(now)
	}
}

// takeOneWay has a measurement steer if its source is followed. It says nothing of its source: the path may have changed.
func (e *Engine) takeOneWay(now clock.Mono, s *tracked, m discipline.Measurement) {
	s.last = now
	s.samples++
	if !e.followed(s) {
		return
	}
	if e.tree.Sample(now, m) == estimate.Used {
		e.observe(now, e.tree.Root())
	} else {
		s.refused++
	}
}

// steerBy has the tree follow a measurement.
func (e *Engine) steerBy(now clock.Mono, s *tracked, residual float64, m discipline.Measurement) {
	known := e.tree.Known()
	switch e.tree.Sample(now, e.corrected(s, m)) {
	case estimate.Used:
		if !known && e.tree.Known() {
			e.rebase(residual)
		}
		e.learnBias(now, s, residual, &m)
		if s == e.leader {
			e.proven = true
			e.settle(now)
		}
		e.observe(now, e.tree.Root())
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
func (e *Engine) jumped(now clock.Mono, s *tracked, residual float64, m discipline.Measurement) {
	known := m.MaxError
	if !e.proven { // the source before it knew no better than the host does
		known = clock.Sum(known, e.own.MaxError)
	}
	if math.Abs(residual) < float64(known) || s.kind == source.NTP && !e.tree.Trusted(e.tree.Root()) {
		e.moveTo(now, s, m)
		return
	}
	if !s.suspect {
		s.suspect, s.since = true, now
		s.n = min(s.n, 1) // what it said before tells nothing of how it scatters now
		e.note(now, string(s.id)+" has jumped by "+clock.Nanoseconds(residual).String())
	}
	e.soon(now)
}

// moveTo moves the host's belief to what the leader says now, and returns by how much.
func (e *Engine) moveTo(now clock.Mono, s *tracked, m discipline.Measurement) time.Duration {
	d := e.tree.Accept(now, e.corrected(s, m))
	usual := s.bias
	e.rebase(float64(d))
	s.bias = usual // it has moved along
	s.renew()
	return d
}

// estimate keeps account of how the host's time differs from the source's. Until the host is sure of its own there is
// nothing to compare.
func (e *Engine) estimate(now clock.Mono, s *tracked, residual float64, m *discipline.Measurement) {
	if !e.tree.Trusted(e.tree.Root()) {
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
	if e.observer == nil || !e.tree.Steers(id) {
		return
	}
	if est, ok := e.tree.Estimate(now, id); ok {
		e.observer.Steered(id, clock.Nanoseconds(est.Offset))
	}
}

// rebase moves what was measured so far to the host's new belief, which differs by ns.
func (e *Engine) rebase(ns float64) {
	for _, s := range e.sources {
		s.shift(ns)
	}
}
