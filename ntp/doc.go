// SPDX-License-Identifier: Apache-2.0

// Package ntp speaks NTP version 4: the client side of an association with a server, and the choice of servers out of what
// names resolve to. The packets are in ntp/wire.
//
// Nothing here does input or output, starts a goroutine, or asks what time it is. A Client and a Pool belong
// to one event loop: they are handed datagrams, timestamps and instants, and call the Output that they were made
// with. Their methods must not be called concurrently.
package ntp
