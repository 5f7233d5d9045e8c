// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// socket is a Conn's descriptor in the making.
type socket struct {
	config *Config
	index  int
	fd     int
	// bindToDevice is unix.BindToDevice.
	bindToDevice func(fd int, device string) error
	filter       bool // bound to no device: the receiver has to look at the interface itself
}

// open makes the descriptor: options first, then the address, so that nothing comes in that the options would keep out.
func (s *socket) open() (err error) {
	if s.fd, err = s.create(); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer func() {
		if err != nil {
			unix.Close(s.fd)
		}
	}()
	if flags := s.config.stamping(); flags != 0 {
		if err := s.set("SO_TIMESTAMPING", unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, flags); err != nil {
			return err
		}
	}
	if err := s.attach(); err != nil {
		return err
	}
	if s.config.Network == Ethernet {
		return s.openEthernet()
	}
	return s.openUDP()
}

func (s *socket) create() (int, error) {
	const flags = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	switch s.config.Network {
	case UDP4:
		return unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|flags, 0)
	case UDP6:
		return unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|flags, 0)
	}
	// Protocol 0: it receives nothing before it is bound.
	return unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|flags, 0)
}

func (s *socket) set(name string, level, option, value int) error {
	if err := unix.SetsockoptInt(s.fd, level, option, value); err != nil {
		return fmt.Errorf("set %s to %d: %w", name, value, err)
	}
	return nil
}

func (s *socket) openEthernet() error {
	for _, g := range s.config.Groups {
		mreq := unix.PacketMreq{Ifindex: int32(s.index), Type: unix.PACKET_MR_MULTICAST, Alen: uint16(len(g.MAC))}
		copy(mreq.Address[:], g.MAC[:])
		if err := unix.SetsockoptPacketMreq(s.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &mreq); err != nil {
			return fmt.Errorf("join %v: %w", g, err)
		}
	}
	sa := unix.SockaddrLinklayer{Ifindex: s.index, Protocol: bigEndian(s.config.EtherType)}
	if s.config.SendOnly {
		sa.Protocol = 0
	}
	if err := unix.Bind(s.fd, &sa); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}

func (s *socket) openUDP() error {
	options := ipv4Options
	if s.config.Network == UDP6 {
		options = ipv6Options
	}
	if err := s.bindDevice(options()); err != nil {
		return err
	}
	if err := s.ipOptions(options()); err != nil {
		return err
	}
	for _, g := range s.config.Groups {
		err := s.join(g)
		if errors.Is(err, unix.ENOBUFS) {
			err = fmt.Errorf("%w; raise net.ipv4.igmp_max_memberships, or close sockets that have joined groups", err)
		}
		if err != nil {
			return fmt.Errorf("join %v: %w", g.UDP.Addr(), err)
		}
	}
	if err := unix.Bind(s.fd, s.sockaddr(s.localAddr())); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if s.config.Connect.IsValid() {
		if err := unix.Connect(s.fd, s.sockaddr(s.config.Connect)); err != nil {
			return fmt.Errorf("connect: %w", err)
		}
	}
	return nil
}

// bindDevice keeps the socket to its interface. Where the kernel (before 5.7) wants CAP_NET_RAW for that, the routing
// is told the interface and the receiver looks at where datagrams came in.
func (s *socket) bindDevice(o ipOptions) error {
	if s.index == 0 {
		return nil
	}
	err := s.bindToDevice(s.fd, s.config.Interface)
	if err == nil {
		return nil
	}
	if !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("set SO_BINDTODEVICE: %w", err)
	}
	return s.filterDevice(o)
}

func (s *socket) filterDevice(o ipOptions) error {
	s.filter = true
	if err := s.set("PKTINFO", o.level, o.packetInfo, 1); err != nil {
		return err
	}
	return s.set("UNICAST_IF", o.level, o.unicastInterface, int(int32(bigEndian32(uint32(s.index)))))
}

// ipOptions names the options of one IP version.
type ipOptions struct {
	level, packetInfo, unicastInterface, groupAll, groupInterface, groupLoop, groupTTL, ttl, class int
}

func ipv4Options() ipOptions {
	return ipOptions{
		unix.IPPROTO_IP, unix.IP_PKTINFO, unix.IP_UNICAST_IF, unix.IP_MULTICAST_ALL, unix.IP_MULTICAST_IF,
		unix.IP_MULTICAST_LOOP, unix.IP_MULTICAST_TTL, unix.IP_TTL, unix.IP_TOS,
	}
}

func ipv6Options() ipOptions {
	return ipOptions{
		unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, unix.IPV6_UNICAST_IF, unix.IPV6_MULTICAST_ALL, unix.IPV6_MULTICAST_IF,
		unix.IPV6_MULTICAST_LOOP, unix.IPV6_MULTICAST_HOPS, unix.IPV6_UNICAST_HOPS, unix.IPV6_TCLASS,
	}
}

func (s *socket) ipOptions(o ipOptions) error {
	if s.config.Network == UDP6 {
		if err := s.set("IPV6_V6ONLY", o.level, unix.IPV6_V6ONLY, 1); err != nil {
			return err
		}
	}
	// Sockets of several interfaces share a port. One that is connected has its own, drawn at random.
	if s.config.Port != 0 {
		if err := s.set("SO_REUSEADDR", unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return err
		}
	}
	if s.config.TTL != 0 {
		if err := s.set("TTL", o.level, o.ttl, s.config.TTL); err != nil {
			return err
		}
		if err := s.set("MULTICAST_TTL", o.level, o.groupTTL, s.config.TTL); err != nil {
			return err
		}
	}
	if s.config.DSCP != 0 {
		if err := s.set("TOS", o.level, o.class, s.config.DSCP<<2); err != nil {
			return err
		}
	}
	if s.index == 0 {
		return nil
	}
	// Linux before 4.20 has it for IPv4 only; without it, groups that others joined on the interface come in as well.
	if err := s.set("MULTICAST_ALL", o.level, o.groupAll, 0); err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
		return err
	}
	loop := 0
	if s.config.Loop {
		loop = 1
	}
	if err := s.set("MULTICAST_LOOP", o.level, o.groupLoop, loop); err != nil {
		return err
	}
	return s.groupInterface(o)
}

func (s *socket) groupInterface(o ipOptions) error {
	if s.config.Network == UDP6 {
		return s.set("IPV6_MULTICAST_IF", o.level, o.groupInterface, s.index)
	}
	mreq := unix.IPMreqn{Ifindex: int32(s.index)}
	if err := unix.SetsockoptIPMreqn(s.fd, o.level, o.groupInterface, &mreq); err != nil {
		return fmt.Errorf("set IP_MULTICAST_IF: %w", err)
	}
	return nil
}

func (s *socket) join(g Addr) error {
	if s.config.Network == UDP6 {
		mreq := unix.IPv6Mreq{Multiaddr: g.UDP.Addr().As16(), Interface: uint32(s.index)}
		return unix.SetsockoptIPv6Mreq(s.fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &mreq)
	}
	mreq := unix.IPMreqn{Multiaddr: g.UDP.Addr().As4(), Ifindex: int32(s.index)}
	return unix.SetsockoptIPMreqn(s.fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &mreq)
}

// localAddr is the address to bind to. A socket that is bound to a group receives nothing else, and sends from the
// interface's own address all the same.
func (s *socket) localAddr() netip.AddrPort {
	ip := s.config.Address
	if s.config.Accept == AcceptGroups {
		ip = s.config.Groups[0].UDP.Addr()
	}
	if !ip.IsValid() {
		ip = netip.IPv4Unspecified()
		if s.config.Network == UDP6 {
			ip = netip.IPv6Unspecified()
		}
	}
	return netip.AddrPortFrom(ip, s.config.Port)
}

func (s *socket) sockaddr(ap netip.AddrPort) unix.Sockaddr {
	if s.config.Network == UDP4 {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16(), ZoneId: s.zone(ap.Addr())}
}

// zone returns the interface that a link-local address belongs to.
func (s *socket) zone(ip netip.Addr) uint32 {
	if !ip.IsLinkLocalUnicast() && !ip.IsLinkLocalMulticast() {
		return 0
	}
	if s.index != 0 || ip.Zone() == "" {
		return uint32(s.index)
	}
	if n, err := strconv.ParseUint(ip.Zone(), 10, 31); err == nil {
		return uint32(n)
	}
	index, _ := interfaceIndex(ip.Zone()) // 0 has connect fail with a fitting error
	return uint32(index)
}

// local returns the address that the kernel has bound the socket to.
func (s *socket) local() netip.AddrPort {
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		return netip.AddrPort{}
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
