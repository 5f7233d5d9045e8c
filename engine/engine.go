// SPDX-License-Identifier: Apache-2.0

// Package engine decides what a host follows and steers its clocks. It knows sources by what they measure, claim and are
// good for, and no protocol. It is driven by events: samples, crossings and the passing of time.
//
// It does no I/O, starts no goroutine and never asks what time it is, so that a daemon drives it with real clocks and timers,
// and a simulation with virtual ones.
package engine

import (
	"maps"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/servo"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/timescale"
)

// Driver is what the engine acts through. Its methods must not call the engine.
type Driver interface {
	// SetFrequency sets a clock's correction, and returns the one that it really took and what it read then.
	SetFrequency(id clock.ID, ppb float64) (applied float64, at clock.Timestamp, err error)
	// Step adds d to a clock, and returns what it read before.
	Step(id clock.ID, d time.Duration) (at clock.Timestamp, err error)
	// Compare asks for a crossing of a PHC with the system clock, which is handed over by Crossed.
	Compare(id clock.ID)
	// SetKernel tells the kernel what is known of the system clock.
	SetKernel(s clock.Status)
	// Event tells of a change that a person wants to know of.
	Event(text string)
}

// Observer is a Driver that wants to know each measurement as well.
type Observer interface {
	// Sampled tells of the delay of a source's sample, there and back.
	Sampled(id source.ID, delay time.Duration)
	// Steered tells of a steered clock's offset as just estimated from a new measurement.
	Steered(id clock.ID, offset time.Duration)
}

// Clocks is what sources may ask of the host's clocks.
type Clocks interface {
	// Has reports whether there is such a clock.
	Has(id clock.ID) bool
	// Frequency returns about what the clock reads now, and its frequency correction in ppb.
	Frequency(now clock.Mono, id clock.ID) (at clock.Timestamp, ppb float64, ok bool)
	// Drift returns by how many ns the clock's offset to true time is believed to have grown from one of its readings to
	// another, and the standard deviation of that: infinite if nothing is known of the clock.
	Drift(now clock.Mono, from, to clock.Timestamp) (ns, sigma float64)
	// Locked reports whether all clocks that are steered are locked.
	Locked(now clock.Mono) bool
}

// Clocks returns the host's clocks.
func (e *Engine) Clocks() Clocks { return e.tree }

// Config says how an engine steers and what it follows.
type Config struct {
	// Tree of the clocks; its Interval is set by New.
	Tree discipline.Config
	// Servo is the name of the steering law.
	Servo string
	// Policy of the selection.
	Policy source.Policy
	// HoldoverLimit is the maximum error, and HoldoverMaxAge the time without a source, up to which the host counts as
	// synchronised.
	HoldoverLimit, HoldoverMaxAge time.Duration
	// UTCOffset is TAI − UTC in seconds where nothing else tells it, 0 for none.
	UTCOffset int
}

// Env is what an engine starts from.
type Env struct {
	// Leaps is the leap-seconds list, nil if there is none; LeapsName is where it is from.
	Leaps     *clock.LeapTable
	LeapsName string
	// Saved is the state of before, zero if there is none.
	Saved Saved
	// Start is now.
	Start clock.Mono
	// Version of the program.
	Version string
}

// Engine of one host. It belongs to one goroutine.
type Engine struct {
	cfg      Config
	env      Env
	driver   Driver
	observer Observer // nil if the driver is none
	tree     *discipline.Tree
	scales   *timescale.Keeper
	selector *source.Selector
	sources  []*tracked // in the order of the configuration

	candidates  []source.Candidate
	weighed     []timescale.Witness
	own         source.Own
	nextSelect  clock.Mono
	nextCompare clock.Mono
	nextKernel  clock.Mono
	nextLeap    clock.Mono // unless the tree wants to be woken sooner

	leader      *tracked
	frequencies map[string]float64 // learned, by the names of the clocks
	learned     bool               // something that is worth saving
	proven      bool               // a measurement of the leader has steered since it leads
	anchor      float64            // ns by which a leading combinable source differs from the time that the host is steered to
	anchored    bool               // a source that is not combinable has set that
	doubted     time.Duration      // part of the maximum error: what contradicts this host may be right
	judged      judgement
	lostAt      clock.Mono // when the last leader was lost
	state       status.State
	changed     clock.Mono
	reason      string
	events      []event
	// comparing are the PHCs of which a crossing is under way; stale the ones where it is from before a step
	comparing, stale map[clock.ID]bool
	asked            map[clock.ID]clock.Mono
	steps            uint64
	now              clock.Mono // of the event being handled
}

type event struct {
	at   clock.Mono
	text string
}

const (
	selectInterval = time.Second
	// kernelInterval is how often the kernel is told of the system clock, and leapInterval how often leap seconds are looked for
	// while none is armed, at least. Both may be done earlier by slack if there is a wake-up anyhow: that of the selection is.
	kernelInterval  = selectInterval + selectInterval/4
	leapInterval    = kernelInterval
	slack           = selectInterval / 2
	keptEvents      = 32
	compareInterval = 125 * time.Millisecond
	tolerance       = 4 * time.Millisecond // by how much an update or a comparison may be early, if there is a wake-up anyhow
	answerTimeout   = 2 * time.Second      // after which a comparison is asked for again
)

// New returns an engine without clocks and sources. Sources are registered before anything else, clocks added as they are
// found.
func New(cfg Config, env Env, driver Driver) *Engine {
	e := newEngine(cfg, env, driver, nil)
	e.findUTCOffset(env.Start)
	return e
}

// newEngine returns an engine that has not looked for TAI − UTC yet, with the clocks of tree if there is one.
func newEngine(cfg Config, env Env, driver Driver, tree *discipline.Tree) *Engine {
	cfg.Tree.Interval = compareInterval
	e := &Engine{cfg: cfg, env: env, driver: driver, state: status.Starting, changed: env.Start,
		reason: "the daemon has just started", nextSelect: env.Start, nextCompare: env.Start,
		nextKernel: env.Start.Add(kernelInterval), comparing: map[clock.ID]bool{}, stale: map[clock.ID]bool{},
		asked: map[clock.ID]clock.Mono{}, now: env.Start, frequencies: maps.Clone(env.Saved.Frequencies)}
	if e.frequencies == nil {
		e.frequencies = map[string]float64{}
	}
	e.observer, _ = driver.(Observer)
	if tree == nil {
		e.tree = discipline.New(cfg.Tree, (*actuator)(e))
	} else {
		e.tree = tree
		e.tree.SetConfig(cfg.Tree, (*actuator)(e))
	}
	e.scales = timescale.New(timescale.Config{Offset: cfg.UTCOffset, Saved: env.Saved.UTCOffset, Leaps: env.Leaps,
		ListName: env.LeapsName}, e.tree, func(now clock.Mono, ev timescale.Event) { e.note(now, ev.String()) })
	e.selector = source.NewSelector(cfg.Policy)
	return e
}

// ClockInfo is what the driver knows of a clock.
type ClockInfo struct {
	ID    clock.ID
	Scale clock.Scale
	// Steer it; otherwise it is only watched.
	Steer bool
	// Hardware: it is measured by hardware timestamps.
	Hardware bool
	// MaxFrequency and Frequency in force, ppb; Reading is what it reads now.
	MaxFrequency, Frequency float64
	Reading                 clock.Timestamp
	// Leap second that the kernel is armed to do at the end of the UTC day, if it is the system clock.
	Leap clock.Leap
}

// AddClock tells of a clock that is there.
func (e *Engine) AddClock(now clock.Mono, c ClockInfo) {
	e.now = now
	e.learn(now, c.ID)
	in := discipline.Info{ID: c.ID, Scale: c.Scale, MaxFrequency: c.MaxFrequency, Frequency: c.Frequency,
		Reading: c.Reading}
	if c.Steer {
		in.Servo = servo.New(e.cfg.Servo, c.Hardware)
		if saved, ok := e.frequencies[c.ID.String()]; ok {
			if applied, at, err := e.driver.SetFrequency(c.ID, saved); err == nil {
				in.Frequency, in.Reading, in.Sigma = applied, at, savedSigma
			}
		}
	}
	e.tree.Remove(now, c.ID)
	e.tree.Add(now, in)
	e.nextCompare = now
	if c.ID == clock.System && c.Steer {
		e.scales.TakeUp(now, c.Leap, in.Reading)
	}
}

// savedSigma is how well a saved frequency is trusted to cancel the oscillator's error, ppb.
const savedSigma = 2000

// RemoveClock tells that a clock is gone.
func (e *Engine) RemoveClock(now clock.Mono, id clock.ID) {
	e.now = now
	e.learn(now, id)
	e.tree.Remove(now, id)
	if e.leader != nil && e.leader.clock == id {
		e.choose(now)
	}
}

// Crossed hands over the comparison that the driver was asked for. If err says that there is none, c.A names the PHC.
func (e *Engine) Crossed(now clock.Mono, c clock.Crossing, err error) {
	e.now = now
	id := c.A.Clock()
	stale := e.stale[id]
	e.stale[id], e.comparing[id] = false, false
	if err != nil || stale {
		return
	}
	e.tree.Cross(now, c)
	for _, end := range [2]clock.ID{id, clock.System} {
		if end != e.tree.Root() {
			e.observe(now, end)
		}
	}
}

// Wake does what is due.
func (e *Engine) Wake(now clock.Mono) {
	e.now = now
	for _, s := range e.sources {
		if s.source.NextWake() <= now {
			s.source.Wake(now)
		}
	}
	ticks := e.tree.NextWake() <= now.Add(tolerance)
	if ticks || e.nextLeap <= now || e.scales.Armed() == clock.NoLeap && e.nextLeap <= now.Add(slack) {
		e.checkLeap(now)
	}
	if ticks {
		e.tree.Tick(now)
	}
	if e.nextCompare <= now.Add(tolerance) {
		e.compare(now)
	}
	if e.nextSelect <= now {
		e.choose(now)
	}
	if e.nextKernel <= now.Add(slack) {
		e.nextKernel = now.Add(kernelInterval)
		e.tellKernel(now)
	}
}

// checkLeap looks for leap seconds: often while one is armed, since the system clock is a second off as soon as it has passed.
// For a while after that the kernel is told nothing: it may not have carried it out yet, and would not any more.
func (e *Engine) checkLeap(now clock.Mono) {
	armed := e.scales.Armed()
	e.scales.CheckLeap(now, e.leader != nil, e.witnesses(now))
	e.nextLeap = now.Add(leapInterval)
	switch {
	case e.scales.Armed() != clock.NoLeap:
		e.nextLeap = now.Add(compareInterval)
	case armed != clock.NoLeap:
		e.nextKernel = now.Add(kernelInterval)
	}
}

// NextWake returns when Wake has to be called next.
func (e *Engine) NextWake() clock.Mono {
	next := min(e.nextCompare, e.tree.NextWake(), e.nextSelect, e.nextKernel, e.nextLeap)
	for _, s := range e.sources {
		next = min(next, s.source.NextWake())
	}
	return next
}

// compare has the PHCs compared with the system clock. Where there are none nothing is due until one is added.
func (e *Engine) compare(now clock.Mono) {
	if e.nextCompare = clock.Never; !e.tree.Has(clock.System) {
		return
	}
	for id := range e.tree.PHCs() {
		e.nextCompare = e.tree.NextCrossing(now)
		if e.comparing[id] && now.Sub(e.asked[id]) < answerTimeout {
			continue // one at a time: there must be no doubt which one is from before a step
		}
		e.comparing[id], e.asked[id] = true, now
		e.driver.Compare(id)
	}
}

// note keeps an event for the status and tells the driver.
func (e *Engine) note(now clock.Mono, text string) {
	if len(e.events) == keptEvents {
		copy(e.events, e.events[1:])
		e.events = e.events[:keptEvents-1]
	}
	e.events = append(e.events, event{now, text})
	e.driver.Event(text)
}

// Note keeps an event that the driver has noticed for the status, and tells the driver as any other.
func (e *Engine) Note(now clock.Mono, text string) { e.note(now, text) }

// Resume steers again after a panic.
func (e *Engine) Resume(now clock.Mono) {
	e.now = now
	if e.tree.Panicked() {
		e.tree.Resume()
		e.note(now, "steering resumed on request")
		e.setState(now, status.Acquiring, "steering resumed on request")
	}
}
