// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"

	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/ptp/wire"
	"github.com/lockstep-time/lockstep/test/peers"
)

// newGrandmaster starts a grandmaster on loopback.
func newGrandmaster(p ports) (*peers.Grandmaster, error) {
	return peers.NewGrandmaster(peers.GrandmasterConfig{
		Network: hwts.UDP4, Interface: "lo", EventPort: p.event, GeneralPort: p.general,
		Config: ptptest.Config{
			Identity:     wire.PortIdentity{Clock: wire.ClockIdentityFromMAC([6]byte{0x02, 0, 0, 0xde, 0x30, 1}), Port: 1},
			MinorVersion: 1, LogAnnounceInterval: -1, LogSyncInterval: -3, LogMinDelayReqInterval: -3,
		},
	})
}

// newNTPServer starts an NTP server on loopback.
func newNTPServer(p ports) (*peers.NTPServer, error) {
	return peers.NewNTPServer(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), p.ntp))
}
