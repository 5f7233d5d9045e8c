// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/sysclock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/ntp/ntptest"
	ntpwire "github.com/lockstep-time/lockstep/ntp/wire"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	ptpwire "github.com/lockstep-time/lockstep/ptp/wire"
)

// taiOffset is what the grandmaster's time is ahead of the machine's.
const taiOffset = 37 * time.Second

// grandmaster serves the machine's time.
type grandmaster struct {
	mu      sync.Mutex
	core    *ptptest.Master
	network hwts.Network
	// unicast has Delay_Req messages be answered to client alone, which sent the latest.
	unicast bool
	client  hwts.Addr
	// event and general are one on Ethernet.
	event, general *hwts.Conn
	stop           chan struct{}
	running        sync.WaitGroup
	// The latest messages that were sent, oldest first.
	events, generals [][]byte
}

// masterIdentity is that of the grandmaster's port.
func masterIdentity() ptpwire.PortIdentity {
	return ptpwire.PortIdentity{Clock: ptpwire.ClockIdentity{2, 0, 0, 0xff, 0xfe, 0, 0, 1}, Port: 1}
}

// newGrandmaster starts a grandmaster over UDP/IPv4 with 16 Sync messages per second on the peers' interface.
func newGrandmaster(t *testing.T, w *cable) *grandmaster {
	t.Helper()
	return newGrandmasterOver(t, w, hwts.UDP4)
}

// newGrandmasterOver is newGrandmaster over another network.
func newGrandmasterOver(t *testing.T, w *cable, network hwts.Network) *grandmaster {
	t.Helper()
	g := &grandmaster{network: network, stop: make(chan struct{})}
	w.peers.do(t, func() (err error) {
		c := hwts.Config{Network: network, Interface: "eth1", Port: hwts.EventPort, Stamps: hwts.Kernel,
			Groups: []hwts.Addr{network.Primary(hwts.EventPort)}}
		if g.event, err = hwts.Listen(c); err != nil {
			return err
		}
		if network == hwts.Ethernet {
			g.general = g.event
			return nil
		}
		c.Port, c.Stamps, c.Groups = hwts.GeneralPort, hwts.NoStamps, nil
		g.general, err = hwts.Listen(c)
		return err
	})
	g.core = ptptest.NewMaster(ptptest.Config{Identity: masterIdentity(), MinorVersion: 1, LogAnnounceInterval: -2,
		LogSyncInterval: -4, LogMinDelayReqInterval: -4}, g)
	g.core.Faults.Shift = taiOffset
	g.running.Go(func() { _ = g.event.Serve(g) }) // it ends by Close only
	g.running.Go(g.run)
	t.Cleanup(func() {
		close(g.stop)
		g.event.Close()
		g.general.Close() // once more, on Ethernet
		g.running.Wait()
	})
	return g
}

func (g *grandmaster) run() {
	for {
		g.mu.Lock()
		g.core.Wake(sysclock.Monotonic())
		next := g.core.NextWake()
		g.mu.Unlock()
		select {
		case <-g.stop:
			return
		case <-time.After(next.Sub(sysclock.Monotonic())):
		}
	}
}

// silence has the grandmaster send nothing, or again.
func (g *grandmaster) silence(silent bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.core.Faults.Silent = silent
}

func record(messages [][]byte, b []byte) [][]byte {
	const kept = 48
	return append(messages[max(0, len(messages)-kept+1):], slices.Clone(b))
}

// recorded returns the latest messages that were sent.
func (g *grandmaster) recorded() (events, generals [][]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.events), slices.Clone(g.generals)
}

// answerByUnicast has Delay_Resp messages be sent to those that asked.
func (g *grandmaster) answerByUnicast() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unicast = true
}

// Received implements hwts.Handler.
func (g *grandmaster) Received(b []byte, from hwts.Addr, ts clock.Timestamp) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.client = hwts.UDPAddr(netip.AddrPortFrom(from.UDP.Addr(), hwts.GeneralPort))
	g.core.Receive(sysclock.Monotonic(), b, ts)
}

// Transmitted implements hwts.Handler.
func (g *grandmaster) Transmitted(id uint32, ts clock.Timestamp) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.core.Transmitted(sysclock.Monotonic(), id, ts)
}

// SendEvent implements ptptest.Output.
func (g *grandmaster) SendEvent(b []byte) (uint32, error) {
	g.events = record(g.events, b)
	return g.event.Send(b, g.network.Primary(hwts.EventPort))
}

// SendGeneral implements ptptest.Output.
func (g *grandmaster) SendGeneral(b []byte) error {
	g.generals = record(g.generals, b)
	to := g.network.Primary(hwts.GeneralPort)
	if g.unicast && ptpwire.MessageType(b[0]&0xf) == ptpwire.MessageDelayResp {
		to = g.client
	}
	_, err := g.general.Send(b, to)
	return err
}

// Time implements ptptest.Output.
func (g *grandmaster) Time() int64 { return time.Now().UnixNano() }

// ntpServer serves the machine's time.
type ntpServer struct {
	core    *ntptest.Server
	conn    *hwts.Conn
	mu      sync.Mutex
	client  netip.AddrPort // that asked last
	kiss    string         // code of the kisses that overtake the answers, empty for none
	running sync.WaitGroup
}

func newNTPServer(t *testing.T, w *cable) *ntpServer {
	t.Helper()
	return newNTPServerAt(t, w, peerAddress)
}

func newNTPServerAt(t *testing.T, w *cable, address netip.Addr) *ntpServer {
	t.Helper()
	s := &ntpServer{core: ntptest.New()}
	w.peers.do(t, func() (err error) {
		s.conn, err = hwts.Listen(hwts.Config{Network: hwts.UDP4, Address: address, Port: hwts.NTPPort, Stamps: hwts.Kernel})
		return err
	})
	s.running.Go(func() { _ = s.conn.Serve(s) }) // it ends by Close only
	t.Cleanup(func() {
		s.conn.Close()
		s.running.Wait()
	})
	return s
}

// Received implements hwts.Handler.
func (s *ntpServer) Received(b []byte, from hwts.Addr, ts clock.Timestamp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = from.UDP
	if s.kiss != "" {
		h := ntpwire.Header{Leap: ntpwire.LeapUnknown, Version: ntpwire.Version, Mode: ntpwire.ModeServer, Poll: 17}
		copy(h.ReferenceID[:], s.kiss)
		if request, err := ntpwire.Parse(b); err == nil {
			h.Origin = request.Transmit
		}
		_, _ = s.conn.Send(h.Append(nil), from)
	}
	if answer := s.core.Respond(b, ts.Nanoseconds(), time.Now().UnixNano()); answer != nil {
		_, _ = s.conn.Send(answer, from) // an answer that cannot be sent is a lost answer
	}
}

// forge has every answer be overtaken by a kiss-o'-death.
func (s *ntpServer) forge(code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kiss = code
}

// Transmitted implements hwts.Handler.
func (*ntpServer) Transmitted(uint32, clock.Timestamp) {}

// lastClient returns the address and port that a request came from last.
func (s *ntpServer) lastClient() netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client
}
