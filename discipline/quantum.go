// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

// The frequency of some clocks is a multiple of a quantum: 119 ppb of an Intel 82576, which is 15 ns in each Interval. Such
// a clock runs by the multiple next above the frequency that is wanted and by the one next below it in turn, so that it
// stays where it would be without the quantum, but for its residual.

const (
	// residualTime times the quantum is the residual at which the other multiple is chosen: for an 82576 3 ns, less
	// than a Sync a second leaves it off. It takes 10 wake-ups a second at most, those that are due for other reasons included.
	residualTime = 25 * time.Millisecond
	// awakePart of that residual is enough where nobody has to be woken for it.
	awakePart = 2
	// choiceTolerance is how much earlier the other multiple may be chosen, for an 82576 0.5 ns.
	choiceTolerance = 4 * time.Millisecond
	// setAnewAfter is after what time the frequency is set even if it is the one in force: somebody may have changed it.
	setAnewAfter = time.Second
	// seenPart times the residual at which another multiple is chosen is what the steering law may see of what the quantum has
	// done: the daemon was kept from running for longer than any law expects.
	seenPart = 8
)

// accrueResidual reckons what the quantum of the frequency has added to the clock since it was last set.
func (n *node) accrueResidual(now clock.Mono) {
	n.residual = n.residualAt(now)
	n.steered = now
	if math.Abs(n.residual) > seenPart*n.maxKept() {
		n.residual = 0
	}
}

func (n *node) residualAt(now clock.Mono) float64 {
	return n.residual + (n.applied-n.wanted)*now.Sub(n.steered).Seconds()
}

// maxKept is the residual, in ns, at which the other multiple has to be chosen.
func (n *node) maxKept() float64 { return n.quantum * residualTime.Seconds() }

// multiple returns the multiple of the quantum that the clock is to run by, want being wanted: on the same side of it as the
// one in force, until the residual is large enough.
func (n *node) multiple(want float64) (ppb float64) {
	above := n.applied > want
	if math.Abs(n.residual) >= n.maxKept()/awakePart {
		above = n.residual < 0
	}
	k := math.Floor(want / n.quantum)
	if above {
		k++
	}
	return max(-n.maxFrequency, min(n.maxFrequency, k*n.quantum))
}

// nextChoice returns when the residual will be as large as is kept. If it is larger already, and grows, the clock cannot run
// by the other multiple: then the regular updates are enough.
func (n *node) nextChoice(now clock.Mono) clock.Mono {
	slope := n.applied - n.wanted // ppb, that is ns per second
	seconds := (n.maxKept() - math.Copysign(1, slope)*n.residual) / math.Abs(slope)
	if !(seconds >= 0 && seconds < 1e3) { // for the slope may be 0
		return clock.Never
	}
	return now.Add(clock.Nanoseconds(max(seconds*1e9, float64(choiceTolerance))))
}

// chooseMultiples does so for the clocks for which it is time, or pays since there is a wake-up anyhow.
func (g *Graph) chooseMultiples(now clock.Mono) {
	for _, n := range g.nodes {
		if n.quantum == 0 || n.servo == nil {
			continue
		}
		residual, grows := n.residualAt(now), n.applied > n.wanted
		pays := math.Abs(residual) >= n.maxKept()/awakePart && (residual > 0) == grows
		if pays || n.choice <= now.Add(choiceTolerance) {
			g.apply(n, now, n.wanted)
		}
	}
}
