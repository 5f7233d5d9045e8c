// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net" //nolint:depguard // for MAC addresses as text: it opens nothing
	"net/netip"
	"strings"

	"github.com/lockstep-time/lockstep/ptp/wire"
)

// Address is where a message comes from: an IP address without a zone over UDP, a MAC over Ethernet. The zero Address is
// that of a transport without addresses. It is comparable.
type Address struct {
	IP  netip.Addr
	MAC [6]byte
}

// IsZero reports whether there is no address.
func (a Address) IsZero() bool { return a == Address{} }

// String returns the IP address, or the MAC as "00:11:22:33:44:55"; empty if there is neither.
func (a Address) String() string {
	switch {
	case a.IP.IsValid():
		return a.IP.String()
	case a.IsZero():
		return ""
	}
	return net.HardwareAddr(a.MAC[:]).String()
}

// MasterID names masters by what their messages carry: the clock identity of the port that sends them, or the address that
// they come from. Only one of both is set.
type MasterID struct {
	Clock   wire.ClockIdentity
	Address Address
}

// errMasterID is why a text is no MasterID.
var errMasterID = errors.New("neither a clock identity, an IP address nor a MAC")

// ParseMasterID reads a clock identity as "001122.fffe.334455", "001122fffe334455" or "00:11:22:ff:fe:33:44:55", a unicast
// IPv4 or IPv6 address, or a unicast MAC as "00:11:22:33:44:55". A zone of an IPv6 address is dropped: a port has one
// interface.
func ParseMasterID(s string) (MasterID, error) {
	if id, ok := parseClockIdentity(s); ok {
		return MasterID{Clock: id}, nil
	}
	if ip, err := netip.ParseAddr(s); err == nil {
		if ip = ip.Unmap().WithZone(""); ip.IsUnspecified() || ip.IsMulticast() {
			return MasterID{}, fmt.Errorf("%q is no address of a single host", s)
		}
		return MasterID{Address: Address{IP: ip}}, nil
	}
	mac, err := net.ParseMAC(s)
	if err != nil || len(mac) != len(Address{}.MAC) {
		return MasterID{}, fmt.Errorf("%q is %w", s, errMasterID)
	}
	a := Address{MAC: [6]byte(mac)}
	if a.IsZero() || mac[0]&1 != 0 {
		return MasterID{}, fmt.Errorf("%q is no address of a single host", s)
	}
	return MasterID{Address: a}, nil
}

// parseClockIdentity takes eight groups of two digits for an identity, although an IPv6 address may be written so too.
func parseClockIdentity(s string) (id wire.ClockIdentity, ok bool) {
	const digits = 2 * len(id)
	switch plain := strings.ReplaceAll(s, ".", ""); {
	case len(s) == len(id.String()) && s[6] == '.' && s[11] == '.' && len(plain) == digits:
		s = plain
	case len(s) == 3*len(id)-1:
		mac, err := net.ParseMAC(s)
		if err != nil || len(mac) != len(id) {
			return id, false
		}
		s = hex.EncodeToString(mac)
	case len(s) != digits:
		return id, false
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return wire.ClockIdentity{}, false
	}
	return id, id != wire.ClockIdentity{}
}

// is reports whether a message of that sender is of the masters that m names.
func (m MasterID) is(sender wire.PortIdentity, from Address) bool {
	if m.Clock != (wire.ClockIdentity{}) {
		return m.Clock == sender.Clock
	}
	return m.Address == from
}

// String returns the identity or the address.
func (m MasterID) String() string {
	if m.Clock != (wire.ClockIdentity{}) {
		return m.Clock.String()
	}
	return m.Address.String()
}
