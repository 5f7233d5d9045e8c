// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/lockstep-time/lockstep/clock"
)

func TestConfigsThatCannotBe(t *testing.T) {
	ip4, ip6 := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")
	tests := map[string]struct {
		config Config
		want   string
	}{
		"no network":                    {Config{}, "Network"},
		"unknown stamps":                {Config{Network: UDP4, Stamps: 3}, "Stamps"},
		"TTL too large":                 {Config{Network: UDP4, TTL: 256}, "TTL"},
		"negative TTL":                  {Config{Network: UDP4, TTL: -1}, "TTL"},
		"DSCP too large":                {Config{Network: UDP4, DSCP: 64}, "DSCP"},
		"datagram too large":            {Config{Network: UDP4, MaxDatagram: 65536}, "MaxDatagram"},
		"Ethernet anywhere":             {Config{Network: Ethernet}, "Interface"},
		"groups anywhere":               {Config{Network: UDP4, Groups: []Addr{UDP4.Primary(0)}}, "Interface"},
		"hardware anywhere":             {Config{Network: UDP4, Stamps: Hardware, Clock: clock.PHC(0)}, "Interface"},
		"hardware of no PHC":            {Config{Network: UDP4, Interface: "lo", Stamps: Hardware, Clock: clock.System}, "Clock"},
		"a group of another network":    {Config{Network: UDP4, Interface: "lo", Groups: []Addr{UDP6.Primary(0)}}, "Groups"},
		"a host as a group":             {Config{Network: Ethernet, Interface: "lo", Groups: []Addr{MACAddr(MAC{2})}}, "Groups"},
		"an address of another network": {Config{Network: UDP6, Address: ip4}, "Address"},
		"a peer of another network":     {Config{Network: UDP4, Connect: netip.AddrPortFrom(ip6, 123)}, "Connect"},
		"a peer on Ethernet": {Config{Network: Ethernet, Interface: "lo", Connect: netip.AddrPortFrom(ip4, 1)},
			"Connect"},
		"send only on UDP": {Config{Network: UDP4, SendOnly: true}, "SendOnly"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := Listen(test.config)
			if err == nil {
				c.Close()
			}
			if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an ErrConfig that names %s", err, test.want)
			}
		})
	}
}

func TestListenOnNoInterface(t *testing.T) {
	if _, err := Listen(Config{Network: UDP4, Interface: "none-such"}); !errors.Is(err, ErrNoInterface) {
		t.Errorf("got %v, want ErrNoInterface", err)
	}
}

func TestGroupsOfTheStandard(t *testing.T) {
	tests := []struct {
		network            Network
		primary, peerDelay string
	}{
		{UDP4, "224.0.1.129:319", "224.0.0.107:319"},
		{UDP6, "[ff0e::181]:319", "[ff02::6b]:319"},
		{Ethernet, "01:1b:19:00:00:00", "01:80:c2:00:00:0e"},
	}
	for _, test := range tests {
		primary, peerDelay := test.network.Primary(EventPort), test.network.PeerDelay(EventPort)
		if primary.String() != test.primary || peerDelay.String() != test.peerDelay {
			t.Errorf("%v has %v and %v, want %s and %s", test.network, primary, peerDelay, test.primary, test.peerDelay)
		}
		if !primary.group(test.network) || !peerDelay.group(test.network) {
			t.Errorf("%v: its own groups are none", test.network)
		}
	}
}
