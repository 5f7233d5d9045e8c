// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/ntp/ntptest"
	"github.com/lockstep-time/lockstep/ntp/wire"
)

// NTPServer runs a ntptest.Server over a socket. Its methods may be called from any goroutine.
type NTPServer struct {
	conn    *hwts.Conn
	running sync.WaitGroup

	mu     sync.Mutex // guards what follows
	server *ntptest.Server
	client netip.AddrPort
	kiss   string
}

// NewNTPServer starts a server at an IPv4 address and port. It answers until Close. The socket is made by the calling
// thread, in its network namespace.
func NewNTPServer(at netip.AddrPort) (*NTPServer, error) {
	conn, err := hwts.Listen(hwts.Config{Network: hwts.UDP4, Address: at.Addr(), Port: at.Port(), Stamps: hwts.Kernel})
	if err != nil {
		return nil, fmt.Errorf("NTP server: %w", err)
	}
	s := &NTPServer{conn: conn, server: ntptest.New()}
	s.running.Go(func() { _ = conn.Serve(s) }) // it ends by Close only
	return s, nil
}

// Close stops the server. It must be called once.
func (s *NTPServer) Close() error {
	err := s.conn.Close()
	s.running.Wait()
	return err
}

// Forge has every answer be overtaken by a kiss-o'-death with that code.
func (s *NTPServer) Forge(code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kiss = code
}

// SendToClient sends b from the server's address and port to the one that the latest request came from.
func (s *NTPServer) SendToClient(b []byte) {
	s.mu.Lock()
	to := hwts.UDPAddr(s.client)
	s.mu.Unlock()
	_, _ = s.conn.Send(b, to) // a datagram that cannot be sent is a lost one
}

// Received implements hwts.Handler.
func (s *NTPServer) Received(b []byte, from hwts.Addr, ts clock.Timestamp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ts.IsZero() {
		return
	}
	s.client = from.UDP
	if s.kiss != "" {
		s.sendKiss(b, from)
	}
	if answer := s.server.Respond(b, ts.Nanoseconds(), time.Now().UnixNano()); answer != nil {
		_, _ = s.conn.Send(answer, from) // an answer that cannot be sent is a lost one
	}
}

func (s *NTPServer) sendKiss(request []byte, to hwts.Addr) {
	h := wire.Header{Leap: wire.LeapUnknown, Version: wire.Version, Mode: wire.ModeServer, Poll: 17}
	copy(h.ReferenceID[:], s.kiss)
	if r, err := wire.Parse(request); err == nil {
		h.Origin = r.Transmit
	}
	_, _ = s.conn.Send(h.Append(nil), to)
}

// Transmitted implements hwts.Handler.
func (*NTPServer) Transmitted(uint32, clock.Timestamp) {}
