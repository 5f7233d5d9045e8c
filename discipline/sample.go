// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/estimate"
	"github.com/lockstep-time/lockstep/source"
)

// Sample takes a measurement of the root in. Anything but Used leaves estimates and clocks as they are.
func (g *Graph) Sample(now clock.Mono, m source.Sample) estimate.Verdict {
	n := g.root
	if n == nil || m.At.Clock() != n.id {
		return estimate.Outlier
	}
	if now.Sub(n.anchorMono) > time.Second {
		n.anchorAt(now, m.At)
	}
	o := n.observation(m)
	g.recordWitness(o)
	if m.OneWay && !g.ref.Expects(o) {
		return estimate.Outlier
	}
	g.ref.SetRigid(!g.frequencyMayJump())
	v := g.open.observe(g.ref, o, float64(m.MaxError), float64(m.Even), g.cfg.Wander)
	if v == estimate.Jumped && g.ref.Observations() < minTrusted {
		g.forgetRoot() // it was the first ones that were wrong
		return estimate.Outlier
	}
	if v != estimate.Used {
		return v
	}
	g.lastRef, g.interval = now, m.Interval.Seconds()
	g.steer(n, now, float64(m.Offset)+m.OffsetFraction, g.interval, true)
	return v
}

// frequencyMayJump reports whether two clocks of the host wander against each other by so much that one of them may change
// its frequency all of a sudden. Else it is the source that does, if anybody seems to.
func (g *Graph) frequencyMayJump() bool {
	for _, e := range g.edges {
		if e.estimate.Observations() > leanNeeded && e.estimate.Wander() > wildWander {
			return true
		}
	}
	return false
}

// wildWander is more than an oscillator made of a crystal wanders by, ppb per root second: a plain one does by about 1.
const wildWander = 100

// Prime takes in a measurement from before the one that Sample is given first: with two of them the frequency is known
// at once. Nothing is steered by it.
func (g *Graph) Prime(m source.Sample) {
	if n := g.root; n != nil && m.At.Clock() == n.id && !g.ref.Known() {
		g.open.observe(g.ref, n.observation(m), float64(m.MaxError), float64(m.Even), g.cfg.Wander)
	}
}

// observation makes a measurement one of the free-running oscillator.
func (n *node) observation(m source.Sample) estimate.Observation {
	whole, fraction := n.correction(m.At)
	return estimate.Observation{Time: m.At.Nanoseconds() - whole, Offset: m.Offset - whole,
		OffsetFraction: m.OffsetFraction - fraction, Variance: m.Variance, DelayVariance: m.DelayVariance}
}

// Accept takes the root to be off from the source by the offset of m all of a sudden: the source's time has changed, and
// there is nothing that speaks against it. It returns by how much the belief has moved.
func (g *Graph) Accept(now clock.Mono, m source.Sample) time.Duration {
	est, ok := g.Estimate(now, m.At.Clock())
	if !ok || g.root == nil || g.root.id != m.At.Clock() {
		return 0
	}
	d := clock.Sum(m.Offset, clock.Int64(math.Round(m.OffsetFraction)), -clock.Int64(est.Offset))
	g.ref.Jump(d, math.Sqrt(m.Variance))
	g.open.moved(float64(d))
	g.open.admit(float64(m.MaxError))
	return time.Duration(d)
}

// minTrusted is how many samples make sure that those after them are wrong, if they disagree: chosen by simulation.
const minTrusted = 4
