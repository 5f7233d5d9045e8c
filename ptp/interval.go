// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"math"
	"time"
)

// TimeInterval is a span in units of 2^-16 ns (IEEE 1588-2019 §5.3.2), the type of correctionField. It holds ±39 hours.
type TimeInterval int64

// TooBig is the correctionField that says "too big to be represented" (IEEE 1588-2019 §13.3.2.9).
const TooBig TimeInterval = math.MaxInt64

const maxIntervalNs = math.MaxInt64 >> 16

// Interval returns d as a TimeInterval, or ErrRange beyond ±39 hours.
func Interval(d time.Duration) (TimeInterval, error) {
	if d > maxIntervalNs || d < -maxIntervalNs {
		return 0, ErrRange
	}
	return TimeInterval(d) << 16, nil
}

// Add returns c + d. Not ok if that overflows.
func (c TimeInterval) Add(d TimeInterval) (sum TimeInterval, ok bool) {
	s, ok := addInt64(int64(c), int64(d))
	return TimeInterval(s), ok
}

// Duration returns c rounded to the nearest nanosecond, halves up.
func (c TimeInterval) Duration() time.Duration { return c.span().Duration() }

// Nanoseconds returns c in nanoseconds, fraction included.
func (c TimeInterval) Nanoseconds() float64 { return float64(c) / 65536 }

func (c TimeInterval) span() Span { return Span{int64(c) >> 16, uint16(c)} }

// Span is the difference of two instants, exact to 2^-16 ns and wide enough for clocks that are decades apart, which
// TimeInterval is not.
type Span struct {
	ns   int64
	frac uint16
}

// SpanOf returns d as a span.
func SpanOf(d time.Duration) Span { return Span{ns: int64(d)} }

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
func (s Span) Interval() (c TimeInterval, ok bool) {
	if s.ns > maxIntervalNs || s.ns < -maxIntervalNs {
		return 0, false
	}
	return TimeInterval(s.ns<<16 | int64(s.frac)), true
}

// intervalOf returns ns as a TimeInterval. Not ok beyond ±39 hours, or for what is not a number.
func intervalOf(ns float64) (c TimeInterval, ok bool) {
	if !(math.Abs(ns) < maxIntervalNs) {
		return 0, false
	}
	return TimeInterval(math.Round(ns * 65536)), true // in range: 39 hours
}

func addInt64(a, b int64) (sum int64, ok bool) {
	sum = a + b
	return sum, (sum > a) == (b > 0)
}

func subInt64(a, b int64) (difference int64, ok bool) {
	difference = a - b
	return difference, (difference < a) == (b > 0)
}
