// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Acceptance says by its destination, and whether it comes from this host itself, which datagrams a Conn receives. The
// kernel drops all others before they wake anybody.
type Acceptance uint8

const (
	// AcceptAll receives whatever the kernel delivers to the address and port.
	AcceptAll Acceptance = iota
	// AcceptGroups receives what another host sent to one of Groups. UDP takes exactly one group, to which the socket is
	// bound.
	AcceptGroups
	// AcceptUnicast receives what another host sent to an address of this host, and neither to a group nor to all hosts.
	// UDP only.
	AcceptUnicast
)

// loopbackIndex is the interface index of the loopback interface of every network namespace (LOOPBACK_IFINDEX).
const loopbackIndex = 1

// linkLayer is the offset from which classic BPF loads octets of the link-layer header (SKF_LL_OFF).
const linkLayer = ^uint32(0x200000) + 1

// acceptAll has a filter return more octets than any datagram has.
const acceptAll = 0xffff

// program returns the socket filter that drops what the Conn is not to receive, nil if it receives everything.
func (c *Config) program(index int) []bpf.Instruction {
	var p []bpf.Instruction
	drop := func(load, jump bpf.Instruction) { p = append(p, load, jump, bpf.RetConstant{Val: 0}) }
	dropIf := func(ext bpf.Extension, value uint32) {
		drop(bpf.LoadExtension{Num: ext}, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: value, SkipTrue: 1})
	}
	switch {
	case c.Accept == AcceptAll:
		return nil
	case c.Network == Ethernet:
		return groupFrames(c.Groups)
	}
	if !c.Loop && index != loopbackIndex {
		// A multicast datagram that this host sends comes back as PACKET_LOOPBACK, a unicast one by the loopback interface.
		// The kernel takes either for one of the interface that its address belongs to.
		dropIf(bpf.ExtType, unix.PACKET_LOOPBACK)
		dropIf(bpf.ExtInterfaceIndex, loopbackIndex)
	}
	if c.Accept == AcceptUnicast {
		drop(bpf.LoadExtension{Num: bpf.ExtType}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_HOST, SkipTrue: 1})
	}
	return append(p, bpf.RetConstant{Val: acceptAll})
}

// groupFrames accepts the frames whose destination is one of the groups.
func groupFrames(groups []Addr) (p []bpf.Instruction) {
	for _, g := range groups {
		p = append(p,
			bpf.LoadAbsolute{Off: linkLayer, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(g.MAC[:4]), SkipTrue: 3},
			bpf.LoadAbsolute{Off: linkLayer + 4, Size: 2},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(binary.BigEndian.Uint16(g.MAC[4:])), SkipTrue: 1},
			bpf.RetConstant{Val: acceptAll})
	}
	return append(p, bpf.RetConstant{Val: 0})
}

// attach has the kernel run the filter. It has to be called before the socket is bound, so that nothing passes it.
func (s *socket) attach() error {
	program := s.config.program(s.index)
	if program == nil {
		return nil
	}
	raw, err := bpf.Assemble(program)
	if err != nil {
		return fmt.Errorf("assemble the socket filter: %w", err)
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	err = unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]})
	if err != nil {
		return fmt.Errorf("set SO_ATTACH_FILTER: %w", err)
	}
	return nil
}
