// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"net/netip"
	"testing"

	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/ptp/wire"
	"github.com/lockstep-time/lockstep/test/peers"
)

// masterIdentity is that of the grandmaster's port.
func masterIdentity() wire.PortIdentity {
	return wire.PortIdentity{Clock: wire.ClockIdentity{2, 0, 0, 0xff, 0xfe, 0, 0, 1}, Port: 1}
}

// newGrandmaster starts a grandmaster over UDP/IPv4 with 16 Sync messages per second on the peers' interface.
func newGrandmaster(t *testing.T, w *cable) *peers.Grandmaster {
	t.Helper()
	return newGrandmasterOver(t, w, hwts.UDP4)
}

// newGrandmasterOver is newGrandmaster over another network.
func newGrandmasterOver(t *testing.T, w *cable, network hwts.Network) (g *peers.Grandmaster) {
	t.Helper()
	w.peers.do(t, func() (err error) {
		g, err = peers.NewGrandmaster(peers.GrandmasterConfig{Network: network, Interface: "eth1",
			Config: ptptest.Config{Identity: masterIdentity(), MinorVersion: 1, LogAnnounceInterval: -2, LogSyncInterval: -4,
				LogMinDelayReqInterval: -4}})
		return err
	})
	t.Cleanup(func() { _ = g.Close() })
	return g
}

func newNTPServer(t *testing.T, w *cable) *peers.NTPServer {
	t.Helper()
	return newNTPServerAt(t, w, peerAddress)
}

func newNTPServerAt(t *testing.T, w *cable, address netip.Addr) (s *peers.NTPServer) {
	t.Helper()
	w.peers.do(t, func() (err error) {
		s, err = peers.NewNTPServer(netip.AddrPortFrom(address, hwts.NTPPort))
		return err
	})
	t.Cleanup(func() { _ = s.Close() })
	return s
}
