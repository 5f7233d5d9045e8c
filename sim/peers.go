// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ntp/ntptest"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

const (
	eventPort, generalPort, ntpPort = 319, 320, 123
	// stampDelay is how long after a packet has left its transmit timestamp is there.
	stampDelay = int64(20 * time.Microsecond)
)

// lie is a deviation from true time that grows.
type lie struct {
	offset, rate float64 // ns and ns per second
	since        int64
}

func (l *lie) at(t int64) time.Duration {
	return time.Duration(bounded(l.offset+l.rate*float64(t-l.since)/1e9, maxLie))
}

// maxLie bounds a deviation from true time.
const maxLie = 50 * 366 * 24 * time.Hour

// Shift has it be wrong by d more from now on.
func (l *lie) shift(d time.Duration) { l.offset += float64(d) }

// drift has it go wrong by rate, in ns per second, from now on.
func (l *lie) drift(now int64, rate float64) {
	l.offset, l.since, l.rate = float64(l.at(now)), now, rate
}

// Master is a PTP grandmaster with true time, unless it is told to lie or has a clock of its own.
type Master struct {
	world  *World
	name   string
	number int
	core   *ptptest.Master
	links  []*Link
	lie    lie
	own    *Clock // nil: true time
	slow   int64  // what Follow_Up messages wait in addition, ns
	serial uint32
}

// NewMaster puts a grandmaster into the world. The identity in cfg is made of its number unless it is given.
func (w *World) NewMaster(name string, cfg ptptest.Config) *Master {
	m := &Master{world: w, name: name, number: w.nextNode()}
	if cfg.Identity == (wire.PortIdentity{}) {
		cfg.Identity = identity(m.number)
	}
	m.core = ptptest.NewMaster(cfg, m)
	w.queue.push(event{to: m, kind: wake})
	return m
}

func identity(number int) wire.PortIdentity {
	id := wire.PortIdentity{Port: 1}
	binary.BigEndian.PutUint64(id.Clock[:], 0x02_00_00_ff_fe_00_00_00|uint64(number))
	return id
}

func address(number int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 0, byte(number >> 8), byte(number)})
}

// Properties returns what the master announces, to be changed at will.
func (m *Master) Properties() *ptptest.Properties { return &m.core.Properties }

// Faults returns what the master does wrong beside the time it tells.
func (m *Master) Faults() *ptptest.Faults { return &m.core.Faults }

// Shift has the master's time be wrong by d more from now on.
func (m *Master) Shift(d time.Duration) { m.lie.shift(d) }

// Keep gives the master a clock of its own in place of true time. What it is told to lie comes on top.
func (m *Master) Keep(c ClockConfig) { m.own = m.world.newClock(m.name, clock.PHC(0), clock.TAI, c) }

// Drift has the master's time go wrong by so many ns per second from now on.
func (m *Master) Drift(ppb float64) { m.lie.drift(m.world.now, ppb) }

// DelayFollowUp has Follow_Up messages leave so much later from now on.
func (m *Master) DelayFollowUp(d time.Duration) { m.slow = int64(d) }

func (m *Master) handle(e *event) {
	w := m.world
	m.core.Faults.Shift = m.lie.at(w.now)
	switch e.kind {
	case arrival:
		m.core.Receive(mono(w.now), w.packets.bytes[e.packet], m.stamp())
	case transmitted:
		m.core.Transmitted(mono(w.now), e.id, e.ts)
	case wake:
		m.core.Wake(mono(w.now))
		w.queue.push(event{at: max(w.now+1, trueTime(m.core.NextWake())), to: m, kind: wake})
	}
}

func (m *Master) end() endpoint { return endpoint{node: m, number: m.number} }

func (m *Master) stamp() clock.Timestamp { return clock.At(clock.PHC(0), m.Time()) }

// SendEvent implements ptptest.Output.
func (m *Master) SendEvent(b []byte) (uint32, error) {
	m.serial++
	m.world.queue.push(event{at: m.world.now + stampDelay + m.slow, to: m, kind: transmitted, label: label{id: m.serial},
		ts: m.stamp()})
	for _, l := range m.links {
		l.send(l.side(m), b, eventPort, 0)
	}
	return m.serial, nil
}

// SendGeneral implements ptptest.Output.
func (m *Master) SendGeneral(b []byte) error {
	for _, l := range m.links {
		l.send(l.side(m), b, generalPort, 0)
	}
	return nil
}

// Time implements ptptest.Output.
func (m *Master) Time() int64 { return m.world.TAI(m.world.now) + m.own.ahead() }

// Server is an NTP server with true time, unless it is told to lie or has a clock of its own.
type Server struct {
	world   *World
	name    string
	number  int
	core    *ntptest.Server
	address netip.Addr
	names   []string
	lie     lie
	own     *Clock // nil: true time
}

// NewServer puts an NTP server into the world, to be found under an address and names.
func (w *World) NewServer(name string, addr netip.Addr, names ...string) *Server {
	s := &Server{world: w, name: name, number: w.nextNode(), core: ntptest.New(), address: addr, names: names}
	if !addr.IsValid() {
		s.address = address(s.number)
	}
	return s
}

// Answers returns how the server answers, to be changed at will.
func (s *Server) Answers() *ntptest.Server { return s.core }

// Address returns where the server is found.
func (s *Server) Address() netip.Addr { return s.address }

// Shift has the server's time be wrong by d more from now on.
func (s *Server) Shift(d time.Duration) { s.lie.shift(d) }

// Keep gives the server a clock of its own in place of true time. What it is told to lie comes on top.
func (s *Server) Keep(c ClockConfig) { s.own = s.world.newClock(s.name, clock.System, clock.TAI, c) }

// Drift has the server's time go wrong by so many ns per second from now on.
func (s *Server) Drift(ppb float64) { s.lie.drift(s.world.now, ppb) }

func (s *Server) handle(e *event) {
	w := s.world
	s.core.Offset = s.lie.at(w.now)
	now := w.UTC(w.now) + s.own.ahead()
	answer := s.core.Respond(w.packets.bytes[e.packet], now, now)
	if answer != nil {
		e.from.send(e.from.side(s), answer, ntpPort, e.id)
	}
}
