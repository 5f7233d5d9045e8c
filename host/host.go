// SPDX-License-Identifier: Apache-2.0

// Package host wires one host as a configuration says: the engine, and the sources of every protocol that feed it. It is
// driven by events: datagrams, timestamps, crossings, names resolved and the passing of time. Like the engine it does no I/O
// and never asks what time it is; the daemon drives it with sockets, the simulator with virtual ones.
package host

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/servo"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
)

// Driver is what a host acts through. Its methods must not call the host.
type Driver interface {
	engine.Driver
	// SendEvent transmits a PTP event message by port n of the configuration; its transmit timestamp is handed over by
	// PTPTransmitted with the id. b is valid during the call only.
	SendEvent(port int, b []byte) (id uint32, err error)
	// Connect has association n talk to that server from now on, by a new local port. An error says that nothing can be sent
	// to it at present; SendNTP tries again. ntp.ErrPending says that the socket is being made: Connected tells the end.
	Connect(association int, server netip.AddrPort) error
	// Rebind has association n talk to its server by another local port. The socket may be pending then, as with Connect.
	Rebind(association int)
	// SendNTP transmits a request of association n, and returns what the clock read before; the transmit timestamp is
	// handed over by NTPTransmitted with the id. b is valid during the call only. It fails with ntp.ErrPending while the
	// socket is being made; nothing is sent then.
	SendNTP(association int, b []byte) (id uint32, sent clock.Timestamp, err error)
	// Resolve asks for the addresses of pool n's name, which are handed over by Resolved.
	Resolve(pool int, name string)
	// PortSocket and AssociationSocket return what the sockets of port n and of association n have counted so far, the
	// sockets that are closed by now included.
	PortSocket(port int) status.Socket
	AssociationSocket(association int) status.Socket
	// Overrun returns how many datagrams and transmit timestamps were dropped before the host could be given them.
	Overrun() uint64
}

// Env is what a host starts from.
type Env struct {
	engine.Env
	// Rand is the only source of randomness, owned by the host. It must be cryptographic on untrusted networks: NTP matches
	// replies by its numbers.
	Rand *rand.Rand
}

// Host is one host. It belongs to one goroutine.
type Host struct {
	*engine.Engine
	cfg    *configs.Config
	rand   *rand.Rand
	driver Driver
	ports  []*port
	pools  []*pool
	assocs []*association
	ids    map[source.ID]bool
	law    servo.Traits // by which the clocks are steered
	now    clock.Mono   // of the event being handled
}

// kinds are the kinds of sources, in the order in which the status shows them. Each registers the sources that the
// configuration asks for.
var kinds = [...]func(*Host){(*Host).addPTP, (*Host).addNTP}

// New returns a host for the configuration. Clocks and ports are added as they are found.
func New(cfg *configs.Config, env Env, driver Driver) *Host {
	return assemble(engine.New(engineConfig(cfg), env.Env, driver), cfg, env, driver)
}

// Successor returns a host for another configuration that goes on steering the same clocks; ports and associations start
// anew. h is of no use any more.
func (h *Host) Successor(now clock.Mono, cfg *configs.Config, env Env, driver Driver) *Host {
	return assemble(h.Engine.Successor(now, engineConfig(cfg), env.Env, driver), cfg, env, driver)
}

func assemble(e *engine.Engine, cfg *configs.Config, env Env, driver Driver) *Host {
	h := &Host{Engine: e, cfg: cfg, rand: env.Rand, driver: driver, ids: map[source.ID]bool{}, now: env.Start,
		law: servo.New(string(cfg.Steering.Servo), true).Traits()}
	for _, add := range kinds {
		add(h)
	}
	return h
}

func engineConfig(cfg *configs.Config) engine.Config {
	s := cfg.Steering
	step := map[configs.StepPolicy]discipline.StepPolicy{configs.StepFirst: discipline.StepFirst,
		configs.StepNever: discipline.StepNever, configs.StepAlways: discipline.StepAlways}[s.Step]
	policy := source.Policy{MinSources: cfg.Selection.MinSources, MaxDistance: cfg.Selection.MaxDistance}
	for _, name := range cfg.Selection.PreferKinds {
		policy.Kinds = append(policy.Kinds, source.Kind(name))
	}
	return engine.Config{Graph: discipline.Config{Step: step, StepThreshold: s.StepThreshold, PanicThreshold: s.PanicThreshold,
		MaxSlew: float64(s.MaxSlew), Wander: cfg.Holdover.Wander}, Servo: string(s.Servo), Policy: policy,
		HoldoverLimit: cfg.Holdover.Limit, HoldoverMaxAge: cfg.Holdover.MaxAge, UTCOffset: cfg.UTC.Offset}
}

// Wake does what is due.
func (h *Host) Wake(now clock.Mono) {
	h.now = now
	h.Engine.Wake(now)
}

// Snapshot returns the state as it is at now, when people's clocks show wall. devices names the clocks' devices and the
// interfaces that have them.
func (h *Host) Snapshot(now clock.Mono, wall time.Time, devices map[clock.ID]engine.Device) *status.Snapshot {
	s := h.Engine.Snapshot(now, wall, devices)
	s.Overrun = h.driver.Overrun()
	for _, p := range h.ports {
		s.Ports = append(s.Ports, p.status(now))
	}
	return s
}

// unused returns the first of the names that no source has yet, and a variant of the last one if all are taken.
func (h *Host) unused(names ...string) source.ID {
	id := source.ID(names[len(names)-1])
	for _, name := range names {
		if !h.ids[source.ID(name)] {
			id = source.ID(name)
			break
		}
	}
	for i := 2; h.ids[id]; i++ {
		id = source.ID(fmt.Sprintf("%s (%d)", names[len(names)-1], i))
	}
	h.ids[id] = true
	return id
}

// chance returns a generator for one part of the host, as hard to guess as the host's own, and a number to begin counting
// from that tells nothing of it.
func (h *Host) chance() (rng *rand.Rand, first uint16) {
	var seed [32]byte
	for i := 0; i < len(seed); i += 8 {
		binary.LittleEndian.PutUint64(seed[i:], h.rand.Uint64())
	}
	sum := sha256.Sum256(seed[:])
	return rand.New(rand.NewChaCha8(seed)), binary.LittleEndian.Uint16(sum[:])
}

// generator returns a generator for one part of the host.
func (h *Host) generator() *rand.Rand {
	rng, _ := h.chance()
	return rng
}
