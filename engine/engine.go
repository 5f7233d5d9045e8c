// SPDX-License-Identifier: Apache-2.0

// Package engine is one host's protocol and decision code, wired together as a configuration says and driven by events:
// datagrams, timestamps, crossings and the passing of time. It does no I/O, starts no goroutine and never asks what time
// it is, so that a daemon drives it with sockets and real timers, and a simulation with virtual ones.
package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/estimate"
	"github.com/lockstep-time/lockstep/servo"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
)

// Driver is what the engine acts through. Its methods must not call the engine.
type Driver interface {
	// SendEvent transmits a PTP event message by port n of the configuration; its transmit timestamp is told by
	// PTPTransmitted with the id. b is valid during the call only.
	SendEvent(port int, b []byte) (id uint32, err error)
	// Connect has association n talk to that server from now on, by a new local port. An error says that nothing can be sent
	// to it as things are; SendNTP tries again.
	Connect(association int, server netip.AddrPort) error
	// Rebind has association n talk to its server by another local port.
	Rebind(association int)
	// SendNTP transmits a request of association n, and returns what the clock read before; the transmit timestamp is
	// told by NTPTransmitted with the id. b is valid during the call only.
	SendNTP(association int, b []byte) (id uint32, sent clock.Timestamp, err error)
	// Resolve asks for the addresses of pool n's name, which are told by Resolved.
	Resolve(pool int, name string)
	// SetFrequency sets a clock's correction, and returns the one that it really took and what it read then.
	SetFrequency(id clock.ID, ppb float64) (applied float64, at clock.Timestamp, err error)
	// Step adds d to a clock, and returns what it read before.
	Step(id clock.ID, d time.Duration) (at clock.Timestamp, err error)
	// Compare asks for a crossing of a PHC with the system clock, which is told by Crossed.
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

// Env is what an engine starts from.
type Env struct {
	// Rand is all the chance there is; the engine's alone. Where strangers can send to this host it has to be of a
	// cryptographic generator: by its numbers NTP knows the answers to what it has asked.
	Rand *rand.Rand
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
	cfg      *configs.Config
	env      Env
	driver   Driver
	observer Observer // nil if the driver is none
	tree     *discipline.Tree
	selector *source.Selector
	ports    []*port
	pools    []*pool
	clients  []*association
	sources  []*tracked // all of the above, in the order of the configuration

	candidates []source.Candidate
	own        source.Own
	nextSelect clock.Mono
	nextTick   clock.Mono
	nextKernel clock.Mono

	utc        utcOffset
	listOrigin string     // of TAI − UTC, if it is taken from the leap-seconds list
	utcDoubt   clock.Mono // since when another offset is stated than the one in force, 0 if none is
	leader     *tracked
	learned    bool          // something that is worth saving
	proven     bool          // a measurement of the leader has steered since it leads
	anchor     float64       // ns by which a leading NTP server differs from the time that the host is steered to
	anchored   bool          // a better kind of source has set that
	doubted    time.Duration // part of the maximum error: what contradicts this host may be right
	judged     judgement
	lostAt     clock.Mono // when the last leader was lost
	state      status.State
	changed    clock.Mono
	reason     string
	events     []event
	// comparing are the PHCs of which a crossing is under way; stale the ones where it is from before a step
	comparing, stale map[clock.ID]bool
	asked            map[clock.ID]clock.Mono
	armed            armedLeap
	armFrom          clock.Mono // not before
	advice           leapAdvice
	past             pastLeap
	steps            uint64
	now              clock.Mono // of the event being handled
}

type event struct {
	at   clock.Mono
	text string
}

const (
	selectInterval = time.Second
	kernelInterval = time.Second
	keptEvents     = 32
	tickInterval   = 125 * time.Millisecond
	answerTimeout  = 2 * time.Second // after which a comparison is asked for again
)

// New returns an engine for the configuration. Clocks and ports are added as they are found.
func New(cfg *configs.Config, env Env, driver Driver) *Engine {
	e := newEngine(cfg, env, driver)
	e.findUTCOffset(env.Start)
	return e
}

// newEngine returns an engine that has not looked for TAI − UTC yet.
func newEngine(cfg *configs.Config, env Env, driver Driver) *Engine {
	e := &Engine{cfg: cfg, env: env, driver: driver, state: status.Starting, changed: env.Start,
		reason: "the daemon has just started", nextSelect: env.Start, nextTick: env.Start,
		nextKernel: env.Start.Add(kernelInterval), comparing: map[clock.ID]bool{}, stale: map[clock.ID]bool{},
		asked: map[clock.ID]clock.Mono{},
		now:   env.Start, utc: utcOffset{origin: unknownOrigin}}
	e.env.Saved.Frequencies = maps.Clone(env.Saved.Frequencies)
	if e.env.Saved.Frequencies == nil {
		e.env.Saved.Frequencies = map[string]float64{}
	}
	e.observer, _ = driver.(Observer)
	e.listOrigin = "leap-seconds list " + env.LeapsName
	e.tree = discipline.New(treeConfig(cfg), (*actuator)(e))
	e.selector = source.NewSelector(policy(cfg))
	for i := range cfg.PTP.Ports {
		e.addPort(i)
	}
	e.addPools()
	for _, s := range e.sources {
		s.estimate = estimate.New()
	}
	return e
}

// chance returns a generator for one part of the engine, as hard to guess as the engine's own, and a number to begin
// counting from that tells nothing of it.
func (e *Engine) chance() (rng *rand.Rand, first uint16) {
	var seed [32]byte
	for i := 0; i < len(seed); i += 8 {
		binary.LittleEndian.PutUint64(seed[i:], e.env.Rand.Uint64())
	}
	sum := sha256.Sum256(seed[:])
	return rand.New(rand.NewChaCha8(seed)), binary.LittleEndian.Uint16(sum[:])
}

// generator returns a generator for one part of the engine.
func (e *Engine) generator() *rand.Rand {
	rng, _ := e.chance()
	return rng
}

func treeConfig(cfg *configs.Config) discipline.Config {
	s := cfg.Steering
	step := map[configs.StepPolicy]discipline.StepPolicy{configs.StepFirst: discipline.StepFirst,
		configs.StepNever: discipline.StepNever, configs.StepAlways: discipline.StepAlways}[s.Step]
	return discipline.Config{Step: step, StepThreshold: s.StepThreshold, PanicThreshold: s.PanicThreshold,
		MaxSlew: float64(s.MaxSlew), Wander: cfg.Holdover.Wander, Interval: tickInterval}
}

func policy(cfg *configs.Config) source.Policy {
	p := source.Policy{MinSources: cfg.Selection.MinSources, MaxDistance: cfg.Selection.MaxDistance}
	for _, name := range cfg.Selection.PreferKinds {
		for _, k := range []source.Kind{source.PTP, source.NTP, source.PPS} {
			if k.String() == name {
				p.Kinds = append(p.Kinds, k)
			}
		}
	}
	return p
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
		in.Servo = servo.New(string(e.cfg.Steering.Servo), c.Hardware)
		if saved, ok := e.env.Saved.Frequencies[c.ID.String()]; ok {
			if applied, at, err := e.driver.SetFrequency(c.ID, saved); err == nil {
				in.Frequency, in.Reading, in.Sigma = applied, at, savedSigma
			}
		}
	}
	e.tree.Remove(now, c.ID)
	e.tree.Add(now, in)
	e.nextTick = now
	if c.ID == clock.System && c.Steer {
		e.takeUpLeap(now, c.Leap, in.Reading)
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
	for _, p := range e.ports {
		if p.core != nil && p.core.NextWake() <= now {
			p.core.Wake(now)
		}
	}
	for _, p := range e.pools {
		if p.core.NextWake() <= now {
			p.core.Wake(now)
		}
	}
	for _, c := range e.clients {
		if c.connected && c.core.NextWake() <= now {
			c.core.Wake(now)
		}
	}
	if e.tree.NextWake() <= now {
		e.checkLeap(now)
		e.tree.Tick(now)
	}
	if e.nextTick <= now {
		e.compare(now)
	}
	if e.nextSelect <= now {
		e.choose(now)
	}
	if e.nextKernel <= now {
		e.nextKernel = now.Add(kernelInterval)
		e.tellKernel(now)
	}
}

// NextWake returns when Wake has to be called next.
func (e *Engine) NextWake() clock.Mono {
	next := min(e.nextTick, e.tree.NextWake(), e.nextSelect, e.nextKernel)
	for _, p := range e.ports {
		if p.core != nil {
			next = min(next, p.core.NextWake())
		}
	}
	for _, p := range e.pools {
		next = min(next, p.core.NextWake())
	}
	for _, c := range e.clients {
		if c.connected {
			next = min(next, c.core.NextWake())
		}
	}
	return next
}

// compare has the PHCs compared with the system clock.
func (e *Engine) compare(now clock.Mono) {
	e.nextTick = now.Add(tickInterval)
	if !e.tree.Has(clock.System) {
		return
	}
	for id := range e.tree.PHCs() {
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
