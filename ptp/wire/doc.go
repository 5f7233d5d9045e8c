// SPDX-License-Identifier: Apache-2.0

// Package wire has the messages of the Precision Time Protocol, IEEE 1588-2019, as they stand in a datagram: Header, the ten
// kinds of message, their TLVs, and the types of their fields.
//
// Each message is a struct that the caller owns and may use again. Parse takes it from a datagram, whose octets the TLVs
// remain part of; Append adds it to a slice. Neither allocates, but for the slice where that has to grow, nor takes a
// message whose lengths, version, type or nanoseconds are wrong: see the errors of this package. Parsers take any octets
// without a panic. A value may not be used by two goroutines at once if one of them changes it.
package wire
