// SPDX-License-Identifier: Apache-2.0

// Package engine decides what a host follows and steers its clocks. It knows sources by what they measure, claim and are
// good for, and no protocol. It is driven by events: samples, crossings and the passing of time.
//
// It does no I/O, starts no goroutine and never asks what time it is, so that a daemon drives it with real clocks and
// timers, and a simulation with virtual ones.
package engine

import (
	"log/slog"
	"maps"
	"sync/atomic"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/offer"
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
	// Compare asks for a crossing of two clocks, a PHC and the system clock or another PHC, which is handed over by Crossed
	// with the reading of a as A. A driver that cannot compare them does nothing, and is asked again from time to time.
	Compare(a, b clock.ID)
	// SetKernel tells the kernel what is known of the system clock.
	SetKernel(s clock.Status)
	// Event tells of a change that a person or a program wants to know of.
	Event(e status.Event)
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
func (e *Engine) Clocks() Clocks { return e.graph }

// Config says how an engine steers and what it follows.
type Config struct {
	// Graph of the clocks; its Interval is set by New.
	Graph discipline.Config
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
	graph    *discipline.Graph
	scales   *timescale.Keeper
	selector *source.Selector
	sources  []*tracked // in the order of the configuration

	candidates []source.Candidate
	weighed    []timescale.Witness
	own        source.Own
	nextSelect clock.Mono
	nextOffer  clock.Mono
	nextLeap   clock.Mono // when leap seconds are looked for
	offer      atomic.Pointer[offer.Offer]
	epochs     map[clock.ID]uint64 // of the clocks, see offer.Line
	resume     clock.Mono          // until then a leap second may be under way
	leapPassed bool                // the system clock has passed a leap second, at leapAt
	leapAt     clock.Mono

	leader      *tracked
	frequencies map[string]float64 // learned, by the names of the clocks
	learned     bool               // something that is worth saving
	proven      bool               // a measurement of the leader has steered since it leads
	anchor      float64            // ns by which a leading combinable source differs from the time that the host is steered to
	anchored    bool               // a source that is not combinable has set that
	lostAt      clock.Mono         // when the last leader was lost
	state       status.State
	changed     clock.Mono
	reason      status.Reason
	events      []pastEvent
	told        uint64 // events since the start
	comparisons map[pair]comparison
	steps       uint64
	now         clock.Mono // of the event being handled
}

type pastEvent struct {
	at     clock.Mono
	number uint64
	event  status.Event
}

const (
	selectInterval = time.Second
	// leapInterval is how often leap seconds are looked for while none is armed, at least, and slack how much earlier that and
	// an offer may be done if there is a wake-up anyhow: that of the selection is.
	leapInterval = offerInterval
	slack        = selectInterval / 2
	// selectSlack is how much earlier a selection may be: with a PTP clock it takes no wake-up of its own then, mostly.
	selectSlack = compareInterval / 2
	keptEvents  = 32
)

// New returns an engine without clocks and sources. Sources are registered before anything else, clocks added as they are
// found.
func New(cfg Config, env Env, driver Driver) *Engine {
	e := newEngine(cfg, env, driver, nil)
	e.findUTCOffset(env.Start)
	return e
}

// newEngine returns an engine that has not looked for TAI − UTC yet, with the clocks of graph if there is one.
func newEngine(cfg Config, env Env, driver Driver, graph *discipline.Graph) *Engine {
	cfg.Graph.Interval = compareInterval
	e := &Engine{cfg: cfg, env: env, driver: driver, state: status.Starting, changed: env.Start,
		nextSelect: env.Start, nextOffer: env.Start.Add(offerInterval), epochs: map[clock.ID]uint64{},
		comparisons: map[pair]comparison{}, now: env.Start, frequencies: maps.Clone(env.Saved.Frequencies)}
	if e.frequencies == nil {
		e.frequencies = map[string]float64{}
	}
	e.observer, _ = driver.(Observer)
	if graph == nil {
		e.graph = discipline.New(cfg.Graph, (*actuator)(e))
	} else {
		e.graph = graph
		e.graph.SetConfig(cfg.Graph, (*actuator)(e))
	}
	e.scales = timescale.New(timescale.Config{Offset: cfg.UTCOffset, Saved: env.Saved.UTCOffset, Leaps: env.Leaps,
		ListName: env.LeapsName}, scaleClocks{e.graph}, e.tellOfScale)
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
	// Quantum is the smallest change of its frequency, in ppb; 0 if that is too small to matter.
	Quantum float64
	// Leap second that the kernel is armed to do at the end of the UTC day, if it is the system clock.
	Leap clock.Leap
}

// node returns the clock as the graph is to see it.
func (c *ClockInfo) node() discipline.Info {
	return discipline.Info{ID: c.ID, Scale: c.Scale, MaxFrequency: c.MaxFrequency, Frequency: c.Frequency, Quantum: c.Quantum,
		Reading: c.Reading}
}

// AddClock tells of a clock that is there.
func (e *Engine) AddClock(now clock.Mono, c ClockInfo) {
	e.now = now
	e.learn(now, c.ID)
	in := c.node()
	if c.Steer {
		in.Servo = servo.New(e.cfg.Servo, c.Hardware)
		if saved, ok := e.frequencies[c.ID.String()]; ok {
			if applied, at, err := e.driver.SetFrequency(c.ID, saved); err == nil {
				in.Frequency, in.Reading, in.Sigma = applied, at, savedSigma
			}
		}
	}
	e.graph.Remove(now, c.ID)
	e.graph.Add(now, in)
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
	e.graph.Remove(now, id)
	if e.leader != nil && e.leader.clock == id {
		e.choose(now)
	}
}

// Wake does what is due. It is to be called at NextWake, and may be called whenever the caller is awake for another reason:
// what is due soon is done then, which saves a wake-up.
func (e *Engine) Wake(now clock.Mono) {
	e.now = now
	if e.paused(now) {
		return
	}
	for _, s := range e.sources {
		if s.source.NextWake() <= now {
			s.source.Wake(now)
		}
	}
	if e.nextLeap <= now || e.scales.Armed() == clock.NoLeap && e.nextLeap <= now.Add(slack) {
		e.checkLeap(now)
	}
	if e.graph.Tick(now) {
		e.compare(now)
	}
	if e.nextSelect <= now.Add(selectSlack) {
		e.choose(now)
	}
	if e.nextOffer <= now.Add(slack) {
		e.tellKernel(e.makeOffer(now))
	}
}

// checkLeap looks for leap seconds: while one is armed as soon as it has passed, since the system clock is a second off
// then.
func (e *Engine) checkLeap(now clock.Mono) {
	e.scales.CheckLeap(now, e.leader != nil, e.witnesses(now))
	e.nextLeap = now.Add(leapInterval)
	if left, ok := e.scales.UntilLeap(now); ok {
		e.nextLeap = now.Add(max(0, min(left+leapPause, leapInterval)))
	}
}

// leapPause is how long before and after the instant of a leap second nothing is done by the system clock: the kernel takes
// up to one tick, 10 ms at the most, to carry it out, and until then a reading does not say whether it is of before or
// after.
const leapPause = 11 * time.Millisecond

// paused reports whether a leap second may be under way, and takes in one that has been carried out.
func (e *Engine) paused(now clock.Mono) bool {
	if left, ok := e.scales.UntilLeap(now); ok && left < leapPause {
		if left <= -leapPause {
			e.checkLeap(now)
		} else {
			e.resume = now.Add(left + leapPause)
		}
	}
	return now < e.resume
}

// NextWake returns when Wake has to be called next.
func (e *Engine) NextWake() clock.Mono {
	next := min(e.graph.NextWake(), e.nextSelect, e.nextOffer, e.nextLeap)
	for _, s := range e.sources {
		next = min(next, s.source.NextWake())
	}
	return max(next, e.resume)
}

// tell keeps an event for the status and tells the driver.
func (e *Engine) tell(now clock.Mono, kind status.EventKind, subject string, fields ...slog.Attr) {
	e.Tell(now, status.NewEvent(kind, subject, fields...))
}

// Tell keeps an event that the driver has noticed for the status, and tells the driver as of any other.
func (e *Engine) Tell(now clock.Mono, ev status.Event) {
	if len(e.events) == keptEvents {
		copy(e.events, e.events[1:])
		e.events = e.events[:keptEvents-1]
	}
	e.told++
	e.events = append(e.events, pastEvent{now, e.told, ev})
	e.driver.Event(ev)
}

// Resume steers again after a panic.
func (e *Engine) Resume(now clock.Mono) {
	e.now = now
	if e.graph.Panicked() {
		e.graph.Resume()
		e.tell(now, status.SteeringResumed, "")
		e.setState(now, status.Acquiring, status.Reason{Code: status.Resumed})
	}
}
