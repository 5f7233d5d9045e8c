// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/estimate"
	"github.com/lockstep-time/lockstep/servo"
	"github.com/lockstep-time/lockstep/source"
)

// Sample takes a measurement of the root in. Anything but Used leaves estimates and clocks as they are.
func (t *Tree) Sample(now clock.Mono, m source.Sample) estimate.Verdict {
	n := t.root
	if n == nil || m.At.Clock() != n.id {
		return estimate.Outlier
	}
	if now.Sub(n.anchorMono) > time.Second {
		n.saw(now, m.At)
	}
	o := n.observation(m)
	t.recordWitness(o)
	if m.OneWay && !t.ref.Expects(o) {
		return estimate.Outlier
	}
	t.ref.SetRigid(!t.restless())
	v := t.open.observe(t.ref, o, float64(m.MaxError), float64(m.Even), t.cfg.Wander)
	if v == estimate.Jumped && t.ref.Observations() < surely {
		t.forget() // it was the first ones that were wrong
		return estimate.Outlier
	}
	if v != estimate.Used {
		return v
	}
	t.lastRef, t.interval = now, m.Interval.Seconds()
	t.steer(n, now, float64(m.Offset)+m.OffsetFraction, t.interval, true)
	return v
}

// restless reports whether two clocks of the host wander against each other by so much that one of them may change its frequency
// all of a sudden. Else it is the source that does, if anybody seems to.
func (t *Tree) restless() bool {
	for _, e := range t.edges {
		if e.estimate.Observations() > leanAfter && e.estimate.Wander() > wildWander {
			return true
		}
	}
	return false
}

// wildWander is more than an oscillator made of a crystal wanders by, ppb per root second.
const wildWander = 100

// Prime takes in a measurement from before the one that Sample is given first: with two of them the frequency is known
// at once. Nothing is steered by it.
func (t *Tree) Prime(m source.Sample) {
	if n := t.root; n != nil && m.At.Clock() == n.id && !t.ref.Known() {
		t.open.observe(t.ref, n.observation(m), float64(m.MaxError), float64(m.Even), t.cfg.Wander)
	}
}

// observation makes a measurement one of the free-running oscillator.
func (n *node) observation(m source.Sample) estimate.Observation {
	whole, fraction := n.correction(m.At)
	return estimate.Observation{Time: m.At.Nanoseconds() - whole, Offset: m.Offset - whole,
		OffsetFraction: m.OffsetFraction - fraction, Variance: m.Variance, DelayVariance: m.DelayVariance}
}

// Accept takes the root to be off by offset ns from the source all of a sudden: the source's time has changed, and there
// is nothing that speaks against it. It returns by how much the belief has moved.
func (t *Tree) Accept(now clock.Mono, m source.Sample) time.Duration {
	est, ok := t.Estimate(now, m.At.Clock())
	if !ok || t.root == nil || t.root.id != m.At.Clock() {
		return 0
	}
	d := clock.Sum(m.Offset, clock.Int64(math.Round(m.OffsetFraction)), -clock.Int64(est.Offset))
	t.ref.Jump(d, math.Sqrt(m.Variance))
	t.open.moved(float64(d))
	t.open.admit(float64(m.MaxError))
	return time.Duration(d)
}

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
		if n != t.root && n.id == clock.System && now.Sub(n.steered) > 4*t.cfg.Interval {
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
	if t.beyond(n, now, est) || t.step(n, now, est) {
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
	t.apply(n, now, max(hold-t.maxSlew(), min(hold+t.maxSlew(), ppb)))
}

// maxSlew is the rate at which an offset is taken away at most, in ppb.
func (t *Tree) maxSlew() float64 {
	if t.margins.Jump == 0 || !t.margins.Slow {
		return t.cfg.MaxSlew
	}
	return min(t.cfg.MaxSlew, max(doubtfulSlew, t.margins.Jump.Seconds()/doubtfulTime.Seconds()*1e9))
}

// A jump that others may contradict is slewed within doubtfulTime, and not slower than at doubtfulSlew, in ppb.
const (
	doubtfulTime = 3 * time.Minute
	doubtfulSlew = 200
)

// note keeps the books, and tells of a lock found or lost.
func (t *Tree) note(n *node, est estimate.State, now clock.Mono) {
	if c, changed := n.note(est, t.reach()); changed {
		t.act.Changed(n.id, c, clock.Nanoseconds(est.Offset))
	}
}

// reach is the offset within which a clock counts as locked, ns: what the source's samples let expect.
func (t *Tree) reach() float64 {
	return max(1000, 0.4*t.open.full.half())
}

// beyond stops steering if the clock was locked once and is off by more than the panic threshold.
func (t *Tree) beyond(n *node, now clock.Mono, est estimate.State) bool {
	if t.cfg.PanicThreshold == 0 || !n.everLocked || math.Abs(est.Offset) <= float64(t.cfg.PanicThreshold) {
		return false
	}
	t.panicked = true
	for _, o := range t.nodes {
		if o.servo != nil {
			t.apply(o, now, o.servo.Hold())
		}
	}
	t.act.Changed(n.id, Panicked, clock.Nanoseconds(est.Offset))
	return true
}

// surely is how many samples make sure that those after them are wrong, if they disagree.
const surely = 4

// stampsInFlight is how old timestamps can be that the protocols have shifted by a step.
const stampsInFlight = time.Second

// soonEnough is the interval of samples, in s, with which a second one is worth waiting for.
const soonEnough = 2

// step steps the clock if its offset is beyond the threshold, certain, and the policy allows it.
func (t *Tree) step(n *node, now clock.Mono, est estimate.State) bool {
	allowed := t.cfg.Step == StepAlways || t.cfg.Step == StepFirst && !n.everLocked
	off := math.Abs(est.Offset)
	if !allowed || off <= float64(t.cfg.StepThreshold) || off < 4*est.Sigma() {
		return false
	}
	if t.ref.Observations() < 2 && est.FrequencyVar > WellKnown*WellKnown && t.interval <= soonEnough {
		return true // the next sample tells the frequency too, and the step then is one for good
	}
	d := -clock.Nanoseconds(est.Offset)
	at, err := t.act.Step(n.id, d)
	if n.failed(err) {
		return true
	}
	// stamps from right before the step come in shifted to the new time: they are of after it
	n.history.Step(at.Add(-stampsInFlight), d)
	n.saw(now, at.Add(d))
	n.servo.Stepped(float64(d))
	n.steps++
	n.updates = 0 // the root mean square is of what comes after
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
	if off, _ := at.Sub(n.reading(now)); off.Abs() < implausible { // else somebody has set it: crossings will tell
		n.saw(now, at)
	}
}

// implausible is by how much a reading may be other than expected if only this daemon was late.
const implausible = 100 * time.Millisecond

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
