// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"math"
	"slices"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/estimate"
	"github.com/lockstep-time/lockstep/servo"
)

// Tick steers what is due. The caller wakes the graph at NextWake, and may call Tick at any other time as well: what is due
// soon is done then, which saves a wake-up. Tick reports whether there was a regular update; then the caller compares the
// clocks, and answers by Cross.
func (g *Graph) Tick(now clock.Mono) (regular bool) {
	if regular = g.isDue(now); regular {
		g.due, g.updated, g.resting = max(g.due, now).Add(g.cfg.Interval), now, false
		g.update(now)
	}
	g.chooseMultiples(now)
	return regular
}

// isDue reports whether a regular update is due. It may be up to an interval early if there is a wake-up anyhow, but not
// right after the last one. The one after it is due as if it had been on time, so that there are no more of them.
func (g *Graph) isDue(now clock.Mono) bool {
	return now >= g.due || now.Add(g.cfg.Interval) >= g.due && now.Sub(g.updated) >= g.cfg.Interval/4
}

// update steers the clocks by what they are estimated to be off.
func (g *Graph) update(now clock.Mono) {
	if g.root == nil || !g.ref.Known() {
		g.rest(g.root, now, maxRest)
		return
	}
	if est, ok := g.estimate(g.root, now); ok {
		g.steer(g.root, now, est.Offset, g.interval, false)
	}
	for _, n := range g.nodes {
		if n != g.root && n.id == clock.System && now.Sub(n.steered) > 4*g.cfg.Interval {
			if est, ok := g.estimate(n, now); ok {
				g.steer(n, now, est.Offset, g.interval, false)
			}
		}
	}
}

// NextWake returns when the graph wants to be woken by Tick.
func (g *Graph) NextWake() clock.Mono {
	next := g.due
	for _, n := range g.nodes {
		next = min(next, n.choice)
	}
	return next
}

// maxRest is the longest time between updates.
const maxRest = 2 * time.Second

// rest has the next update be d after the one now, if that was of the root. Where there are PHCs updates stay regular: the
// crossings are, which steer too.
func (g *Graph) rest(n *node, now clock.Mono, d time.Duration) {
	if n != g.root || slices.ContainsFunc(g.nodes, func(n *node) bool { return n.id != clock.System }) {
		return
	}
	g.due, g.resting = now.Add(max(g.cfg.Interval, min(d, maxRest))), true
}

// rouse ends a rest.
func (g *Graph) rouse(now clock.Mono) {
	if g.resting {
		g.due, g.resting = now, false
	}
}

// enough returns for how long the frequency that is in force will do for a clock that is where est says. The law has the
// offset decay, and the frequency with it: to keep it for d makes an error of slew² d² / 2 offset.
func (n *node) enough(est estimate.State) time.Duration {
	slew, tolerable := n.applied+est.Frequency, max(1, est.Sigma()/restPart) // ppb, ns
	d := 1e9 * math.Sqrt(2*tolerable*math.Abs(est.Offset)) / max(math.Abs(slew), 1e-3)
	return clock.Nanoseconds(min(d, float64(maxRest)))
}

// restPart is the part of the standard deviation of a clock's offset that longer intervals between updates may be wrong by.
const restPart = 16

// steer brings the clock towards the source: by a step if it is far off and may be stepped, else by its frequency.
// measured says that offset, in ns, is new; without, it is extrapolated.
func (g *Graph) steer(n *node, now clock.Mono, offset, interval float64, measured bool) {
	est, ok := g.estimate(n, now)
	if !ok || n.servo == nil || g.panicked {
		g.rest(n, now, maxRest)
		return
	}
	if measured {
		g.recordUpdate(n, est)
	}
	if g.panics(n, now, est) || g.step(n, now, est) {
		return
	}
	if !measured && n.servo.Traits().ByMeasurement {
		if n == g.root && !g.leading && n.applied != n.servo.Hold() {
			g.apply(n, now, n.servo.Hold())
		}
		g.rest(n, now, maxRest)
		return
	}
	// the law is to see the clock as it would be without the frequency's quantum: that is made up for in apply
	n.accrueResidual(now)
	est.Offset -= n.residual
	hold := -est.Frequency
	ppb := n.servo.Update(servo.Input{Interval: interval, Offset: offset, Estimate: est})
	if n.servo.Traits().ByMeasurement {
		hold = n.servo.Hold()
	}
	g.apply(n, now, max(hold-g.maxSlew(), min(hold+g.maxSlew(), ppb)))
	g.rest(n, now, n.enough(est))
}

// maxSlew is the rate at which an offset is taken away at most, in ppb.
func (g *Graph) maxSlew() float64 {
	if g.margins.Jump == 0 || !g.margins.Slow {
		return g.cfg.MaxSlew
	}
	return min(g.cfg.MaxSlew, max(slowSlew, g.margins.Jump.Seconds()/slowTime.Seconds()*1e9))
}

// A jump that others may contradict is slewed within slowTime, and not slower than at slowSlew, in ppb: they need a few
// polls to contradict it. Chosen by simulation.
const (
	slowTime = 3 * time.Minute
	slowSlew = 200
)

// recordUpdate enters an update, and tells of a lock found or lost.
func (g *Graph) recordUpdate(n *node, est estimate.State) {
	if c, changed := n.recordOffset(est, g.reach()); changed {
		g.act.Changed(n.id, c, clock.Nanoseconds(est.Offset))
	}
}

// reach is the offset within which a clock counts as locked, ns: what the source's samples let expect. Both numbers are
// chosen by simulation.
func (g *Graph) reach() float64 {
	return max(1000, 0.4*g.open.full.half())
}

// panics stops steering if the clock was locked once and is off by more than the panic threshold.
func (g *Graph) panics(n *node, now clock.Mono, est estimate.State) bool {
	if g.cfg.PanicThreshold == 0 || !n.everLocked || math.Abs(est.Offset) <= float64(g.cfg.PanicThreshold) {
		return false
	}
	g.panicked = true
	for _, o := range g.nodes {
		if o.servo != nil {
			g.apply(o, now, o.servo.Hold())
		}
	}
	g.act.Changed(n.id, Panicked, clock.Nanoseconds(est.Offset))
	return true
}

// stampsInFlight is how old timestamps can be that the protocols have shifted by a step: chosen by simulation.
const stampsInFlight = time.Second

// longestWait is the interval of samples, in s, with which a second one is worth waiting for: the longest of Syncs in use.
const longestWait = 2

// step steps the clock if its offset is beyond the threshold, certain, and the policy allows it.
func (g *Graph) step(n *node, now clock.Mono, est estimate.State) bool {
	allowed := g.cfg.Step == StepAlways || g.cfg.Step == StepFirst && !n.everLocked
	off := math.Abs(est.Offset)
	if !allowed || off <= float64(g.cfg.StepThreshold) || off < 4*est.Sigma() {
		return false
	}
	if g.ref.Observations() < 2 && est.FrequencyVar > WellKnown*WellKnown && g.interval <= longestWait {
		return true // the next sample tells the frequency too, and the step then is one for good
	}
	d := -clock.Nanoseconds(est.Offset)
	at, err := g.act.Step(n.id, d)
	if n.failed(err) {
		return true
	}
	// stamps from right before the step come in shifted to the new time: they are of after it
	n.history.Step(at.Add(-stampsInFlight), d)
	n.anchorAt(now, at.Add(d))
	n.servo.Stepped(float64(d))
	n.steps++
	n.updates = 0 // the root mean square is of what comes after
	g.act.Changed(n.id, Stepped, d)
	// the frequency goes with it, as far as it is known
	if est.FrequencyVar < unknownFrequency*unknownFrequency/4 {
		g.apply(n, now, max(-n.maxFrequency, min(n.maxFrequency, -est.Frequency)))
	}
	return true
}

// apply has the clock run by the frequency that is wanted, in the mean if that has a quantum.
func (g *Graph) apply(n *node, now clock.Mono, want float64) {
	n.accrueResidual(now)
	want = max(-n.maxFrequency, min(n.maxFrequency, want))
	ppb := want
	if n.quantum > 0 {
		if ppb = n.multiple(want); ppb == n.applied && now.Sub(n.setAt) < setAnewAfter {
			n.wanted = want
			n.choice = n.nextChoice(now)
			return
		}
	}
	g.set(n, now, ppb, want)
}

// set sets the frequency to ppb, want being wanted.
func (g *Graph) set(n *node, now clock.Mono, ppb, want float64) {
	n.setAt = now
	if n.quantum > 0 {
		n.choice = now.Add(g.cfg.Interval) // if it fails
	}
	applied, at, err := g.act.SetFrequency(n.id, ppb)
	if n.failed(err) {
		return
	}
	n.history.SetFrequency(at, applied)
	n.applied, n.wanted = applied, want
	if n.quantum > 0 {
		n.choice = n.nextChoice(now)
	} else {
		n.wanted = applied
	}
	if off, _ := at.Sub(n.reading(now)); off.Abs() < maxLateness { // else somebody has set it: crossings will tell
		n.anchorAt(now, at)
	}
}

// maxLateness is by how much a reading may be other than expected if only this daemon was late: chosen by simulation.
const maxLateness = 100 * time.Millisecond

// failed notes an error of the clock, and whether there was one.
func (n *node) failed(err error) bool {
	n.err = err
	return err != nil
}
