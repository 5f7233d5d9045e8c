// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/internal/nstest"
)

func TestAcceptUDP(t *testing.T) { nstest.Run(t, acceptUDP) }

// acceptUDP has programs of this host send what a grandmaster on the wire would, before the wire does.
func acceptUDP(t *testing.T) {
	makeVeth(t)
	bothEnds(t)
	for _, network := range []Network{UDP4, UDP6} {
		group := network.Primary(EventPort)
		config := Config{Network: network, Interface: "v0", Port: EventPort, Groups: []Addr{group}, Accept: AcceptGroups}
		_, saw := serve(t, config)
		config.Loop, config.Port = true, GeneralPort
		_, looped := serve(t, config)
		config = Config{Network: network, Interface: "v0", Port: NTPPort, Accept: AcceptUnicast}
		_, unicast := serve(t, config)
		local := localSender(t, network, "v0")
		own := ownAddress(t, "v0", network)

		toGroup := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(group.UDP.Addr(), port) }
		local("local, to the group", toGroup(EventPort))
		local("local, to the group", toGroup(GeneralPort))
		local("local, unicast", netip.AddrPortFrom(own, EventPort))
		local("local, unicast", netip.AddrPortFrom(own, NTPPort))
		if network == UDP4 {
			broadcast(t, "v1", netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 1, 255}), NTPPort))
		}
		wire, err := Listen(Config{Network: network, Interface: "v1"})
		if err != nil {
			t.Fatal(err)
		}
		defer wire.Close()
		send(t, wire, "from the wire", group)
		if d := next(t, saw.received, "datagram"); d.b != "from the wire" {
			t.Errorf("%v: a Conn for groups received %q", network, d.b)
		}
		if d := next(t, looped.received, "datagram"); d.b != "local, to the group" {
			t.Errorf("%v: a Conn with Loop received %q", network, d.b)
		}
		if network == UDP4 { // a unicast address of IPv6 is this very host's: it goes by the loopback interface
			fromWire(t, "v1", "v0", netip.AddrPortFrom(own, NTPPort), "unicast from the wire")
			if d := next(t, unicast.received, "datagram"); d.b != "unicast from the wire" {
				t.Errorf("%v: a Conn for unicast received %q", network, d.b)
			}
		}
	}
}

// broadcast sends to all hosts of a network by an interface.
func broadcast(t *testing.T, name string, to netip.AddrPort) {
	t.Helper()
	fromWire(t, name, "", to, "to all hosts")
}

// fromWire sends an IPv4 datagram by one interface to the MAC of another one, or to all stations, as another host would.
func fromWire(t *testing.T, by, receiver string, to netip.AddrPort, text string) {
	t.Helper()
	mac := MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	if receiver != "" {
		mac = macOf(t, receiver)
	}
	c, err := Listen(Config{Network: Ethernet, Interface: by, EtherType: unix.ETH_P_IP, SendOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send(t, c, string(ipv4Datagram(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 1, 9}), 4321), to, text)), MACAddr(mac))
}

// ipv4Datagram makes a UDP datagram with its IPv4 header, and without a UDP checksum.
func ipv4Datagram(from, to netip.AddrPort, text string) []byte {
	const header, udp = 20, 8
	b := make([]byte, header+udp, header+udp+len(text))
	b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(b[2:], uint16(header+udp+len(text)))
	copy(b[12:], from.Addr().AsSlice())
	copy(b[16:], to.Addr().AsSlice())
	sum := uint32(0)
	for i := 0; i < header; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(b[20:], from.Port())
	binary.BigEndian.PutUint16(b[22:], to.Port())
	binary.BigEndian.PutUint16(b[24:], uint16(udp+len(text)))
	return append(b, text...)
}

// macOf returns the hardware address of an interface.
func macOf(t *testing.T, name string) MAC {
	t.Helper()
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return MAC(ifi.HardwareAddr)
}

// ownAddress returns an address of an interface.
func ownAddress(t *testing.T, name string, network Network) netip.Addr {
	t.Helper()
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	all, err := ifi.Addrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		if err == nil && prefix.Addr().Is4() == (network == UDP4) {
			return prefix.Addr().WithZone(map[bool]string{true: name}[network == UDP6])
		}
	}
	t.Fatalf("%s has no address of %v: %v", name, network, all)
	return netip.Addr{}
}

// localSender returns a function that sends by a socket of this host that is bound to an interface and loops multicast
// back, as any user's program may.
func localSender(t *testing.T, network Network, name string) func(text string, to netip.AddrPort) {
	t.Helper()
	index := nstest.Index(t, name)
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		return errors.Join(c.Control(func(fd uintptr) {
			if err = unix.BindToDevice(int(fd), name); err != nil {
				return
			}
			if network == UDP6 {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index)
				return
			}
			err = unix.SetsockoptIPMreqn(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(index)})
		}), err)
	}}
	conn, err := lc.ListenPacket(context.Background(), network.String(), ":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return func(text string, to netip.AddrPort) {
		t.Helper()
		if _, err := conn.WriteTo([]byte(text), net.UDPAddrFromAddrPort(to)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAcceptEthernet(t *testing.T) { nstest.Run(t, acceptEthernet) }

func acceptEthernet(t *testing.T) {
	makeVeth(t)
	groups := []Addr{Ethernet.Primary(0), Ethernet.PeerDelay(0)}
	_, saw := serve(t, Config{Network: Ethernet, Interface: "v0", Groups: groups, Accept: AcceptGroups})
	wire, err := Listen(Config{Network: Ethernet, Interface: "v1", SendOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()
	for _, to := range []MAC{macOf(t, "v0"), {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0x01, 0x1b, 0x19, 0, 0, 1},
		{0x01, 0x1b, 0x18},
		{0x01, 0x80, 0xc2, 0, 0, 0x0d}} {
		send(t, wire, "to "+to.String(), MACAddr(to))
	}
	for _, g := range groups {
		send(t, wire, "to "+g.String(), g)
		if d := next(t, saw.received, "frame"); d.b[:len("to ")+len(g.String())] != "to "+g.String() {
			t.Errorf("received %q, want what was sent to %v", d.b, g)
		}
	}
}

func TestAcceptConfig(t *testing.T) {
	group := UDP4.Primary(EventPort)
	for _, c := range []Config{
		{Network: UDP4, Interface: "lo", Accept: AcceptGroups},
		{Network: UDP4, Interface: "lo", Accept: AcceptGroups, Groups: []Addr{group, UDP4.PeerDelay(EventPort)}},
		{Network: UDP4, Interface: "lo", Accept: AcceptGroups, Groups: []Addr{group},
			Address: netip.AddrFrom4([4]byte{127, 0, 0, 1})},
		{Network: UDP4, Accept: AcceptUnicast},
		{Network: Ethernet, Interface: "lo", Accept: AcceptUnicast},
		{Network: UDP4, Interface: "lo", Accept: 3},
	} {
		if conn, err := Listen(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v, want ErrConfig", c, err)
			if err == nil {
				conn.Close()
			}
		}
	}
}

// TestGroupsOnLoopback is how the demonstration runs: the group is joined on the loopback interface, and a master of the
// same host is heard.
func TestGroupsOnLoopback(t *testing.T) {
	group := UDP4.Primary(0)
	c, err := Listen(Config{Network: UDP4, Interface: "lo", Groups: []Addr{group}, Accept: AcceptGroups})
	if err != nil {
		t.Fatal(err)
	}
	saw := serveConn(t, c)
	master, err := Listen(Config{Network: UDP4, Interface: "lo"})
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	before := time.Now()
	send(t, master, "hello", UDP4.Primary(c.LocalAddr().Port()))
	if d := next(t, saw.received, "datagram"); d.b != "hello" {
		t.Errorf("received %q after %v", d.b, time.Since(before))
	}
}
