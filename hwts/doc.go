// SPDX-License-Identifier: Apache-2.0

// Package hwts has sockets whose datagrams carry timestamps of the NIC or of the kernel. It implements the transport
// mappings of IEEE 1588-2019 Annexes C (UDP over IPv4), D (UDP over IPv6) and E (IEEE 802.3), and serves NTP as well.
// Package nic says what a NIC can do, and has it stamp.
//
// A Conn takes its stamps from one clock, named when it is made. A stamp of another clock is never handed on: a datagram
// that has no stamp of that clock has none. Transmit stamps come after the datagram has left, or never; they are told to
// the Handler under the id that Send returned. Nothing waits for them.
package hwts

import "errors"

// Errors that a caller decides on. Errors of this package name the operation and the interface, and wrap the kernel's
// error, one of these, clock.ErrNotSupported or net.ErrClosed.
var (
	// ErrNoInterface: there is no network interface of this name (now).
	ErrNoInterface = errors.New("no such network interface")
	// ErrConfig: the Config cannot be; its text says which field and what is allowed.
	ErrConfig = errors.New("invalid configuration")
)
