// SPDX-License-Identifier: Apache-2.0

// Package discipline steers the clocks of a host. They form a tree: the root is the source that is followed, its child
// the clock that the source measures, and the other clocks hang from that one by crossings. All are steered against the
// source, not against each other, and following another source is re-rooting the tree.
//
// Estimates are kept in the time of each clock's free-running oscillator, so that no steering disturbs them.
// The package does no I/O and never asks what time it is; a Tree belongs to one goroutine.
package discipline

import (
	"math"
	"slices"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/estimate"
	"github.com/lockstep-time/lockstep/servo"
)

// StepPolicy says when a clock may be stepped.
type StepPolicy uint8

const (
	// StepFirst: until the clock has been locked for the first time.
	StepFirst StepPolicy = iota
	// StepNever: all offsets are slewed.
	StepNever
	// StepAlways: whenever the offset exceeds the threshold.
	StepAlways
)

// Config of a Tree.
type Config struct {
	Step StepPolicy
	// StepThreshold is the offset above which a clock is stepped, where the policy says so.
	StepThreshold time.Duration
	// PanicThreshold is the offset beyond which a clock that was locked once is not steered any more; 0 is none.
	PanicThreshold time.Duration
	// MaxSlew is the rate at which an offset is taken away at most, in ppb.
	MaxSlew float64
	// Wander of the oscillators' frequency that the maximum error allows for at least, in ppb per root second.
	Wander float64
	// Interval between crossings, and between updates of the clocks' frequencies.
	Interval time.Duration
}

// Actuator changes the clocks.
type Actuator interface {
	// SetFrequency sets the correction, and returns the one that the clock really took and what it read then.
	SetFrequency(id clock.ID, ppb float64) (applied float64, at clock.Timestamp, err error)
	// Step adds d to the clock, and returns what it read before.
	Step(id clock.ID, d time.Duration) (at clock.Timestamp, err error)
	// Changed is told of what a person would want to know.
	Changed(id clock.ID, what Change, d time.Duration)
}

// Change is an event in the life of a clock.
type Change uint8

const (
	// Stepped: by d, by the tree.
	Stepped Change = iota
	// Locked: it has come within reach of its reference, d off.
	Locked
	// Lost: it is not within reach any more, d off.
	Lost
	// Jumped: somebody else has set it, by d.
	Jumped
	// Panicked: it is d off, and not steered any more.
	Panicked
)

// Tree of the clocks.
type Tree struct {
	cfg   Config
	act   Actuator
	nodes []*node // the system clock first, if there is one
	root  *node   // measured by the source; nil before the first source
	// ref is the root's free-running clock less the source.
	ref            *estimate.Estimator
	margins        margins       // as of the last sample
	doubt          time.Duration // by which the source has jumped, with nothing but its own word for it
	misgiving      time.Duration // by which the sources contradict what is believed
	utcUncertainty time.Duration // by which what is reckoned of UTC may be wrong
	slowly         bool          // it is followed slowly because of that
	lastRef        clock.Mono    // of the last sample used
	interval       float64       // between samples, seconds
	leading        bool          // a source is followed now
	utc            int           // TAI − UTC
	utcKnown       bool
	panicked       bool
	next           clock.Mono
	due            clock.Mono // of the next regular update
	resting        bool       // that is later than the regular interval
}

// New returns a tree without clocks.
func New(cfg Config, act Actuator) *Tree {
	return &Tree{cfg: cfg, act: act, ref: estimate.New(), interval: 1}
}

// SetConfig changes how and by what clocks are steered from now on.
func (t *Tree) SetConfig(cfg Config, act Actuator) { t.cfg, t.act = cfg, act }

// Abandon forgets what is believed of the clocks' offsets to the source followed last.
func (t *Tree) Abandon() {
	t.root, t.leading = nil, false
	t.forget()
}

// forget what is believed of the root.
func (t *Tree) forget() {
	t.ref.Forget()
	t.margins = margins{}
}

// Settle sets all steered clocks to their learned frequencies, and those of which nothing is learned yet to the one that
// they came with: nothing stays in force for the sake of an offset.
func (t *Tree) Settle(now clock.Mono) {
	for _, n := range t.nodes {
		t.settle(n, now)
	}
}

// SettleClock does to one clock what Settle does to all: it is about to be removed.
func (t *Tree) SettleClock(now clock.Mono, id clock.ID) {
	if n := t.node(id); n != nil {
		t.settle(n, now)
	}
}

func (t *Tree) settle(n *node, now clock.Mono) {
	if n.servo == nil {
		return
	}
	ppb := n.came
	if est, ok := t.estimate(n, now); n.everLocked || ok && est.FrequencyVar < WellKnown*WellKnown {
		ppb = n.servo.Hold()
	}
	n.residual = 0
	t.apply(n, now, ppb)
}

// Info is what a tree has to know of a clock.
type Info struct {
	ID    clock.ID
	Scale clock.Scale
	// Servo that steers it; nil if it is only watched.
	Servo servo.Servo
	// MaxFrequency that it takes, in ppb; Frequency in force now, and what the clock reads.
	MaxFrequency, Frequency float64
	Reading                 clock.Timestamp
	// Sigma says how well Frequency is known to cancel the oscillator's error, in ppb; 0 if it is not.
	Sigma float64
	// Trusted: it has been locked before, and goes on from there.
	Trusted bool
}

// Add puts a clock into the tree.
func (t *Tree) Add(now clock.Mono, in Info) {
	n := newNode(in, now, t.cfg)
	if in.ID == clock.System {
		t.nodes = slices.Insert(t.nodes, 0, n)
	} else {
		t.nodes = append(t.nodes, n)
	}
	t.rouse(now)
}

// Remove takes a clock out: its device is gone. If it was the root, the system clock takes its place.
func (t *Tree) Remove(now clock.Mono, id clock.ID) {
	n := t.node(id)
	if n == nil {
		return
	}
	if t.root == n {
		if heir := t.node(clock.System); heir != nil && heir != n && t.reroot(now, heir) {
			t.leading = false
		} else {
			t.root, t.leading = nil, false
			t.forget()
		}
	}
	t.nodes = slices.DeleteFunc(t.nodes, func(o *node) bool { return o == n })
}

// Has reports whether the tree has the clock.
func (t *Tree) Has(id clock.ID) bool { return t.node(id) != nil }

func (t *Tree) node(id clock.ID) *node {
	for _, n := range t.nodes {
		if n.id == id {
			return n
		}
	}
	return nil
}

// SetUTCOffset says what TAI − UTC is. While it is not known, clocks of different scales do not follow each other.
func (t *Tree) SetUTCOffset(seconds int, known bool) { t.utc, t.utcKnown = seconds, known }

// lead returns how far the scale of n is ahead of the system clock's, in ns.
func (t *Tree) lead(n *node) int64 {
	if n.scale == clock.TAI {
		return int64(t.utc) * int64(time.Second)
	}
	return 0
}

// Follow has the clock id measured by a source from now on. What is known of the clocks' offsets and frequencies stays.
// With the zero ID there is no source: the clocks hold over.
func (t *Tree) Follow(now clock.Mono, id clock.ID) {
	n := t.node(id)
	if n == nil {
		if t.leading = false; t.resting {
			t.rouse(now)
		}
		return
	}
	if t.root == nil {
		t.root = n
		if ppb, sigma, ok := t.presumed(n); ok {
			t.ref.SetFrequency(ppb, sigma)
		}
	} else if !t.reroot(now, n) {
		t.root = n
		t.forget()
		t.ref.SetFrequency(-n.servoHold(), unknownFrequency)
	}
	t.leading, t.doubt, t.misgiving = true, 0, 0
	t.rouse(now)
}

// presumed returns what an oscillator's frequency error is taken to be before it has been measured, in ppb: what cancels the
// correction that the clock came with if that was learned, and else what a PHC differs by from the system clock.
func (t *Tree) presumed(n *node) (ppb, sigma float64, ok bool) {
	switch {
	case n.frequencySigma > 0:
		return -n.came, n.frequencySigma, true
	case n.edge != nil && n.edge.Observations() > 1:
		_, est := n.edge.At(n.edge.Time()) // over the system clock's time
		return -est.Frequency / pace(est.Frequency), math.Sqrt(unknownFrequency*unknownFrequency + est.FrequencyVar), true
	}
	return 0, 0, false
}

// unknownFrequency is the standard deviation of an oscillator's frequency that was learned by nothing, ppb.
const unknownFrequency = 1e5

// reroot carries what is known of the old root over to the new one. It is false if there is no way between the two.
func (t *Tree) reroot(now clock.Mono, n *node) bool {
	if n == t.root {
		if t.ref.Known() { // the noise is another source's
			base, est := t.ref.At(t.ref.Time())
			t.ref.Seed(t.ref.Time(), base, est, t.ref.Wander())
		}
		return t.ref.Known()
	}
	est, base, at, ok := t.free(n, now)
	if !ok {
		return false
	}
	full, _ := t.across(t.margins.full, n, now)
	stated, _ := t.across(t.margins.stated, n, now)
	t.margins = margins{full, stated}
	wander := max(t.ref.Wander(), n.edgeTo(t.root).Wander())
	t.root = n
	t.ref.Seed(at, base, est, wander)
	return true
}

// free returns the estimate of n's free-running clock less the source, offset base + est, and the time that n's
// oscillator shows then: about now. Between clocks that run differently it is always the same instant that is meant.
func (t *Tree) free(n *node, now clock.Mono) (est estimate.State, base, at int64, ok bool) {
	if t.root == nil || !t.ref.Known() {
		return est, 0, 0, false
	}
	at = t.root.freeTime(t.root.reading(now))
	base, est = t.ref.At(at)
	if n == t.root {
		return est, base, at, true
	}
	if t.root.scale != n.scale && !t.utcKnown {
		return est, 0, 0, false
	}
	// every edge is system less PHC: go up to the system clock, then down
	if t.root.id != clock.System {
		if est, base, at, ok = t.root.up(est, base+t.lead(t.root), at); !ok {
			return est, base, at, false
		}
	}
	if n.id != clock.System {
		return n.down(est, base-t.lead(n), at)
	}
	return est, base, at, true
}

// Estimate returns where a clock is believed to be against the source followed last, and whether anything is known.
func (t *Tree) Estimate(now clock.Mono, id clock.ID) (estimate.State, bool) {
	n := t.node(id)
	if n == nil {
		return estimate.State{}, false
	}
	return t.estimate(n, now)
}

func (t *Tree) estimate(n *node, now clock.Mono) (estimate.State, bool) {
	est, base, at, ok := t.free(n, now)
	if !ok {
		return est, false
	}
	whole, fraction := n.correctionAt(at, now)
	est.Offset += float64(base+whole) + fraction
	return est, true
}

// MaxError returns a bound of the clock's error: what the source's measurements leave open, what is believed to be wrong
// now, and what may have gone wrong since. The delay of the path is taken to be shared as evenly as configured.
func (t *Tree) MaxError(now clock.Mono, id clock.ID) (time.Duration, bool) {
	return t.bound(t.margins.stated, now, id)
}

// VotingError returns the same for a delay that may be shared in any way.
func (t *Tree) VotingError(now clock.Mono, id clock.ID) (time.Duration, bool) {
	return t.bound(t.margins.full, now, id)
}

// bound returns how far the clock can be off at most, from where the truth is beside the root as of the last sample.
func (t *Tree) bound(root bracket, now clock.Mono, id clock.ID) (time.Duration, bool) {
	n := t.node(id)
	if n == nil {
		return 0, false
	}
	est, ok := t.estimate(n, now)
	if !ok {
		return 0, false
	}
	b, ok := t.across(root, n, now)
	if !ok {
		return 0, false
	}
	ns := min(b.most(est.Offset), float64(Unlimited)) + float64(t.doubt+t.misgiving)
	if n.scale == clock.UTC {
		ns += float64(t.utcUncertainty)
	}
	return clock.Sum(clock.Nanoseconds(ns), 1), true
}

// Unlimited is a maximum error that says nothing. The parts of one are bounded by it, so that the sum of all four is none
// that wraps, and holds what has to be taken off it again.
const Unlimited time.Duration = math.MaxInt64 / 4

// across returns where the truth is beside what is believed of the clock now.
func (t *Tree) across(b bracket, n *node, now clock.Mono) (_ bracket, ok bool) {
	b.widen(runOff(t.ref, t.root.freeTime(t.root.reading(now)), t.cfg.Wander))
	if n == t.root {
		return b, b.known
	}
	// every edge is system less PHC
	if t.root.edge != nil {
		b = b.plus(t.root.parted(now))
	}
	if n.edge != nil {
		b = b.minus(n.parted(now))
	}
	return b, b.known
}

// Sigma returns the standard deviation of the clock's estimated offset.
func (t *Tree) Sigma(now clock.Mono, id clock.ID) time.Duration {
	est, ok := t.Estimate(now, id)
	if !ok {
		return Unlimited
	}
	return clock.Nanoseconds(min(est.Sigma(), 1e15))
}

// Panicked reports whether steering has stopped because of an offset beyond the panic threshold.
func (t *Tree) Panicked() bool { return t.panicked }

// Resume steers again after a panic; the clocks may be stepped once more.
func (t *Tree) Resume() {
	t.panicked = false
	for _, n := range t.nodes {
		n.everLocked = false
	}
}

// Residual returns how far a source is from what the host believes: offset, in ns, is what it measured when its clock
// read at, less what had been expected. As long as nothing is believed it is what the system clock differs by. It is
// not ok if the clock cannot be compared.
func (t *Tree) Residual(now clock.Mono, at clock.Timestamp, offset int64, fraction float64) (ns float64, ok bool) {
	n := t.node(at.Clock())
	if n == nil {
		return 0, false
	}
	whole, part := n.correction(at)
	if t.root != nil && t.ref.Known() {
		est, base, free, ok := t.free(n, now)
		if !ok {
			return 0, false
		}
		back := float64(free-(at.Nanoseconds()-whole)) / 1e9
		return float64(offset-whole-base) + fraction - part - est.Offset + est.Frequency*back, true
	}
	if n.id == clock.System || t.node(clock.System) == nil {
		return float64(offset) + fraction, true
	}
	if !t.utcKnown {
		return 0, false
	}
	est, base, free, ok := n.up(estimate.State{}, offset-whole+t.lead(n), at.Nanoseconds()-whole)
	if !ok {
		return 0, false
	}
	sw, sf := n.system.correctionAt(free, now)
	return float64(base+sw) + est.Offset + sf - part + fraction, true
}

// Drift returns by how much the clock's offset to true time is believed to have grown from one of its readings to
// another, in ns, and the standard deviation of that: infinite if nothing is known of the clock.
func (t *Tree) Drift(now clock.Mono, from, to clock.Timestamp) (ns, sigma float64) {
	n := t.node(from.Clock())
	span, same := to.Sub(from)
	if n == nil || !same {
		return 0, math.Inf(1)
	}
	fw, ff := n.correction(from)
	tw, tf := n.correction(to)
	seconds := float64(int64(span)-(tw-fw)) / 1e9 // of the oscillator
	var ppb float64
	if est, _, _, ok := t.free(n, now); ok {
		ppb, sigma = est.Frequency, math.Sqrt(max(0, est.FrequencyVar))
	} else if ppb, sigma, ok = t.presumed(n); !ok {
		sigma = unknownFrequency
	}
	return float64(tw-fw) + tf - ff + ppb*seconds, sigma * math.Abs(seconds)
}

// WellKnown is the standard deviation, in ppb, with which a frequency counts as learned.
const WellKnown = 2000

// Root returns the clock that the source measures, 0 if there is none.
func (t *Tree) Root() clock.ID {
	if t.root == nil {
		return 0
	}
	return t.root.id
}

// Known reports whether there is an estimate of the host's time.
func (t *Tree) Known() bool { return t.root != nil && t.ref.Known() }

// LastSample returns when the source's last sample was used.
func (t *Tree) LastSample() clock.Mono { return t.lastRef }

// LeapSecond says that the kernel has just inserted (1) or deleted (−1) a leap second in the system clock, and with it
// TAI − UTC has changed.
func (t *Tree) LeapSecond(now clock.Mono, leap clock.Leap) {
	t.utc += int(leap)
	if n := t.node(clock.System); n != nil {
		d := -time.Duration(leap) * time.Second
		at := n.reading(now)
		n.history.Step(at, d)
		n.saw(now, at.Add(d))
	}
	if t.root != nil && t.root.scale == clock.UTC && t.ref.Known() {
		t.ref.Jump(int64(leap)*int64(time.Second), 0) // the source has done the same: against it nothing has moved
	}
}

// NoLeapSecond takes back what LeapSecond has said, but for what the kernel has done: there was none, and the system clock
// is off by it.
func (t *Tree) NoLeapSecond(leap clock.Leap) {
	t.utc -= int(leap)
	if t.root != nil && t.root.scale == clock.UTC && t.ref.Known() {
		t.ref.Jump(-int64(leap)*int64(time.Second), 0)
	}
}

// SetUTCUncertainty has the maximum error of clocks on UTC allow for d more, until it is told otherwise: what is known of UTC may be
// wrong by that.
func (t *Tree) SetUTCUncertainty(d time.Duration) { t.utcUncertainty = min(d, Unlimited) }

// Frequency returns the correction in force of a clock, in ppb, and about what the clock reads now.
func (t *Tree) Frequency(now clock.Mono, id clock.ID) (at clock.Timestamp, ppb float64, ok bool) {
	n := t.node(id)
	if n == nil {
		return clock.Timestamp{}, 0, false
	}
	return n.reading(now), n.applied, true
}

// Steers reports whether the clock is there and has a servo.
func (t *Tree) Steers(id clock.ID) bool {
	n := t.node(id)
	return n != nil && n.servo != nil
}

// Trusted reports whether the clock has been locked since it was added or reset.
func (t *Tree) Trusted(id clock.ID) bool {
	n := t.node(id)
	return n != nil && n.everLocked
}
