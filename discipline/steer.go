// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/servo"
)

// Measurement of the root by the source that is followed.
type Measurement struct {
	// At is what the root read at the instant that Offset holds for.
	At clock.Timestamp
	// Offset of the root less the source on the root's scale is the sum of the two, in ns.
	Offset         int64
	OffsetFraction float64
	// Variance and DelayVariance as in servo.Observation, in ns².
	Variance, DelayVariance float64
	// MaxError bounds what the source and the path contribute.
	MaxError time.Duration
	// Interval at which measurements come, in seconds.
	Interval float64
}

// Sample takes a measurement of the root in. Anything but Used leaves estimates and clocks as they are.
func (t *Tree) Sample(now clock.Mono, m Measurement) servo.Verdict {
	n := t.root
	if n == nil || m.At.Clock() != n.id {
		return servo.Outlier
	}
	if now.Sub(n.anchorMono) > time.Second {
		n.saw(now, m.At)
	}
	whole, fraction := n.correction(m.At)
	v := t.ref.Observe(servo.Observation{Time: m.At.Nanoseconds() - whole, Offset: m.Offset - whole,
		OffsetFraction: m.OffsetFraction - fraction, Variance: m.Variance, DelayVariance: m.DelayVariance})
	if v != servo.Used {
		return v
	}
	t.lastRef, t.bound, t.interval = now, m.MaxError, m.Interval
	t.steer(n, now, float64(m.Offset)+m.OffsetFraction, m.Interval, true)
	return v
}

// Accept takes the root to be off by offset ns from the source all of a sudden: the source's time has changed, and there
// is nothing that speaks against it.
func (t *Tree) Accept(now clock.Mono, m Measurement) {
	if est, ok := t.Estimate(now, m.At.Clock()); ok && t.root != nil && t.root.id == m.At.Clock() {
		t.ref.Jump(m.Offset-int64(est.Offset), math.Sqrt(m.Variance))
	}
}

// Cross takes in a comparison of a PHC (A) with the system clock (B).
func (t *Tree) Cross(now clock.Mono, c clock.Crossing) {
	n, system := t.node(c.A.Clock()), t.node(c.B.Clock())
	if n == nil || system == nil || n.edge == nil {
		return
	}
	n.saw(now, c.A)
	system.saw(now, c.B)
	n.system, n.window, n.method = system, 2*c.Uncertainty, c.Method

	nw, nf := n.correction(c.A)
	sw, sf := system.correction(c.B)
	alike, own := n.windows.Variances(float64(2*c.Uncertainty), n.resolution(system))
	o := servo.Observation{Time: c.B.Nanoseconds() - sw,
		Offset:         c.B.Nanoseconds() - sw - (c.A.Nanoseconds() - nw),
		OffsetFraction: nf - sf, Variance: alike, DelayVariance: own}
	base, est := n.edge.At(o.Time)
	switch n.edge.Observe(o) {
	case servo.Jumped:
		d := o.Offset - base - int64(est.Offset)
		if abs(d) < foreignAtLeast {
			n.edge.Jump(d, float64(abs(d)))
			return
		}
		t.foreignStep(now, n, system, d)
	case servo.Used:
		n.sound(now, c.A)
		system.sound(now, c.B)
		t.follow(now, n, system)
	}
}

// foreignAtLeast is the least jump, in ns, that is taken for somebody else's doing; less is the two clocks' own.
const foreignAtLeast = 20_000

// crossingResolution is the standard deviation of a crossing whatever its window, ns: clocks are read in whole ticks.
const crossingResolution = 4

// resolution returns the standard deviation of a crossing whatever its window, in ns: clocks are read in whole ticks, and
// a new frequency is in force a little before or after the reading that is noted for it.
func (n *node) resolution(system *node) float64 {
	late := (math.Abs(n.applied-n.crossedAt) + math.Abs(system.applied-system.crossedAt)) * effectLatency
	n.crossedAt, system.crossedAt = n.applied, system.applied
	return crossingResolution + late
}

// effectLatency is the time, in s, that it may take a frequency to be in force.
const effectLatency = 100e-6

// follow steers the end of an edge that is not the root.
func (t *Tree) follow(now clock.Mono, n, system *node) {
	interval := t.cfg.Interval.Seconds()
	for _, o := range [2]*node{system, n} {
		if o == t.root || t.root == nil {
			continue
		}
		if o == system && t.root != n {
			continue // it hangs from another clock
		}
		if est, ok := t.estimate(o, now); ok {
			t.steer(o, now, est.Offset, interval, true)
		}
	}
}

// foreignStep finds out which end of an edge somebody else has set, by d ns (of the system clock less the PHC), and
// enters it into that clock's history.
func (t *Tree) foreignStep(now clock.Mono, n, system *node, d int64) {
	victim, by := n, -d
	if n.ran(now)*2 < abs(d) && (n == t.root || system.ran(now)*2 > abs(d)) {
		victim, by = system, d
	}
	at := victim.reading(now)
	victim.history.Step(at.Add(-time.Duration(by)), time.Duration(by))
	if victim != system { // its device was reset: frequency and time have to be set again
		victim.everLocked, victim.locked = false, false
		t.apply(victim, now, victim.applied)
	}
	t.act.Changed(victim.id, Jumped, time.Duration(by))
}

func abs(v int64) int64 { return max(v, -v) }

// Tick steers what is due. The caller wakes the tree at NextWake, and answers by Cross for the PHCs that it compares
// at each tick.
func (t *Tree) Tick(now clock.Mono) {
	if now < t.next {
		return
	}
	t.next = now.Add(t.cfg.Interval)
	for _, n := range t.nodes {
		if n.coarse {
			t.next = min(t.next, now.Add(t.cfg.Interval/ditherRate))
			if now < t.due {
				t.apply(n, now, n.wanted)
			}
		}
	}
	if now < t.due {
		return
	}
	t.due = now.Add(t.cfg.Interval)
	if t.root == nil || !t.ref.Known() {
		return
	}
	if est, ok := t.estimate(t.root, now); ok {
		t.steer(t.root, now, est.Offset, t.interval, false)
	}
	for _, n := range t.nodes {
		if n != t.root && n.edge == nil && now.Sub(n.steered) > 4*t.cfg.Interval {
			if est, ok := t.estimate(n, now); ok {
				t.steer(n, now, est.Offset, t.interval, false)
			}
		}
	}
}

// NextWake returns when the tree wants to be woken by Tick.
func (t *Tree) NextWake() clock.Mono { return t.next }

// steer brings the clock towards the source: by a step if it is far off and may be stepped, else by its frequency.
// measured says that offset, in ns, is new; without, it is extrapolated.
func (t *Tree) steer(n *node, now clock.Mono, offset, interval float64, measured bool) {
	est, ok := t.estimate(n, now)
	if !ok || n.servo == nil || t.panicked {
		return
	}
	if measured {
		t.note(n, est, now)
	}
	if t.beyond(n, est) || t.step(n, now, est) {
		return
	}
	if !measured && n.servo.Name() == servo.NamePI {
		if n == t.root && !t.leading && n.applied != n.servo.Hold() {
			t.apply(n, now, n.servo.Hold())
		}
		return
	}
	// the law is to see the clock as it would be without the frequency's quantum: that is made up for in apply
	n.settle(now)
	est.Offset -= n.residual
	hold := -est.Frequency
	ppb := n.servo.Update(servo.Input{Interval: interval, Offset: offset, Estimate: est})
	if n.servo.Name() == servo.NamePI {
		hold = n.servo.Hold()
	}
	t.apply(n, now, max(hold-t.cfg.MaxSlew, min(hold+t.cfg.MaxSlew, ppb)))
}

// note keeps the books, and tells of a lock found or lost.
func (t *Tree) note(n *node, est servo.Estimate, now clock.Mono) {
	if c, changed := n.note(est, t.reach()); changed {
		t.act.Changed(n.id, c, time.Duration(est.Offset))
	}
}

// reach is the offset within which a clock counts as locked, ns: what the source's samples let expect.
func (t *Tree) reach() float64 {
	return max(1000, 4*float64(t.bound)/10)
}

// beyond stops steering if the clock was locked once and is off by more than the panic threshold.
func (t *Tree) beyond(n *node, est servo.Estimate) bool {
	if t.cfg.PanicThreshold == 0 || !n.everLocked || math.Abs(est.Offset) <= float64(t.cfg.PanicThreshold) {
		return false
	}
	t.panicked = true
	for _, o := range t.nodes {
		if o.servo != nil {
			t.apply(o, o.anchorMono, o.servo.Hold())
		}
	}
	t.act.Changed(n.id, Panicked, time.Duration(est.Offset))
	return true
}

// step steps the clock if its offset is beyond the threshold, certain, and the policy allows it.
func (t *Tree) step(n *node, now clock.Mono, est servo.Estimate) bool {
	allowed := t.cfg.Step == StepAlways || t.cfg.Step == StepFirst && !n.everLocked
	off := math.Abs(est.Offset)
	if !allowed || off <= float64(t.cfg.StepThreshold) || off < 4*est.Sigma() {
		return false
	}
	d := -time.Duration(est.Offset)
	at, err := t.act.Step(n.id, d)
	if n.failed(err) {
		return true
	}
	n.history.Step(at, d)
	n.saw(now, at.Add(d))
	n.servo.Stepped(float64(d))
	n.steps++
	t.act.Changed(n.id, Stepped, d)
	// the frequency goes with it, as far as it is known
	if est.FrequencyVar < unknownFrequency*unknownFrequency/4 {
		t.apply(n, now, max(-n.maxFrequency, min(n.maxFrequency, -est.Frequency)))
	}
	return true
}

// settle reckons what the quantum of the frequency has added to the clock since it was last set.
func (n *node) settle(now clock.Mono) {
	n.residual += (n.applied - n.wanted) * now.Sub(n.steered).Seconds()
	n.steered = now
	if math.Abs(n.residual) > maxResidual {
		n.residual = 0
	}
}

// apply sets the frequency. What the clock's quantum adds to or takes from it is made good at the next times.
func (t *Tree) apply(n *node, now clock.Mono, want float64) {
	n.settle(now)
	want = max(-n.maxFrequency, min(n.maxFrequency, want))
	ppb := max(-n.maxFrequency, min(n.maxFrequency, want-n.dither(t.cfg.Interval)))
	applied, at, err := t.act.SetFrequency(n.id, ppb)
	if n.failed(err) {
		return
	}
	n.history.SetFrequency(at, applied)
	n.applied, n.wanted = applied, want
	if n.coarse = math.Abs(applied-ppb) > fine; !n.coarse {
		n.wanted, n.residual = applied, 0
	}
	n.saw(now, at)
}

const (
	// ditherRate is how often, per Interval, the frequency of a clock with a coarse quantum is chosen anew, so that its mean
	// is the one wanted.
	ditherRate = 4
	// fine is a difference between the frequency wanted and taken that needs no making good, ppb.
	fine = 0.1
	// maxResidual is the offset, in ns, beyond which the steering law may see what the quantum has done: the daemon was kept
	// from running.
	maxResidual = 25
	// maxDither bounds what is added to a frequency to make a quantum good, ppb.
	maxDither = 150
)

// dither returns the frequency that makes good within one choice what the quantum has done so far.
func (n *node) dither(interval time.Duration) float64 {
	return max(-maxDither, min(maxDither, n.residual*ditherRate/interval.Seconds()))
}

// failed notes an error of the clock, and whether there was one.
func (n *node) failed(err error) bool {
	n.err = err
	return err != nil
}
