// SPDX-License-Identifier: Apache-2.0

// Package wire has the packets of the Network Time Protocol version 4 as they stand in a datagram: the header (RFC 5905
// §7.3), extension fields (RFC 7822), and the types of their fields.
//
// Parse takes a packet from a datagram, whose octets its fields remain part of; Append and AppendField add to a slice.
// Neither allocates, but for the slice where that has to grow. Parse takes any octets without a panic and returns one of the
// errors of this package. A value may not be used by two goroutines at once if one of them changes it.
package wire
