// SPDX-License-Identifier: Apache-2.0

// Package discipline steers the clocks of a host. They form a graph: its edges are what crossings say of two clocks, and its
// root is the clock that the followed source measures. The estimate of another clock is the root's, carried along the edges
// between the two. All clocks are steered against the source, not against each other. Following a source of another clock
// makes that clock the root.
//
// Estimates are kept in the time of each clock's free-running oscillator, so that no steering disturbs them.
// The package does no I/O and never asks what time it is; a Graph belongs to one goroutine.
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

// Config of a Graph.
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
	// Stepped: by d, by the graph.
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

// Graph of the clocks.
type Graph struct {
	cfg   Config
	act   Actuator
	nodes []*node // the system clock first, if there is one
	edges []*edge // between them, in the order of their clocks' IDs
	root  *node   // measured by the source; nil before the first source
	// ref is the root's free-running clock less the source.
	ref      *estimate.Estimator
	open     brackets // where the truth is beside ref, as of the last sample
	margins  Margins
	lastRef  clock.Mono // of the last sample used
	interval float64    // between samples, seconds
	leading  bool       // a source is followed now
	utc      int        // TAI − UTC
	utcKnown bool
	panicked bool
	due      clock.Mono // of the next regular update
	updated  clock.Mono // at the last one
	resting  bool       // that is later than the regular interval
	hops     []hop      // scratch of path, as found
	found    []*node
}

// New returns a graph without clocks.
func New(cfg Config, act Actuator) *Graph {
	return &Graph{cfg: cfg, act: act, ref: estimate.New(), interval: 1}
}

// SetConfig changes how and by what clocks are steered from now on.
func (g *Graph) SetConfig(cfg Config, act Actuator) { g.cfg, g.act = cfg, act }

// Forget forgets what is believed of the clocks' offsets to the source followed last.
func (g *Graph) Forget() {
	g.root, g.leading = nil, false
	g.forgetRoot()
}

// forgetRoot forgets what is believed of the root.
func (g *Graph) forgetRoot() {
	g.ref.Forget()
	g.open = brackets{}
}

// SetLearnedFrequencies sets all steered clocks to their learned frequencies, and those of which nothing is learned yet to
// the one that they came with: nothing stays in force for the sake of an offset.
func (g *Graph) SetLearnedFrequencies(now clock.Mono) {
	for _, n := range g.nodes {
		g.setLearned(n, now)
	}
}

// SetLearnedFrequency does to one clock what SetLearnedFrequencies does to all: it is about to be removed.
func (g *Graph) SetLearnedFrequency(now clock.Mono, id clock.ID) {
	if n := g.node(id); n != nil {
		g.setLearned(n, now)
	}
}

func (g *Graph) setLearned(n *node, now clock.Mono) {
	if n.servo == nil {
		return
	}
	ppb := n.initialPPB
	if est, ok := g.estimate(n, now); n.everLocked || ok && est.FrequencyVar < WellKnown*WellKnown {
		ppb = n.servo.Hold()
	}
	n.steered, n.residual = now, 0
	ppb = max(-n.maxFrequency, min(n.maxFrequency, ppb))
	g.set(n, now, ppb, ppb) // with a quantum, the nearest multiple
}

// Info is what a graph has to know of a clock.
type Info struct {
	ID    clock.ID
	Scale clock.Scale
	// Servo that steers it; nil if it is only watched.
	Servo servo.Servo
	// MaxFrequency that it takes, in ppb; Frequency in force now, and what the clock reads.
	MaxFrequency, Frequency float64
	// Quantum is the smallest change of its frequency, in ppb; 0 if that is too small to matter.
	Quantum float64
	Reading clock.Timestamp
	// Sigma says how well Frequency is known to cancel the oscillator's error, in ppb; 0 if it is not.
	Sigma float64
	// Trusted: it has been locked before, and goes on from there.
	Trusted bool
}

// Add puts a clock into the graph.
func (g *Graph) Add(now clock.Mono, in Info) {
	n := newNode(in, now)
	if in.ID == clock.System {
		g.nodes = slices.Insert(g.nodes, 0, n)
	} else {
		g.nodes = append(g.nodes, n)
	}
	g.rouse(now)
}

// Remove takes a clock out, and its edges with it: its device is gone. If it was the root, a clock that it has an edge with
// takes its place, the system clock before others.
func (g *Graph) Remove(now clock.Mono, id clock.ID) {
	n := g.node(id)
	if n == nil {
		return
	}
	if g.root == n {
		g.leading = false
		if !g.inherit(now) {
			g.root = nil
			g.forgetRoot()
		}
	}
	g.edges = slices.DeleteFunc(g.edges, func(e *edge) bool { return e.other(n) != nil })
	g.nodes = slices.DeleteFunc(g.nodes, func(o *node) bool { return o == n })
}

// inherit makes a clock the root that has an edge with the present root, the system clock before others. It returns false if
// there is none.
func (g *Graph) inherit(now clock.Mono) bool {
	gone := g.root
	for _, e := range g.edges {
		if n := e.other(gone); n != nil && g.reroot(now, n) {
			return true
		}
	}
	return false
}

// Has reports whether the graph has the clock.
func (g *Graph) Has(id clock.ID) bool { return g.node(id) != nil }

func (g *Graph) node(id clock.ID) *node {
	for _, n := range g.nodes {
		if n.id == id {
			return n
		}
	}
	return nil
}

// SetUTCOffset says what TAI − UTC is. While it is not known, clocks of different scales do not follow each other.
func (g *Graph) SetUTCOffset(seconds int, known bool) { g.utc, g.utcKnown = seconds, known }

// scaleLead returns how far the scale of n is ahead of the system clock's, in ns.
func (g *Graph) scaleLead(n *node) int64 {
	if n.scale == clock.TAI {
		return int64(g.utc) * int64(time.Second)
	}
	return 0
}

// Follow has the clock id measured by a source from now on. What is known of the clocks' offsets and frequencies stays.
// With the zero ID there is no source: the clocks hold over.
func (g *Graph) Follow(now clock.Mono, id clock.ID) {
	n := g.node(id)
	if n == nil {
		g.leading = false
		return
	}
	if g.root == nil {
		g.root = n
		if ppb, sigma, ok := g.presumedFrequency(n); ok {
			g.ref.SetFrequency(ppb, sigma)
		}
	} else if !g.reroot(now, n) {
		g.root = n
		g.forgetRoot()
		g.ref.SetFrequency(-n.servoHold(), unknownFrequency)
	}
	g.leading = true
	g.rouse(now)
}

// presumedFrequency returns what an oscillator's frequency error is taken to be before it has been measured, in ppb: what
// cancels the correction that the clock came with if that was learned, else what a PHC differs by from the system clock, or
// without an edge to that from another PHC.
func (g *Graph) presumedFrequency(n *node) (ppb, sigma float64, ok bool) {
	switch {
	case n.frequencySigma > 0:
		return -n.initialPPB, n.frequencySigma, true
	case n.id != clock.System:
		if e := g.edgeOf(n); e != nil && e.estimate.Observations() > 1 {
			ppb, variance := e.frequency(n)
			return ppb, math.Sqrt(unknownFrequency*unknownFrequency + variance), true
		}
	}
	return 0, 0, false
}

// unknownFrequency is the standard deviation of an oscillator's frequency that was learned by nothing, ppb: crystals are
// specified to within ±100 ppm.
const unknownFrequency = 1e5

// reroot carries what is known of the old root over to the new one. It is false if there is no way between the two.
func (g *Graph) reroot(now clock.Mono, n *node) bool {
	if n == g.root {
		if g.ref.Known() { // the noise is another source's
			base, est := g.ref.At(g.ref.Time())
			g.ref.Seed(g.ref.Time(), base, est, g.ref.Wander())
		}
		return g.ref.Known()
	}
	est, base, at, ok := g.freeEstimate(n, now)
	if !ok {
		return false
	}
	full, _ := g.bracketOf(g.open.full, n, now)
	stated, _ := g.bracketOf(g.open.stated, n, now)
	g.open = brackets{full, stated}
	way, _ := g.path(g.root, n)
	wander := max(g.ref.Wander(), way[len(way)-1].estimate.Wander())
	g.root = n
	g.ref.Seed(at, base, est, wander)
	return true
}

// Panicked reports whether steering has stopped because of an offset beyond the panic threshold.
func (g *Graph) Panicked() bool { return g.panicked }

// Resume steers again after a panic; the clocks may be stepped once more.
func (g *Graph) Resume() {
	g.panicked = false
	for _, n := range g.nodes {
		n.everLocked = false
	}
}

// Root returns the clock that the source measures, 0 if there is none.
func (g *Graph) Root() clock.ID {
	if g.root == nil {
		return 0
	}
	return g.root.id
}

// Known reports whether there is an estimate of the host's time.
func (g *Graph) Known() bool { return g.root != nil && g.ref.Known() }

// LastSample returns when the source's last sample was used.
func (g *Graph) LastSample() clock.Mono { return g.lastRef }

// LeapSecond says that the kernel has just inserted (1) or deleted (−1) a leap second in the system clock, and with it
// TAI − UTC has changed.
func (g *Graph) LeapSecond(now clock.Mono, leap clock.Leap) {
	g.utc += int(leap)
	if n := g.node(clock.System); n != nil {
		d := -time.Duration(leap) * time.Second
		at := n.reading(now)
		n.history.Step(at, d)
		n.anchorAt(now, at.Add(d))
	}
	if g.root != nil && g.root.scale == clock.UTC && g.ref.Known() {
		g.ref.Jump(int64(leap)*int64(time.Second), 0) // the source has done the same: against it nothing has moved
	}
}

// NoLeapSecond takes back what LeapSecond has said, but for what the kernel has done: there was none, and the system clock
// is off by it.
func (g *Graph) NoLeapSecond(leap clock.Leap) {
	g.utc -= int(leap)
	if g.root != nil && g.root.scale == clock.UTC && g.ref.Known() {
		g.ref.Jump(-int64(leap)*int64(time.Second), 0)
	}
}

// Frequency returns the correction in force of a clock, in ppb, and about what the clock reads now.
func (g *Graph) Frequency(now clock.Mono, id clock.ID) (at clock.Timestamp, ppb float64, ok bool) {
	n := g.node(id)
	if n == nil {
		return clock.Timestamp{}, 0, false
	}
	return n.reading(now), n.applied, true
}

// Steers reports whether the clock is there and has a servo.
func (g *Graph) Steers(id clock.ID) bool {
	n := g.node(id)
	return n != nil && n.servo != nil
}

// Trusted reports whether the clock has been locked since it was added or reset.
func (g *Graph) Trusted(id clock.ID) bool {
	n := g.node(id)
	return n != nil && n.everLocked
}
