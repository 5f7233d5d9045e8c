// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/estimate"
)

// Chosen by simulation, where no other reason is given.
const (
	// minForeignStep is the least jump, in ns, that is taken for somebody else's doing; less is the two clocks' own.
	minForeignStep = 20_000
	// leanNeeded is how many crossings it takes until their misses say something of how they are made.
	leanNeeded = 32
	// crossingResolution is the standard deviation of a crossing whatever its window, ns: clocks are read in whole ticks, of
	// 8 ns in many NICs.
	crossingResolution = 4
	// crossingSigmas is how many standard deviations of their noise comparisons may be off by.
	crossingSigmas = 4
	// effectLatency is the time, in s, that it may take a frequency to be in force.
	effectLatency = 100e-6
	// witnessWait is how long a source's sample is waited for that tells which of two clocks was set: grandmasters send a
	// Sync every two seconds or more often by the profiles in use.
	witnessWait = 3 * time.Second
	// minDiscernible is a step, in ns, that cannot be taken for the time that an event took to be heard of.
	minDiscernible = int64(50 * time.Millisecond)
)

// Cross takes in a comparison of two clocks. One that the graph does not have is ignored.
func (g *Graph) Cross(now clock.Mono, c clock.Crossing) {
	ra, rb := c.A, c.B
	if ra.Clock() > rb.Clock() {
		ra, rb = rb, ra
	}
	a, b := g.node(ra.Clock()), g.node(rb.Clock())
	if a == nil || b == nil || a == b {
		return
	}
	e := g.between(a, b)
	e.window, e.method = 2*c.Uncertainty, c.Method
	v, d, ppb := e.observe(ra, rb, c.Uncertainty)
	if v == estimate.Outlier { // perhaps somebody has set a clock: its reading is nothing to reckon from
		if e.oddSince == 0 {
			e.oddSince = now
		}
		return
	}
	b.anchorAt(now, rb)
	a.anchorAt(now, ra)
	switch v {
	case estimate.Jumped:
		if abs(d) < minForeignStep {
			e.estimate.Jump(d, float64(abs(d)))
			e.open.moved(float64(d))
			e.open.admit(float64(c.Uncertainty))
			return
		}
		g.foreignStep(now, e, d, ppb)
	case estimate.Used:
		e.clearOdd()
		b.markGood(now, rb)
		a.markGood(now, ra)
		g.steerFollower(now, e)
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
	if v == estimate.Used && e.estimate.Observations() > leanNeeded {
		e.lean.Learn(excess, miss)
	}
	return v, clock.Sum(o.Offset, -base, -clock.Int64(est.Offset)), est.Frequency
}

// steerFollower steers the clock that hangs by the edge from the root.
func (g *Graph) steerFollower(now clock.Mono, e *edge) {
	n := g.follower(e)
	if n == nil {
		return
	}
	if est, ok := g.estimate(n, now); ok {
		g.steer(n, now, est.Offset, g.cfg.Interval.Seconds(), true)
	}
}

// foreignStep finds out which end of an edge somebody else has set, by d ns of the free-running a less the free-running b,
// which drift apart by ppb, and enters it into that clock's history. A large step shows in what the clock has gone on since;
// of a small one the source tells whether it was the root's.
func (g *Graph) foreignStep(now clock.Mono, e *edge, d int64, ppb float64) {
	victim, wait := g.victim(now, e, d)
	if wait {
		return
	}
	e.clearOdd()
	at := victim.reading(now)
	by := -d
	if victim == e.a { // the edge is a function of its time
		by = clock.Sum(d, clock.Int64(float64(d)*ppb/1e9))
	}
	// what was skipped has been reckoned with the correction in force
	by = clock.Sum(by, clock.Int64(float64(by)*victim.applied/1e9))
	victim.history.Step(at.Add(-time.Duration(by)), time.Duration(by))
	if victim.id != clock.System { // its device was reset: frequency and time have to be set again
		victim.everLocked, victim.locked = false, false
		g.apply(victim, now, victim.applied)
	}
	g.act.Changed(victim.id, Jumped, time.Duration(by))
}

// victim returns the end of an edge that somebody else has set, or that the source's next sample is to be waited for. Where
// nothing tells, it is a PHC, as drivers reset those: of two PHCs the one that hangs from the other.
func (g *Graph) victim(now clock.Mono, e *edge, d int64) (_ *node, wait bool) {
	presumed, other := e.b, e.a
	if other.id != clock.System && g.follower(e) == other {
		presumed, other = other, presumed
	}
	root := g.root
	switch {
	case abs(d) > minDiscernible:
		if presumed.strayed(now)*2 < abs(d) && other.strayed(now)*2 > abs(d) {
			return other, false
		}
	case !g.leading || e.other(root) == nil:
	case e.witnessed:
		by := d
		if root == e.b {
			by = -d
		}
		if e.witness(by) {
			return root, false
		}
		return e.other(root), false
	case root.id != clock.System && now.Sub(e.oddSince) < witnessWait:
		return nil, true // sources of the system clock have none so soon
	}
	return presumed, false
}

// recordWitness has the source's sample tell of the root what the crossings since something went wrong cannot.
func (g *Graph) recordWitness(o estimate.Observation) {
	base, est := g.ref.At(o.Time)
	for _, e := range g.edges {
		if e.oddSince != 0 && !e.witnessed {
			e.witnessed, e.miss = true, float64(o.Offset-base)+o.OffsetFraction-est.Offset
		}
	}
}

func abs(v int64) int64 { return max(v, -v) }
