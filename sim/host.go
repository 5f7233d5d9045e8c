// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/host"
	"github.com/lockstep-time/lockstep/phc"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/sim/expr"
)

// PHCConfig describes a NIC with a clock.
type PHCConfig struct {
	ClockConfig
	// Interfaces that have the clock.
	Interfaces []string
	Crossing   CrossingConfig
}

// CrossingConfig describes how a PHC is compared with the system clock: the system clock is read, then the PHC, then the
// system clock again.
type CrossingConfig struct {
	// Window is the time in seconds from the first reading of the system clock to the second, drawn for each reading.
	// nil is 500 ns.
	Window *expr.Program
	// Asymmetry is by how much the PHC is read later than in the middle of the window, as a part of the window: −0.5 to 0.5.
	Asymmetry float64
	// Before and After, if both are given, take the place of these: the times in seconds from the first reading of the system
	// clock to that of the PHC, and from there to the second one.
	Before, After *expr.Program
	// ReadingNoise, in seconds, is added to each reading of the PHC, and Noise to a comparison as a whole.
	ReadingNoise, Noise *expr.Program
}

// HostConfig describes a host.
type HostConfig struct {
	// Config is that of the daemon.
	Config *configs.Config
	System ClockConfig
	PHCs   []PHCConfig
	// Leaps is its leap-seconds list, nil if it has none.
	Leaps *clock.LeapTable
}

// Host runs the production code over simulated clocks and links.
type Host struct {
	world  *World
	name   string
	number int
	cfg    *configs.Config
	leaps  *clock.LeapTable
	system *Clock
	phcs   []*nic
	ports  [][]*Link // by port of the configuration
	routes []route
	assocs []association
	names  []string // of the pools that were looked up

	readings [phc.MaxReadings]phc.Reading
	daemon   *host.Host
	starts   int
	saved    engine.Saved
	savedAt  int64
	wakeAt   int64
	serial   uint32
	log      []Event
	record   recording
	watched  bool
	requests uint64 // to NTP servers
	summary  engine.Summary
}

// nic is a PHC with what compares it.
type nic struct {
	*Clock
	interfaces            []string
	crossing              CrossingConfig
	window, reading, once *quantity
	before, after         *quantity
}

// route is the way to an NTP server.
type route struct {
	server *Server
	link   *Link
}

// association is a socket towards an NTP server.
type association struct {
	serial uint32
	link   *Link
	clock  *Clock // that stamps its messages
}

// Event is something that a host's log told.
type Event struct {
	Time time.Duration
	Text string
}

const (
	maxLog       = 10000
	saveInterval = int64(time.Minute) // as the daemon has it
)

// NewHost puts a host into the world, which Start switches on. Its clocks run from the beginning.
func (w *World) NewHost(name string, c HostConfig) *Host {
	h := &Host{world: w, name: name, number: w.nextNode(), cfg: c.Config, leaps: c.Leaps, wakeAt: never,
		ports: make([][]*Link, len(c.Config.PTP.Ports))}
	h.system = w.newClock(name+" system", clock.System, clock.UTC, c.System)
	for i, p := range c.PHCs {
		id := fmt.Sprintf("%s ptp%d", name, i)
		n := &nic{Clock: w.newClock(id, clock.PHC(i), clock.TAI, p.ClockConfig), interfaces: p.Interfaces, crossing: p.Crossing}
		rng := w.rand(id + " crossings")
		n.before = w.quantity(p.Crossing.Before, Window, rng)
		n.after = w.quantity(p.Crossing.After, Window, rng)
		n.window = w.quantity(p.Crossing.Window, Window, rng)
		n.reading = w.quantity(p.Crossing.ReadingNoise, Noise, rng)
		n.once = w.quantity(p.Crossing.Noise, Noise, rng)
		h.phcs = append(h.phcs, n)
	}
	w.hosts = append(w.hosts, h)
	return h
}

const never = int64(clock.Never)

// Name of the host.
func (h *Host) Name() string { return h.name }

// Clock returns the host's clock of that identity, nil if there is none.
func (h *Host) Clock(id clock.ID) *Clock {
	if id == clock.System {
		return h.system
	}
	if i, ok := id.PHCIndex(); ok && i < len(h.phcs) {
		return h.phcs[i].Clock
	}
	return nil
}

// Clocks returns the identities of all clocks of the host, the system clock first.
func (h *Host) Clocks() []clock.ID {
	ids := []clock.ID{clock.System}
	for i := range h.phcs {
		ids = append(ids, clock.PHC(i))
	}
	return ids
}

// Log returns what the host has told of, at most the first 10000 events.
func (h *Host) Log() []Event { return h.log }

// nicOf returns the PHC of an interface, nil if it has none.
func (h *Host) nicOf(name string) *nic {
	for _, n := range h.phcs {
		for _, i := range n.interfaces {
			if i == name {
				return n
			}
		}
	}
	return nil
}

// Connect joins a port of the host, by index in the configuration, with a grandmaster: there is the direction from the
// master to the host.
func (h *Host) Connect(port int, m *Master, there, back PathConfig, through ...*Switch) *Link {
	l := h.world.newLink(h.linkName(m.name, port), [2]endpoint{m.end(), h.end(port)}, there, back, through)
	m.links = append(m.links, l)
	h.ports[port] = append(h.ports[port], l)
	return l
}

func (h *Host) linkName(from string, port int) string {
	return fmt.Sprintf("%s to %s port %d", from, h.name, port)
}

func (h *Host) end(port int) endpoint { return endpoint{h, int32(port), h.number} }

// Route joins the host with an NTP server: there is the direction from the server to the host.
func (h *Host) Route(s *Server, there, back PathConfig, through ...*Switch) *Link {
	l := h.world.newLink(s.name+" to "+h.name, [2]endpoint{{node: s, number: s.number}, {h, -1, h.number}}, there, back,
		through)
	h.routes = append(h.routes, route{s, l})
	return l
}

// Start switches the daemon on, or once more after it was killed: what it saved a minute ago at most is all it knows.
func (h *Host) Start() {
	h.daemon = host.New(h.cfg, h.env(h.saved), (*driver)(h))
	h.savedAt = h.world.now
	s := h.cfg.Steering
	h.addClock(h.system, s.SystemClock != configs.NoSystemClock)
	for _, n := range h.phcs {
		h.addClock(n.Clock, s.PHC)
	}
	h.openAll()
	h.schedule()
}

// env is what another engine of the host starts from.
func (h *Host) env(saved engine.Saved) host.Env {
	rng := h.world.rand(fmt.Sprintf("%s engine %d", h.name, h.starts))
	h.starts++
	return host.Env{Rand: rng, Env: engine.Env{Leaps: h.leaps, LeapsName: "simulated", Saved: saved, Start: mono(h.world.now),
		Version: "simulated"}}
}

// openAll makes the sockets of the daemon's ports and associations.
func (h *Host) openAll() {
	h.assocs = make([]association, h.daemon.Associations())
	for i := range h.ports {
		h.open(i)
	}
	for i := range h.assocs {
		h.bind(i)
	}
}

func (h *Host) addClock(c *Clock, steer bool) {
	info := h.ClockInfo(c.id)
	info.Steer = steer
	h.daemon.AddClock(mono(h.world.now), info)
}

// bind has the messages of an association stamped by the NIC of its interface, if that has a clock.
func (h *Host) bind(n int) {
	h.assocs[n].clock = h.system
	if c := h.nicOf(h.daemon.AssociationInterface(n)); c != nil {
		h.assocs[n].clock = c.Clock
		h.daemon.AssociationClock(mono(h.world.now), n, c.id)
	}
}

func (h *Host) open(port int) {
	info := host.PortInfo{Identity: identity(h.number), Clock: clock.System, LinkUp: true, Speed: 1e9}
	info.Identity.Port = uint16(port + 1)
	if n := h.nicOf(h.cfg.PTP.Ports[port].Interface); n != nil {
		info.Clock, info.Hardware = n.id, true
	}
	h.daemon.OpenPort(mono(h.world.now), port, info)
}

// Kill ends the daemon from one moment to the next. The clocks run on as they are.
func (h *Host) Kill() { h.daemon, h.wakeAt = nil, never }

// SetLink tells the daemon that the link of a port went up or down.
func (h *Host) SetLink(port int, up bool) {
	if h.daemon != nil {
		h.daemon.PortLink(mono(h.world.now), port, up, 1e9)
		h.schedule()
	}
}

// handle takes an event to the engine.
func (h *Host) handle(e *event) {
	if h.daemon == nil || e.kind == wake && e.at != h.wakeAt {
		return
	}
	now := mono(h.world.now)
	switch e.kind {
	case wake:
		h.save()
	case arrival:
		h.arrived(e)
	case transmitted:
		if e.n < 0 {
			h.daemon.NTPTransmitted(now, int(-1-e.n), e.id, e.ts)
		} else {
			h.daemon.PTPTransmitted(now, int(e.n), e.id, e.ts)
		}
	case crossing:
		h.cross(int(e.n))
	case resolve:
		h.resolved(int(e.n))
	}
	h.daemon.Wake(now) // as the daemon does, which is awake now
	h.schedule()
}

func (h *Host) arrived(e *event) {
	w, now := h.world, mono(h.world.now)
	b := w.packets.bytes[e.packet]
	if e.n >= 0 {
		ts := clock.Timestamp{}
		if b[0]&0x0f < 4 { // an event message (IEEE 1588-2019 table 36)
			ts = h.portClock(int(e.n)).stamp(w.now)
		}
		h.daemon.PTPReceived(now, int(e.n), b, ts, ptp.Address{IP: address(int(e.src))})
		return
	}
	for i := range h.assocs {
		if a := &h.assocs[i]; a.link == e.from && a.serial == e.id {
			h.daemon.NTPReceived(now, i, b, a.clock.stamp(w.now))
			return
		}
	}
}

func (h *Host) portClock(port int) *Clock {
	if n := h.nicOf(h.cfg.PTP.Ports[port].Interface); n != nil {
		return n.Clock
	}
	return h.system
}

// schedule wakes the engine when it wants to be.
func (h *Host) schedule() {
	at := max(h.world.now, trueTime(h.daemon.NextWake()))
	if at == h.wakeAt && at > h.world.now {
		return
	}
	h.wakeAt = at
	if at != never {
		h.world.queue.push(event{at: at, to: h, kind: wake})
	}
}

// save keeps what the daemon would write into its state file.
func (h *Host) save() {
	if h.world.now-h.savedAt < saveInterval {
		return
	}
	h.savedAt = h.world.now
	if s, worth := h.daemon.Save(mono(h.world.now)); worth {
		h.saved = s
	}
}

// Interfaces returns that of each PTP port, in the order of the configuration.
func (h *Host) Interfaces() (names []string) {
	for _, p := range h.cfg.PTP.Ports {
		names = append(names, p.Interface)
	}
	return names
}

// SetInterface tells the daemon that the link of an interface went up or down; while it is down nothing passes.
func (h *Host) SetInterface(name string, up bool) {
	for i, p := range h.cfg.PTP.Ports {
		if p.Interface == name {
			for _, l := range h.ports[i] {
				l.Cut(!up)
			}
			h.SetLink(i, up)
		}
	}
}
