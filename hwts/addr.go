// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"net"
	"net/netip"
)

// Numbers assigned to the protocols.
const (
	// EventPort is the UDP port of messages that are timestamped (IEEE 1588-2019 §C.2, §D.2).
	EventPort = 319
	// GeneralPort is the UDP port of all other PTP messages (IEEE 1588-2019 §C.2, §D.2).
	GeneralPort = 320
	// EtherType is that of PTP over IEEE 802.3 (IEEE 1588-2019 §E.3).
	EtherType = 0x88F7
	// NTPPort is the UDP port of NTP servers (RFC 5905 §7.2).
	NTPPort = 123
)

// Network is what carries the datagrams of a Conn.
type Network uint8

// The transports.
const (
	// UDP4 is UDP over IPv4 (IEEE 1588-2019 Annex C).
	UDP4 Network = iota + 1
	// UDP6 is UDP over IPv6 (IEEE 1588-2019 Annex D).
	UDP6
	// Ethernet is IEEE 802.3 (IEEE 1588-2019 Annex E). It needs CAP_NET_RAW.
	Ethernet
)

// String returns "udp4", "udp6" or "ethernet".
func (n Network) String() string {
	switch n {
	case UDP4:
		return "udp4"
	case UDP6:
		return "udp6"
	case Ethernet:
		return "ethernet"
	}
	return "none"
}

// Primary returns the group that all PTP messages but those of the peer delay mechanism are sent to, at a port that
// Ethernet ignores: 224.0.1.129, ff0e::181 (global scope) or 01:1b:19:00:00:00 (IEEE 1588-2019 §C.3, §D.3, §E.4).
func (n Network) Primary(port uint16) Addr {
	switch n {
	case UDP4:
		return UDPAddr(netip.AddrPortFrom(netip.AddrFrom4([4]byte{224, 0, 1, 129}), port))
	case UDP6:
		return UDPAddr(netip.AddrPortFrom(netip.AddrFrom16([16]byte{0: 0xff, 1: 0x0e, 14: 0x01, 15: 0x81}), port))
	case Ethernet:
		return Addr{MAC: MAC{0x01, 0x1b, 0x19}}
	}
	return Addr{}
}

// PeerDelay returns the group of the peer delay mechanism, which routers and bridges do not forward: 224.0.0.107,
// ff02::6b or 01:80:c2:00:00:0e (IEEE 1588-2019 §C.3, §D.3, §E.4).
func (n Network) PeerDelay(port uint16) Addr {
	switch n {
	case UDP4:
		return UDPAddr(netip.AddrPortFrom(netip.AddrFrom4([4]byte{224, 0, 0, 107}), port))
	case UDP6:
		return UDPAddr(netip.AddrPortFrom(netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x6b}), port))
	case Ethernet:
		return Addr{MAC: MAC{0x01, 0x80, 0xc2, 0, 0, 0x0e}}
	}
	return Addr{}
}

// MAC is an IEEE 802 address of 48 bits.
type MAC [6]byte

// String returns the address as "01:1b:19:00:00:00".
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// MarshalText has JSON show what String returns.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// Addr is the address of a datagram's other end: UDP for the UDP networks, MAC for Ethernet. It is comparable. IPv6
// addresses of received datagrams have no zone: the Conn's interface is their zone.
type Addr struct {
	UDP netip.AddrPort
	MAC MAC
}

// UDPAddr returns the Addr of an IP address and a port.
func UDPAddr(ap netip.AddrPort) Addr { return Addr{UDP: ap} }

// MACAddr returns the Addr of an Ethernet station or group.
func MACAddr(m MAC) Addr { return Addr{MAC: m} }

// String returns "ip:port", or the MAC where there is no IP address.
func (a Addr) String() string {
	if a.UDP.IsValid() {
		return a.UDP.String()
	}
	return a.MAC.String()
}

// group reports whether a can be joined on network n.
func (a Addr) group(n Network) bool {
	ip := a.UDP.Addr()
	switch n {
	case UDP4:
		return ip.Is4() && ip.IsMulticast()
	case UDP6:
		return ip.Is6() && !ip.Is4In6() && ip.IsMulticast()
	case Ethernet:
		return a.MAC[0]&1 == 1
	}
	return false
}
