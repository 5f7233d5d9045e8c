// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"golang.org/x/sys/unix"
)

// Stamps says which clock takes the timestamps of a Conn.
type Stamps uint8

// The origins of timestamps.
const (
	// NoStamps: the datagrams are not timestamped.
	NoStamps Stamps = iota
	// Kernel: the kernel takes them by the system clock, in the driver on transmit and before the protocols on receive.
	Kernel
	// Hardware: the NIC takes them by its PHC. The NIC has to be configured for it, see nic.Configurator.
	Hardware
)

// String returns "none", "kernel" or "hardware".
func (s Stamps) String() string {
	switch s {
	case Kernel:
		return "kernel"
	case Hardware:
		return "hardware"
	}
	return "none"
}

// DefaultMaxDatagram is what MaxDatagram is where it is 0: more than any PTP or NTP message on an Ethernet needs.
const DefaultMaxDatagram = 2048

// Config describes a Conn. Network is required, everything else has a zero value that means something.
type Config struct {
	// Network carries the datagrams.
	Network Network
	// Interface is the name of the only interface that the Conn sends on and receives from. Empty: the routing decides,
	// which Ethernet, groups and hardware stamps do not allow.
	Interface string
	// Address is the local IP address. Zero: any.
	Address netip.Addr
	// Port is the local UDP port. 0: a free one that the kernel draws at random (RFC 9109). Conns on different interfaces
	// share a port.
	Port uint16
	// EtherType of Ethernet. 0: that of PTP.
	EtherType uint16
	// SendOnly has an Ethernet Conn receive nothing: the place for PTP general messages, for which a stamping Conn would
	// keep the NIC busy with stamps that nobody needs.
	SendOnly bool
	// Groups to join on Interface, which is required then; their ports do not matter.
	Groups []Addr
	// Accept says which datagrams are received. All but AcceptAll need Interface.
	Accept Acceptance
	// Loop has this host receive what it sends to groups itself, and what its other programs send. On the loopback
	// interface it always does, IPv6 groups excepted, to which there is commonly no route there.
	Loop bool
	// Connect, where valid, is the only peer: the kernel drops datagrams of all others. UDP only.
	Connect netip.AddrPort
	// Stamps is the origin of timestamps.
	Stamps Stamps
	// Clock is the PHC that hardware stamps are of. Kernel stamps are always of clock.System.
	Clock clock.ID
	// KernelReceive has a Conn with hardware stamps take the kernel's receive stamps too, for a KernelHandler.
	KernelReceive bool
	// TTL of IPv4, hop limit of IPv6, for groups and single hosts, 1 to 255. 0: the kernel's, which is 1 for groups.
	TTL int
	// DSCP is the differentiated services code point (RFC 2474), 0 to 63.
	DSCP int
	// IngressLatency is the time from the reference plane to the point where a received datagram is stamped, EgressLatency
	// that from the point of stamping to the reference plane (IEEE 1588-2019 §7.3.4.2, §16.7). The former is subtracted
	// from receive stamps, the latter added to transmit stamps.
	IngressLatency, EgressLatency time.Duration
	// MaxDatagram is the length of the longest datagram to receive, in bytes, at most 65535; longer ones are dropped and
	// counted. 0: DefaultMaxDatagram.
	MaxDatagram int
}

// withDefaults returns the Config with its zero values replaced, or an ErrConfig that says what cannot be.
func (c Config) withDefaults() (Config, error) {
	bad := func(format string, args ...any) (Config, error) {
		return c, fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, args...))
	}
	if c.MaxDatagram == 0 {
		c.MaxDatagram = DefaultMaxDatagram
	}
	if c.EtherType == 0 {
		c.EtherType = EtherType
	}
	switch {
	case c.Network < UDP4 || c.Network > Ethernet:
		return bad("Network %d, want UDP4, UDP6 or Ethernet", c.Network)
	case c.Stamps > Hardware:
		return bad("Stamps %d, want NoStamps, Kernel or Hardware", c.Stamps)
	case c.MaxDatagram < 0 || c.MaxDatagram > 65535:
		return bad("MaxDatagram %d, want at most 65535", c.MaxDatagram)
	case c.TTL < 0 || c.TTL > 255:
		return bad("TTL %d, want 0 to 255", c.TTL)
	case c.DSCP < 0 || c.DSCP > 63:
		return bad("DSCP %d, want 0 to 63", c.DSCP)
	case c.Interface == "" && (c.Network == Ethernet || len(c.Groups) > 0 || c.Stamps == Hardware):
		return bad("no Interface, which Ethernet, Groups and Hardware stamps need")
	case c.SendOnly && c.Network != Ethernet:
		return bad("SendOnly with %v, want Ethernet", c.Network)
	case c.Accept > AcceptUnicast:
		return bad("Accept %d, want AcceptAll, AcceptGroups or AcceptUnicast", c.Accept)
	case c.Accept != AcceptAll && c.Interface == "":
		return bad("no Interface, which Accept needs")
	case c.Accept == AcceptUnicast && c.Network == Ethernet:
		return bad("AcceptUnicast with Ethernet, want UDP")
	case c.Accept == AcceptGroups && len(c.Groups) == 0:
		return bad("no Groups, which AcceptGroups needs")
	case c.Accept == AcceptGroups && c.Network != Ethernet && (len(c.Groups) > 1 || c.Address.IsValid()):
		return bad("AcceptGroups with %d Groups and Address %v, want one group and no Address", len(c.Groups), c.Address)
	}
	if c.Stamps == Hardware {
		if _, ok := c.Clock.PHCIndex(); !ok {
			return bad("Clock %v, want the PHC that hardware stamps are of", c.Clock)
		}
	}
	return c, c.checkAddresses()
}

func (c *Config) checkAddresses() error {
	for _, g := range c.Groups {
		if !g.group(c.Network) {
			return fmt.Errorf("%w: Groups has %v, which is no group of %v", ErrConfig, g, c.Network)
		}
	}
	for name, ip := range map[string]netip.Addr{"Address": c.Address, "Connect": c.Connect.Addr()} {
		if !ip.IsValid() {
			continue
		}
		if c.Network == Ethernet || ip.Is4() != (c.Network == UDP4) || ip.Is4In6() {
			return fmt.Errorf("%w: %s %v is no address of %v", ErrConfig, name, ip, c.Network)
		}
	}
	return nil
}

// stamping returns the flags of SO_TIMESTAMPING, 0 for none.
func (c *Config) stamping() int {
	const options = unix.SOF_TIMESTAMPING_OPT_ID | unix.SOF_TIMESTAMPING_OPT_CMSG | unix.SOF_TIMESTAMPING_OPT_TSONLY
	const kernelReceive = unix.SOF_TIMESTAMPING_RX_SOFTWARE | unix.SOF_TIMESTAMPING_SOFTWARE
	switch c.Stamps {
	case Kernel:
		return options | kernelReceive | unix.SOF_TIMESTAMPING_TX_SOFTWARE
	case Hardware:
		flags := options | unix.SOF_TIMESTAMPING_TX_HARDWARE | unix.SOF_TIMESTAMPING_RX_HARDWARE |
			unix.SOF_TIMESTAMPING_RAW_HARDWARE
		if c.KernelReceive {
			flags |= kernelReceive
		}
		return flags
	}
	return 0
}

// clock returns the clock that takes the stamps.
func (c *Config) clock() clock.ID {
	if c.Stamps == Hardware {
		return c.Clock
	}
	return clock.System
}

// name returns what the Conn is called in errors: "udp4 eth0:319", "ethernet eth0".
func (c *Config) name() string {
	if c.Network == Ethernet {
		return c.Network.String() + " " + c.Interface
	}
	s := fmt.Sprintf("%v %s:%d", c.Network, c.Interface, c.Port)
	if c.Connect.IsValid() {
		s += " to " + c.Connect.String()
	}
	return s
}

// interfaceIndex returns the index of the interface of that name, 0 for the empty name.
func interfaceIndex(name string) (int, error) {
	if name == "" {
		return 0, nil
	}
	ifi, err := net.InterfaceByName(name)
	if errno := syscall.Errno(0); errors.As(err, &errno) { // it could not be asked for: too many open files, say
		return 0, fmt.Errorf("interface %s: %w", name, err)
	}
	if err != nil {
		return 0, fmt.Errorf("interface %s: %w", name, ErrNoInterface)
	}
	return ifi.Index, nil
}
