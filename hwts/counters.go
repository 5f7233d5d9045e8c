// SPDX-License-Identifier: Apache-2.0

package hwts

import "sync/atomic"

// Counters counts what a Conn has seen since it was made.
type Counters struct {
	// Received datagrams that the Handler was given, and how many of them had no stamp of the clock wanted.
	Received, Unstamped uint64
	// Truncated datagrams were longer than MaxDatagram, and ControlTruncated ones had more control messages than expected:
	// the first are dropped, the second have no stamp.
	Truncated, ControlTruncated uint64
	// OtherInterface counts datagrams dropped because they came in by another interface.
	OtherInterface uint64
	// ReceiveErrors that the kernel reported on reading, ICMP messages of a connected peer among them.
	ReceiveErrors uint64
	// Sent datagrams, and those that the kernel refused.
	Sent, SendErrors uint64
	// TransmitStamps that the Handler was given.
	TransmitStamps uint64
	// TransmitLost counts datagrams given up because their stamp had not come within 4 s, or before 64 more were sent;
	// TransmitLate stamps that came after that, or too close to a failed send to be told whose they are; TransmitForeign
	// stamps of no send that waits for one, or of another clock.
	TransmitLost, TransmitLate, TransmitForeign uint64
}

// Plus returns the sum of two Conns' counts.
func (c Counters) Plus(o Counters) Counters {
	return Counters{
		Received:         c.Received + o.Received,
		Unstamped:        c.Unstamped + o.Unstamped,
		Truncated:        c.Truncated + o.Truncated,
		ControlTruncated: c.ControlTruncated + o.ControlTruncated,
		OtherInterface:   c.OtherInterface + o.OtherInterface,
		ReceiveErrors:    c.ReceiveErrors + o.ReceiveErrors,
		Sent:             c.Sent + o.Sent,
		SendErrors:       c.SendErrors + o.SendErrors,
		TransmitStamps:   c.TransmitStamps + o.TransmitStamps,
		TransmitLost:     c.TransmitLost + o.TransmitLost,
		TransmitLate:     c.TransmitLate + o.TransmitLate,
		TransmitForeign:  c.TransmitForeign + o.TransmitForeign,
	}
}

type counters struct {
	received, unstamped, truncated, controlTruncated, otherInterface, receiveErrors atomic.Uint64

	sent, sendErrors, stamps, late, foreign atomic.Uint64
}

// Counters returns the counts so far. It may be called from any goroutine.
func (c *Conn) Counters() Counters {
	n := &c.counters
	return Counters{
		Received:         n.received.Load(),
		Unstamped:        n.unstamped.Load(),
		Truncated:        n.truncated.Load(),
		ControlTruncated: n.controlTruncated.Load(),
		OtherInterface:   n.otherInterface.Load(),
		ReceiveErrors:    n.receiveErrors.Load(),
		Sent:             n.sent.Load(),
		SendErrors:       n.sendErrors.Load(),
		TransmitStamps:   n.stamps.Load(),
		TransmitLost:     c.ids.losses(c.now()),
		TransmitLate:     n.late.Load(),
		TransmitForeign:  n.foreign.Load(),
	}
}
