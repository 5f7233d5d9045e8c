// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/estimate"
	"github.com/lockstep-time/lockstep/source"
)

// freeEstimate returns the estimate of n's free-running clock less the source, offset base + est, and the time that n's
// oscillator shows then: about now. Between clocks that run differently it is always the same instant that is meant.
func (g *Graph) freeEstimate(n *node, now clock.Mono) (est estimate.State, base, at int64, ok bool) {
	if g.root == nil || !g.ref.Known() {
		return est, 0, 0, false
	}
	at = g.root.freeTime(g.root.reading(now))
	base, est = g.ref.At(at)
	if n == g.root {
		return est, base, at, true
	}
	if g.root.scale != n.scale && !g.utcKnown {
		return est, 0, 0, false
	}
	return g.carry(g.root, n, est, base, at)
}

// Estimate returns where a clock is believed to be against the source followed last, and whether anything is known.
func (g *Graph) Estimate(now clock.Mono, id clock.ID) (estimate.State, bool) {
	n := g.node(id)
	if n == nil {
		return estimate.State{}, false
	}
	return g.estimate(n, now)
}

func (g *Graph) estimate(n *node, now clock.Mono) (estimate.State, bool) {
	est, base, at, ok := g.freeEstimate(n, now)
	if !ok {
		return est, false
	}
	whole, fraction := n.correctionAt(at, now)
	est.Offset += float64(base+whole) + fraction
	return est, true
}

// MaxError returns a bound of the clock's error: what the source's measurements leave open, what is believed to be wrong
// now, and what may have gone wrong since. The delay of the path is taken to be shared as evenly as configured.
func (g *Graph) MaxError(now clock.Mono, id clock.ID) (time.Duration, bool) {
	return g.bound(g.open.stated, now, id)
}

// VotingError returns the same for a delay that may be shared in any way.
func (g *Graph) VotingError(now clock.Mono, id clock.ID) (time.Duration, bool) {
	return g.bound(g.open.full, now, id)
}

// bound returns how far the clock can be off at most, from where the truth is beside the root as of the last sample.
func (g *Graph) bound(root bracket, now clock.Mono, id clock.ID) (time.Duration, bool) {
	n := g.node(id)
	if n == nil {
		return 0, false
	}
	est, ok := g.estimate(n, now)
	if !ok {
		return 0, false
	}
	b, ok := g.bracketOf(root, n, now)
	if !ok {
		return 0, false
	}
	ns := min(b.most(est.Offset), float64(Unlimited)) + float64(g.margins.Jump+g.margins.Contradiction)
	if n.scale == clock.UTC {
		ns += float64(g.margins.UTC)
	}
	return clock.Sum(clock.Nanoseconds(ns), 1), true
}

// bracketOf returns where the truth is beside what is believed of the clock now.
func (g *Graph) bracketOf(b bracket, n *node, now clock.Mono) (_ bracket, ok bool) {
	b.widen(runOff(g.ref, g.root.freeTime(g.root.reading(now)), g.cfg.Wander))
	return g.carryBracket(g.root, n, b, now)
}

// Sigma returns the standard deviation of the clock's estimated offset.
func (g *Graph) Sigma(now clock.Mono, id clock.ID) time.Duration {
	est, ok := g.Estimate(now, id)
	if !ok {
		return Unlimited
	}
	return clock.Nanoseconds(min(est.Sigma(), 1e15))
}

// Residual returns how far a source is from what the host believes: offset, in ns, is what it measured when its clock
// read at, less what had been expected. As long as nothing is believed it is what the system clock differs by, or without
// one the clock that was added first. It is not ok if the clock cannot be compared.
func (g *Graph) Residual(now clock.Mono, at clock.Timestamp, offset int64, fraction float64) (ns float64, ok bool) {
	n := g.node(at.Clock())
	if n == nil {
		return 0, false
	}
	whole, part := n.correction(at)
	if g.root != nil && g.ref.Known() {
		est, base, free, ok := g.freeEstimate(n, now)
		if !ok {
			return 0, false
		}
		back := float64(free-(at.Nanoseconds()-whole)) / 1e9
		return float64(offset-whole-base) + fraction - part - est.Offset + est.Frequency*back, true
	}
	first := g.nodes[0]
	if n == first {
		return float64(offset) + fraction, true
	}
	if n.scale != first.scale && !g.utcKnown {
		return 0, false
	}
	est, base, free, ok := g.carry(n, first, estimate.State{}, offset-whole, at.Nanoseconds()-whole)
	if !ok {
		return 0, false
	}
	fw, ff := first.correctionAt(free, now)
	return float64(base+fw) + est.Offset + ff - part + fraction, true
}

// Drift returns by how much the clock's offset to true time is believed to have grown from one of its readings to
// another, in ns, and the standard deviation of that: infinite if nothing is known of the clock.
func (g *Graph) Drift(now clock.Mono, from, to clock.Timestamp) (ns, sigma float64) {
	n := g.node(from.Clock())
	span, same := to.Sub(from)
	if n == nil || !same {
		return 0, math.Inf(1)
	}
	fw, ff := n.correction(from)
	tw, tf := n.correction(to)
	seconds := float64(int64(span)-(tw-fw)) / 1e9 // of the oscillator
	var ppb float64
	if est, _, _, ok := g.freeEstimate(n, now); ok {
		ppb, sigma = est.Frequency, math.Sqrt(max(0, est.FrequencyVar))
	} else if ppb, sigma, ok = g.presumedFrequency(n); !ok {
		sigma = unknownFrequency
	}
	return float64(tw-fw) + tf - ff + ppb*seconds, sigma * math.Abs(seconds)
}

// WellKnown is the standard deviation, in ppb, with which a frequency counts as learned: chosen by simulation.
const WellKnown = 2000

// OnSystem returns a measurement of a PHC as one of the system clock, by how the two compare: their crossings tell that
// whatever TAI − UTC is. m's offset is the PHC less a source on UTC, on no common scale. It is not ok before there are
// crossings.
func (g *Graph) OnSystem(now clock.Mono, m source.Sample) (_ source.Sample, ok bool) {
	n, system := g.node(m.At.Clock()), g.node(clock.System)
	if n == nil || system == nil {
		return m, false
	}
	o := n.observation(m)
	way, ok := g.path(n, system)
	if !ok {
		return m, false
	}
	est, base, free, open := estimate.State{}, o.Offset, o.Time, bracket{known: true}
	for _, h := range way {
		est, base, free = h.edge.carry(h.to, est, base, free)
		open = h.edge.carryBracket(h.to, open, now)
	}
	whole, fraction := system.correctionAt(free, now)
	m.At = clock.At(clock.System, free+whole)
	m.Offset, m.OffsetFraction = base+whole, est.Offset+o.OffsetFraction+fraction
	m.Variance += est.OffsetVar
	if m.DelayVariance > 0 {
		m.DelayVariance += est.OffsetVar
	}
	m.MaxError = clock.Sum(m.MaxError, clock.Nanoseconds(open.most(0)), 1)
	return m, true
}
