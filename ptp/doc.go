// SPDX-License-Identifier: Apache-2.0

// Package ptp speaks the Precision Time Protocol, IEEE 1588-2019. An Instance has a clock's identity, its data sets and its
// ports. A Port is a client port with the delay request-response mechanism over multicast, and follows the best master that
// it hears. The messages are in ptp/wire.
//
// Nothing here does I/O, starts a goroutine, takes a lock or asks what time it is. A Port is handed datagrams, transmit
// timestamps and timer expiries, each with the instant of the event loop, and answers by calling an Output. The same
// events and the same seed give the same run. None of the types may be used by two goroutines at once.
package ptp
