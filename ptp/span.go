// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/ptp/wire"
)

// maxIntervalNs bounds the nanoseconds of a TimeInterval: 39 hours.
const maxIntervalNs = int64(wire.TooBig) >> 16

// Span is the difference of two instants, exact to 2^-16 ns and wide enough for clocks that are decades apart, which
// TimeInterval is not.
type Span struct {
	ns   int64
	frac uint16
}

// SpanOf returns d as a span.
func SpanOf(d time.Duration) Span { return Span{ns: int64(d)} }

// intervalSpan returns c as a span.
func intervalSpan(c wire.TimeInterval) Span { return Span{int64(c) >> 16, uint16(c)} }

// Duration returns s rounded to the nearest nanosecond, halves up. Rounding comes last: spans are added before.
func (s Span) Duration() time.Duration {
	if s.frac >= 0x8000 && s.ns < math.MaxInt64 {
		return time.Duration(s.ns + 1)
	}
	return time.Duration(s.ns)
}

// Parts returns s as whole nanoseconds, rounded down, and the rest in units of 2^-16 ns.
func (s Span) Parts() (ns int64, fraction uint16) { return s.ns, s.frac }

// Add returns s + t. Not ok if that overflows.
func (s Span) Add(t Span) (sum Span, ok bool) {
	f := uint32(s.frac) + uint32(t.frac)
	ns, ok1 := addInt64(s.ns, t.ns)
	ns, ok2 := addInt64(ns, int64(f>>16))
	return Span{ns, uint16(f)}, ok1 && ok2
}

// Sub returns s − t. Not ok if that overflows.
func (s Span) Sub(t Span) (difference Span, ok bool) {
	ns, ok1 := subInt64(s.ns, t.ns)
	ok2 := true
	if s.frac < t.frac {
		ns, ok2 = subInt64(ns, 1)
	}
	return Span{ns, s.frac - t.frac}, ok1 && ok2
}

// Interval returns s as a TimeInterval. Not ok beyond ±39 hours.
func (s Span) Interval() (c wire.TimeInterval, ok bool) {
	if s.ns > maxIntervalNs || s.ns < -maxIntervalNs {
		return 0, false
	}
	return wire.TimeInterval(s.ns<<16 | int64(s.frac)), true
}

// intervalOf returns ns as a TimeInterval. Not ok beyond ±39 hours, or for what is not a number.
func intervalOf(ns float64) (c wire.TimeInterval, ok bool) {
	if !(math.Abs(ns) < float64(maxIntervalNs)) {
		return 0, false
	}
	return wire.TimeInterval(math.Round(ns * 65536)), true // in range: 39 hours
}

func addInt64(a, b int64) (sum int64, ok bool) {
	sum = a + b
	return sum, (sum > a) == (b > 0)
}

func subInt64(a, b int64) (difference int64, ok bool) {
	difference = a - b
	return difference, (difference < a) == (b > 0)
}
