// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/ntp/ntptest"
)

// ntpServer is an NTP server on loopback whose time is CLOCK_REALTIME.
type ntpServer struct {
	conn    *hwts.Conn
	server  *ntptest.Server // of the goroutine that reads
	running sync.WaitGroup
}

func newNTPServer(port uint16) (*ntpServer, error) {
	conn, err := hwts.Listen(hwts.Config{Network: hwts.UDP4, Address: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Port: port,
		Stamps: hwts.Kernel})
	if err != nil {
		return nil, fmt.Errorf("NTP server: %w", err)
	}
	s := &ntpServer{conn: conn, server: ntptest.New()}
	s.running.Go(func() { _ = conn.Serve(s) }) // it ends by Close only
	return s, nil
}

// Close stops it.
func (s *ntpServer) Close() error {
	err := s.conn.Close()
	s.running.Wait()
	return err
}

// Received implements hwts.Handler.
func (s *ntpServer) Received(b []byte, from hwts.Addr, ts clock.Timestamp) {
	if ts.IsZero() {
		return
	}
	if answer := s.server.Respond(b, ts.Nanoseconds(), time.Now().UnixNano()); answer != nil {
		_, _ = s.conn.Send(answer, from) // an answer that cannot be sent is a lost one
	}
}

// Transmitted implements hwts.Handler.
func (*ntpServer) Transmitted(uint32, clock.Timestamp) {}
