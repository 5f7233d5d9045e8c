// SPDX-License-Identifier: Apache-2.0

package ntp

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ntp/wire"
)

// phi is the frequency error that an undisciplined clock is allowed, as a divisor: 1/65536 ≈ 15 ppm (RFC 5905 §7.2).
const phi = 1 << 16

// Receive hands over a datagram from the server, and when it arrived by the clock. The error is a Refusal, which is
// counted in Status, or nil. The sample is handed to Output at once, or when the stamp of the transmission is there.
func (c *Client) Receive(now clock.Mono, b []byte, ts clock.Timestamp) error {
	c.status.Received++
	if err := c.receive(now, b, ts); err != 0 {
		return c.refuse(err)
	}
	return nil
}

func (c *Client) refuse(why Refusal) error {
	c.status.Refused[why]++
	if why > ErrDuplicate && c.unanswered > 0 {
		c.refused = why
	}
	return why
}

func (c *Client) receive(now clock.Mono, b []byte, ts clock.Timestamp) Refusal {
	p, err := wire.Parse(b)
	if err != nil {
		return refusalOf(err)
	}
	if p.Mode != wire.ModeServer {
		return ErrMode
	}
	if p.Version != c.cfg.Version && p.Version != 3 {
		return ErrVersion
	}
	x := c.find(p.Origin)
	if x == nil {
		return ErrBogus
	}
	if x.answered {
		return ErrDuplicate
	}
	// What is refused does not answer the request: who saw it can send that, and the server's answer may be on its way.
	if p.CryptoNAK() {
		return ErrCryptoNAK
	}
	if p.Stratum == 0 {
		return c.hold(now, x, &p.Header)
	}
	if why := sane(&p.Header); why != 0 {
		return why
	}
	x.answered, x.done = true, true
	if x == &c.flight[held] {
		c.denyKiss()
	}
	if ts.Clock() != c.cfg.Clock || ts.IsZero() {
		return ErrClock
	}
	x.head, x.t4 = p.Header, ts
	if !x.stamped && c.cfg.StampTimeout > 0 {
		x.done = false
		x.deadline = now.Add(c.cfg.StampTimeout)
		return 0
	}
	return c.measure(now, x)
}

// sane is the part of RFC 5905 §8 (tests 3, 6 and 7) that concerns the header alone.
func sane(h *wire.Header) Refusal {
	switch {
	case h.Leap == wire.LeapUnknown:
		return ErrUnsynchronised
	case h.Stratum > 15:
		return ErrStratum
	case h.Receive == 0 || h.Transmit == 0 || h.Transmit.Before(h.Receive):
		return ErrServerTime
	case h.Reference != 0 && h.Transmit.Before(h.Reference):
		return ErrServerTime
	}
	return 0
}

// finish makes use of an answer that was waiting for the stamp of its request.
func (c *Client) finish(now clock.Mono, x *exchange) {
	if why := c.measure(now, x); why != 0 {
		_ = c.refuse(why)
	}
}

// measure makes a sample of a complete exchange (RFC 5905 §8) and hands it over.
func (c *Client) measure(now clock.Mono, x *exchange) Refusal {
	x.done = true
	elapsed, ok := x.t4.Sub(x.t1)
	if !ok || x.t1.Clock() != c.cfg.Clock {
		return ErrClock
	}
	// The loop saw the request leave before t1 and the answer after t4, so a longer time by the clock is a step of it.
	if limit := now.Sub(x.sentAt); elapsed > limit+limit/8+time.Millisecond {
		return ErrClock
	}
	pivot := c.cfg.Pivot
	if pivot == 0 {
		pivot = x.t4.Nanoseconds()
	}
	t2, t3 := x.head.Receive.Unix(pivot), x.head.Transmit.Unix(pivot)
	offset, ok := offset(x.t1.Nanoseconds(), t2, t3, x.t4.Nanoseconds())
	if !ok {
		return ErrClock
	}
	precision := c.cfg.Precision + wire.Log2(x.head.Precision)
	delay := elapsed - time.Duration(t3-t2)
	// A clock on its way to the right frequency may run a thousandth fast or slow while the packet travels.
	if delay < -(precision + elapsed.Abs()/1024) {
		return ErrDelay
	}
	delay = max(delay, 0)
	rootDelay, rootDispersion := x.head.RootDelay.Duration(), x.head.RootDispersion.Duration()
	maxError := delay/2 + rootDelay/2 + rootDispersion + precision + elapsed.Abs()/phi
	if maxError > c.cfg.MaxRootDistance {
		return ErrRootDistance
	}
	c.sample = Measurement{
		At:          x.t1.Add(elapsed / 2),
		Offset:      offset,
		Delay:       delay,
		Uncertainty: c.uncertainty(delay, precision, x.stamped),
		MaxError:    maxError,
		Leap:        leapOf(x.head.Leap),
		Stratum:     int(x.head.Stratum),
	}
	c.measured(now, x)
	return 0
}

// measured keeps account of c.sample and hands it over.
func (c *Client) measured(now clock.Mono, x *exchange) {
	s := &c.status
	if c.unanswered > unreachAfter {
		c.poll.back()
	}
	c.poll.answered()
	c.denials, c.denied, c.rates, c.wary = 0, 0, 0, false
	c.hasten()
	c.unanswered, c.refused = 0, 0
	c.reach |= 1
	s.Samples++
	if x.stamped {
		s.Stamped++
	}
	s.Header, s.LastSample = x.head, now
	s.Offset, s.Delay, s.MaxError = c.sample.Offset, c.sample.Delay, c.sample.MaxError
	c.out.Measured(&c.sample)
}

// uncertainty is the standard deviation of the offset: what the stamps have of it, and what the delay beyond the
// shortest one suggests.
func (c *Client) uncertainty(delay, precision time.Duration, stamped bool) time.Duration {
	stamps := float64(precision) / 2
	if !stamped {
		stamps = math.Hypot(stamps, float64(c.cfg.UserLatency))
	}
	return max(clock.Nanoseconds(math.Hypot(stamps, c.delays.excess(delay)*excessToSD)), 1)
}

// offset returns ((t1−t2)+(t4−t3))/2, our clock less the server's. Not ok if beyond what a Duration holds.
func offset(t1, t2, t3, t4 int64) (time.Duration, bool) {
	a, b := t1-t2, t4-t3
	if (a < t1) != (t2 > 0) || (b < t4) != (t3 > 0) {
		return 0, false
	}
	return time.Duration(a>>1 + b>>1 + a&b&1), true
}

// leapOf returns the leap second announced.
func leapOf(l wire.Leap) clock.Leap {
	switch l {
	case wire.LeapInsert:
		return clock.LeapInsert
	case wire.LeapDelete:
		return clock.LeapDelete
	}
	return clock.NoLeap
}

// excessToSD is 1/√12: where queues delay both directions alike and independently, exponentially distributed, the
// offset's error is uniform over ± half of the delay in excess of the shortest.
const excessToSD = 0.28867513459481287

// delays are the latest delays of an association.
type delays struct {
	ring [8]time.Duration
	n    int
}

// excess adds a delay and returns by how many nanoseconds it exceeds the shortest one. As long as few are known, the
// shortest possible one is taken to be shorter still.
func (d *delays) excess(delay time.Duration) float64 {
	d.ring[d.n%len(d.ring)] = delay
	d.n++
	known := min(d.n, len(d.ring))
	least := delay
	for _, k := range d.ring[:known] {
		least = min(least, k)
	}
	return float64(delay-least) + math.Ldexp(float64(least), -known)
}
