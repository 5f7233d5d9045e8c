// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// name is a socket address as the kernel has it, large enough for every Network.
type name struct{ raw unix.RawSockaddrAny }

func (n *name) inet4() *unix.RawSockaddrInet4 {
	return (*unix.RawSockaddrInet4)(unsafe.Pointer(&n.raw))
}
func (n *name) inet6() *unix.RawSockaddrInet6 {
	return (*unix.RawSockaddrInet6)(unsafe.Pointer(&n.raw))
}
func (n *name) ethernet() *unix.RawSockaddrLinklayer {
	return (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&n.raw))
}

// addr returns the address as an Addr. It is the zero one if the kernel gave none.
func (n *name) addr() (a Addr) {
	switch n.raw.Addr.Family {
	case unix.AF_INET:
		sa := n.inet4()
		return UDPAddr(netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), bigEndian(sa.Port)))
	case unix.AF_INET6:
		sa := n.inet6()
		return UDPAddr(netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), bigEndian(sa.Port)))
	case unix.AF_PACKET:
		copy(a.MAC[:], n.ethernet().Addr[:])
	}
	return a
}

// notForUs reports whether the frame is one that the NIC saw being promiscuous, or one of this host's own.
func (n *name) notForUs() bool {
	if n.raw.Addr.Family != unix.AF_PACKET {
		return false
	}
	t := n.ethernet().Pkttype
	return t == unix.PACKET_OTHERHOST || t == unix.PACKET_OUTGOING
}

// set makes it the address of to on network, and returns its length. ok is false if to is none of network.
func (n *name) set(network Network, to Addr, index int, etherType uint16) (length uint32, ok bool) {
	ip, port := to.UDP.Addr(), bigEndian(to.UDP.Port())
	switch {
	case network == UDP4 && ip.Is4():
		*n.inet4() = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port, Addr: ip.As4()}
		return unix.SizeofSockaddrInet4, true
	case network == UDP6 && ip.Is6() && !ip.Is4In6():
		sa := n.inet6()
		*sa = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: port, Addr: ip.As16()}
		if ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() {
			sa.Scope_id = uint32(index)
		}
		return unix.SizeofSockaddrInet6, true
	case network == Ethernet && to.MAC != MAC{}:
		sa := n.ethernet()
		*sa = unix.RawSockaddrLinklayer{
			Family: unix.AF_PACKET, Protocol: bigEndian(etherType), Ifindex: int32(index), Halen: uint8(len(to.MAC)),
		}
		copy(sa.Addr[:], to.MAC[:])
		return unix.SizeofSockaddrLinklayer, true
	}
	return 0, false
}

// bigEndian converts between the host's and the network's byte order.
func bigEndian(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

func bigEndian32(v uint32) uint32 {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return binary.NativeEndian.Uint32(b[:])
}

// recvmsg and sendmsg are those of x/sys without its allocations. m, and what it points to, must be on the heap. Neither
// waits, so the Go runtime is not told of the system call: for that it wakes its monitor, a thread of its own.
func recvmsg(fd uintptr, m *unix.Msghdr, flags int) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(m)), uintptr(flags))
	return int(n), errno
}

func sendmsg(fd uintptr, m *unix.Msghdr) syscall.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(m)), unix.MSG_NOSIGNAL)
	return errno
}
