// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"math"
	"slices"
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
	t.testify(o)
	if m.OneWay && !t.ref.Expects(o) {
		return estimate.Outlier
	}
	t.ref.SetRigid(!t.restless())
	v := t.margins.observe(t.ref, o, float64(m.MaxError), float64(m.Even), t.cfg.Wander)
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
	for _, n := range t.nodes {
		if n.edge != nil && n.edge.Observations() > leanAfter && n.edge.Wander() > wildWander {
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
		t.margins.observe(t.ref, n.observation(m), float64(m.MaxError), float64(m.Even), t.cfg.Wander)
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
	t.margins.moved(float64(d))
	t.margins.admit(float64(m.MaxError))
	return time.Duration(d)
}

// Doubt has the maximum error allow for a jump of the source by d being wrong, as long as this source is followed. slowly
// has the clocks take their time on the way: there are others who may come to see that it is wrong.
func (t *Tree) Doubt(d time.Duration, slowly bool) {
	t.doubt = min(clock.Sum(t.doubt, d.Abs()), Unlimited)
	t.slowly = slowly
}

// Misgive has the maximum error allow for d more, as long as this source is followed or until it is told otherwise: the
// sources contradict this host.
func (t *Tree) Misgive(d time.Duration) { t.misgiving = min(d, Unlimited) }

// Cross takes in a comparison of a PHC (A) with the system clock (B).
func (t *Tree) Cross(now clock.Mono, c clock.Crossing) {
	n, system := t.node(c.A.Clock()), t.node(c.B.Clock())
	if n == nil || system == nil || n.edge == nil {
		return
	}
	n.system, n.window, n.method = system, 2*c.Uncertainty, c.Method

	nw, nf := n.correction(c.A)
	sw, sf := system.correction(c.B)
	resolution := n.resolution(system)
	alike, own := n.windows.Variances(float64(2*c.Uncertainty), resolution)
	o := estimate.Observation{Time: c.B.Nanoseconds() - sw,
		Offset:         c.B.Nanoseconds() - sw - (c.A.Nanoseconds() - nw),
		OffsetFraction: nf - sf, Variance: alike, DelayVariance: own}
	base, est := n.edge.At(o.Time)
	excess := float64(n.window) - n.windows.Min()
	miss := float64(o.Offset-base) + o.OffsetFraction - est.Offset
	lean := n.lean.Part() * excess
	o.OffsetFraction -= lean
	// the window bounds the error, unless comparisons scatter by more than it can hold
	bound := max(float64(c.Uncertainty), crossingSigmas*n.edge.Noise(o))
	v := n.between.observe(n.edge, o, bound+resolution+math.Abs(lean), 0)
	if v == estimate.Outlier { // perhaps somebody has set a clock: its reading is nothing to reckon from
		if n.oddSince == 0 {
			n.oddSince = now
		}
		return
	}
	n.saw(now, c.A)
	system.saw(now, c.B)
	switch v {
	case estimate.Jumped:
		d := clock.Sum(o.Offset, -base, -clock.Int64(est.Offset))
		if abs(d) < foreignAtLeast {
			n.edge.Jump(d, float64(abs(d)))
			n.between.moved(float64(d))
			n.between.admit(float64(c.Uncertainty))
			return
		}
		t.foreignStep(now, n, system, d, est.Frequency)
	case estimate.Used:
		n.sounded()
		if n.edge.Observations() > leanAfter {
			n.lean.Learn(excess, miss)
		}
		n.sound(now, c.A)
		system.sound(now, c.B)
		t.follow(now, n, system)
	}
}

// foreignAtLeast is the least jump, in ns, that is taken for somebody else's doing; less is the two clocks' own.
const foreignAtLeast = 20_000

// leanAfter is how many crossings it takes until their misses say something of how they are made.
const leanAfter = 32

// crossingResolution is the standard deviation of a crossing whatever its window, ns: clocks are read in whole ticks.
const crossingResolution = 4

// resolution returns the standard deviation of a crossing whatever its window, in ns: clocks are read in whole ticks, and
// a new frequency is in force a little before or after the reading that is noted for it.
func (n *node) resolution(system *node) float64 {
	late := (math.Abs(n.applied-n.crossedAt) + math.Abs(system.applied-system.crossedAt)) * effectLatency
	n.crossedAt, system.crossedAt = n.applied, system.applied
	return crossingResolution + late
}

// crossingSigmas is how many standard deviations of their noise comparisons may be off by.
const crossingSigmas = 4

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

// foreignStep finds out which end of an edge somebody else has set, by d ns of the free-running system clock less the
// free-running PHC, which drift apart by ppb, and enters it into that clock's history. A large step shows in what the clock has gone on since; of a small one the source
// tells whether it was the root's. Where nothing tells, it is the PHC: drivers reset those.
func (t *Tree) foreignStep(now clock.Mono, n, system *node, d int64, ppb float64) {
	victim, by := n, -d
	switch {
	case abs(d) > discernible:
		if n.ran(now)*2 < abs(d) && system.ran(now)*2 > abs(d) {
			victim, by = system, d
		}
	case t.leading && n == t.root:
		if !n.witnessed && now.Sub(n.oddSince) < maxWait {
			return // the source's next sample is waited for
		}
		if n.witnessed && !n.witness(by) {
			victim, by = system, d
		}
	case t.leading && system == t.root && n.witnessed && n.witness(d):
		victim, by = system, d
	}
	n.sounded()
	at := victim.reading(now)
	if victim == system { // the edge is a function of its time
		by = clock.Sum(by, clock.Int64(float64(by)*ppb/1e9))
	}
	by = clock.Sum(by, clock.Int64(float64(by)*victim.applied/1e9)) // what was skipped has been reckoned with the correction in force
	victim.history.Step(at.Add(-time.Duration(by)), time.Duration(by))
	if victim != system { // its device was reset: frequency and time have to be set again
		victim.everLocked, victim.locked = false, false
		t.apply(victim, now, victim.applied)
	}
	t.act.Changed(victim.id, Jumped, time.Duration(by))
}

// maxWait is how long a source's sample is waited for that tells which of two clocks was set.
const maxWait = 3 * time.Second

// testify has the source's sample tell of the root what the crossings since something went wrong cannot.
func (t *Tree) testify(o estimate.Observation) {
	base, est := t.ref.At(o.Time)
	for _, n := range t.nodes {
		if n.oddSince != 0 && !n.witnessed {
			n.witnessed, n.miss = true, float64(o.Offset-base)+o.OffsetFraction-est.Offset
		}
	}
}

// witness reports whether the source has seen the root move by ns, rather than not at all. Half of it is what it sees
// where the way there was measured after the move, and the way back before it.
func (n *node) witness(by int64) bool { return n.miss/float64(by) > 0.25 }

// sounded ends what began with a crossing that was not as expected.
func (n *node) sounded() { n.oddSince, n.witnessed = 0, false }

// discernible is a step, in ns, that cannot be taken for the time that an event took to be heard of.
const discernible = int64(50 * time.Millisecond)

func abs(v int64) int64 { return max(v, -v) }

// Tick steers what is due. The caller wakes the tree at NextWake, and answers by Cross for the PHCs that it compares
// at each regular one.
func (t *Tree) Tick(now clock.Mono) {
	early := now.Add(tolerance)
	if early < t.next {
		return
	}
	t.next = now.Add(t.cfg.Interval)
	for _, n := range t.nodes {
		if n.coarse {
			t.next = min(t.next, now.Add(t.cfg.Interval/ditherRate))
			if early < t.due {
				t.apply(n, now, n.wanted)
			}
		}
	}
	if early < t.due {
		return
	}
	t.due, t.resting = now.Add(t.cfg.Interval), false
	if t.root == nil || !t.ref.Known() {
		t.rest(t.root, now, maxRest)
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

// tolerance is how much earlier something may be done that is due, if there is a wake-up anyhow.
const tolerance = 4 * time.Millisecond

// NextWake returns when the tree wants to be woken by Tick.
func (t *Tree) NextWake() clock.Mono { return t.next }

// NextCrossing returns when the PHCs should be compared next that are compared now: with the next regular update if there is
// one at about that time, so that both take one wake-up.
func (t *Tree) NextCrossing(now clock.Mono) clock.Mono {
	if wait := t.due.Sub(now); wait > t.cfg.Interval/2 && wait < 3*t.cfg.Interval/2 {
		return t.due
	}
	return now.Add(t.cfg.Interval)
}

// maxRest is the longest time between updates.
const maxRest = 2 * time.Second

// rest has the next update be d after the one now, if that was of the root. Where there are PHCs updates stay regular: the
// crossings are, which steer too.
func (t *Tree) rest(n *node, now clock.Mono, d time.Duration) {
	if n != t.root || slices.ContainsFunc(t.nodes, func(n *node) bool { return n.edge != nil }) {
		return
	}
	t.due, t.resting = now.Add(max(t.cfg.Interval, min(d, maxRest))), true
	t.next = t.due
}

// rouse ends a rest.
func (t *Tree) rouse(now clock.Mono) {
	if t.next = min(t.next, now); t.resting {
		t.due, t.resting = now, false
	}
}

// enough returns for how long the frequency that is in force will do for a clock that is where est says. The law has the offset
// decay, and the frequency with it: to keep it for d makes an error of slew² d² / 2 offset.
func (n *node) enough(est estimate.State) time.Duration {
	slew, tolerable := n.applied+est.Frequency, max(1, est.Sigma()/restPart) // ppb, ns
	return clock.Nanoseconds(min(1e9*math.Sqrt(2*tolerable*math.Abs(est.Offset))/max(math.Abs(slew), 1e-3), float64(maxRest)))
}

// restPart is the part of the standard deviation of a clock's offset that longer intervals between updates may be wrong by.
const restPart = 16

// steer brings the clock towards the source: by a step if it is far off and may be stepped, else by its frequency.
// measured says that offset, in ns, is new; without, it is extrapolated.
func (t *Tree) steer(n *node, now clock.Mono, offset, interval float64, measured bool) {
	est, ok := t.estimate(n, now)
	if !ok || n.servo == nil || t.panicked {
		t.rest(n, now, maxRest)
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
		t.rest(n, now, maxRest)
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
	t.rest(n, now, n.enough(est))
}

// maxSlew is the rate at which an offset is taken away at most, in ppb.
func (t *Tree) maxSlew() float64 {
	if t.doubt == 0 || !t.slowly {
		return t.cfg.MaxSlew
	}
	return min(t.cfg.MaxSlew, max(doubtfulSlew, t.doubt.Seconds()/doubtfulTime.Seconds()*1e9))
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
	return max(1000, 0.4*t.margins.full.half())
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
