// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/estimate"
)

const (
	// foreignAtLeast is the least jump, in ns, that is taken for somebody else's doing; less is the two clocks' own.
	foreignAtLeast = 20_000
	// leanAfter is how many crossings it takes until their misses say something of how they are made.
	leanAfter = 32
	// crossingResolution is the standard deviation of a crossing whatever its window, ns: clocks are read in whole ticks.
	crossingResolution = 4
	// crossingSigmas is how many standard deviations of their noise comparisons may be off by.
	crossingSigmas = 4
	// effectLatency is the time, in s, that it may take a frequency to be in force.
	effectLatency = 100e-6
	// maxWait is how long a source's sample is waited for that tells which of two clocks was set.
	maxWait = 3 * time.Second
	// discernible is a step, in ns, that cannot be taken for the time that an event took to be heard of.
	discernible = int64(50 * time.Millisecond)
)

// Cross takes in a comparison of two clocks. One that the tree does not have is ignored.
func (t *Tree) Cross(now clock.Mono, c clock.Crossing) {
	ra, rb := c.A, c.B
	if ra.Clock() > rb.Clock() {
		ra, rb = rb, ra
	}
	a, b := t.node(ra.Clock()), t.node(rb.Clock())
	if a == nil || b == nil || a == b {
		return
	}
	e := t.between(a, b)
	e.window, e.method = 2*c.Uncertainty, c.Method
	v, d, ppb := e.observe(ra, rb, c.Uncertainty)
	if v == estimate.Outlier { // perhaps somebody has set a clock: its reading is nothing to reckon from
		if e.oddSince == 0 {
			e.oddSince = now
		}
		return
	}
	b.saw(now, rb)
	a.saw(now, ra)
	switch v {
	case estimate.Jumped:
		if abs(d) < foreignAtLeast {
			e.estimate.Jump(d, float64(abs(d)))
			e.open.moved(float64(d))
			e.open.admit(float64(c.Uncertainty))
			return
		}
		t.foreignStep(now, e, d, ppb)
	case estimate.Used:
		e.sounded()
		b.sound(now, rb)
		a.sound(now, ra)
		t.follow(now, e)
	}
}

// observe takes a crossing in: a read ra when b read rb, and either may be off by the uncertainty. It returns by how many ns
// the crossing is not where it was expected, and by how many ppb the two clocks drift apart.
func (e *edge) observe(ra, rb clock.Timestamp, uncertainty time.Duration) (v estimate.Verdict, d int64, ppb float64) {
	aw, af := e.a.correction(ra)
	bw, bf := e.b.correction(rb)
	resolution := e.resolution()
	alike, own := e.windows.Variances(float64(e.window), resolution)
	o := estimate.Observation{Time: ra.Nanoseconds() - aw,
		Offset:         ra.Nanoseconds() - aw - (rb.Nanoseconds() - bw),
		OffsetFraction: bf - af, Variance: alike, DelayVariance: own}
	base, est := e.estimate.At(o.Time)
	excess := float64(e.window) - e.windows.Min()
	miss := float64(o.Offset-base) + o.OffsetFraction - est.Offset
	lean := e.lean.Part() * excess
	o.OffsetFraction -= lean
	// the window bounds the error, unless comparisons scatter by more than it can hold
	bound := max(float64(uncertainty), crossingSigmas*e.estimate.Noise(o))
	v = e.open.observe(e.estimate, o, bound+resolution+math.Abs(lean), 0)
	if v == estimate.Used && e.estimate.Observations() > leanAfter {
		e.lean.Learn(excess, miss)
	}
	return v, clock.Sum(o.Offset, -base, -clock.Int64(est.Offset)), est.Frequency
}

// follow steers the clock that hangs by the edge from the root.
func (t *Tree) follow(now clock.Mono, e *edge) {
	n := t.hanging(e)
	if n == nil {
		return
	}
	if est, ok := t.estimate(n, now); ok {
		t.steer(n, now, est.Offset, t.cfg.Interval.Seconds(), true)
	}
}

// foreignStep finds out which end of an edge somebody else has set, by d ns of the free-running a less the free-running b,
// which drift apart by ppb, and enters it into that clock's history. A large step shows in what the clock has gone on since;
// of a small one the source tells whether it was the root's.
func (t *Tree) foreignStep(now clock.Mono, e *edge, d int64, ppb float64) {
	victim, wait := t.victim(now, e, d)
	if wait {
		return
	}
	e.sounded()
	at := victim.reading(now)
	by := -d
	if victim == e.a { // the edge is a function of its time
		by = clock.Sum(d, clock.Int64(float64(d)*ppb/1e9))
	}
	by = clock.Sum(by, clock.Int64(float64(by)*victim.applied/1e9)) // what was skipped has been reckoned with the correction in force
	victim.history.Step(at.Add(-time.Duration(by)), time.Duration(by))
	if victim.id != clock.System { // its device was reset: frequency and time have to be set again
		victim.everLocked, victim.locked = false, false
		t.apply(victim, now, victim.applied)
	}
	t.act.Changed(victim.id, Jumped, time.Duration(by))
}

// victim returns the end of an edge that somebody else has set, or that the source's next sample is to be waited for. Where
// nothing tells, it is a PHC, as drivers reset those: of two the one that hangs from the other.
func (t *Tree) victim(now clock.Mono, e *edge, d int64) (_ *node, wait bool) {
	presumed, other := e.b, e.a
	if other.id != clock.System && t.hanging(e) == other {
		presumed, other = other, presumed
	}
	root := t.root
	switch {
	case abs(d) > discernible:
		if presumed.ran(now)*2 < abs(d) && other.ran(now)*2 > abs(d) {
			return other, false
		}
	case !t.leading || e.other(root) == nil:
	case e.witnessed:
		by := d
		if root == e.b {
			by = -d
		}
		if e.witness(by) {
			return root, false
		}
		return e.other(root), false
	case root.id != clock.System && now.Sub(e.oddSince) < maxWait:
		return nil, true // most sources of a PHC have one each second
	}
	return presumed, false
}

// recordWitness has the source's sample tell of the root what the crossings since something went wrong cannot.
func (t *Tree) recordWitness(o estimate.Observation) {
	base, est := t.ref.At(o.Time)
	for _, e := range t.edges {
		if e.oddSince != 0 && !e.witnessed {
			e.witnessed, e.miss = true, float64(o.Offset-base)+o.OffsetFraction-est.Offset
		}
	}
}

func abs(v int64) int64 { return max(v, -v) }
