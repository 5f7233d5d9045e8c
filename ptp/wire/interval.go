// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"math"
	"time"
)

// TimeInterval is a span in units of 2^-16 ns (IEEE 1588-2019 §5.3.2), the type of correctionField. It holds ±39 hours.
type TimeInterval int64

// TooBig is the correctionField that says "too big to be represented" (IEEE 1588-2019 §13.3.2.9).
const TooBig TimeInterval = math.MaxInt64

// IntervalOf returns d as a TimeInterval, or ErrRange beyond ±39 hours.
func IntervalOf(d time.Duration) (TimeInterval, error) {
	if most := time.Duration(TooBig >> 16); d > most || d < -most {
		return 0, ErrRange
	}
	return TimeInterval(d) << 16, nil
}

// Add returns c + d. Not ok if that overflows.
func (c TimeInterval) Add(d TimeInterval) (sum TimeInterval, ok bool) {
	sum = c + d
	return sum, (sum > c) == (d > 0)
}

// Duration returns c rounded to the nearest nanosecond, halves up.
func (c TimeInterval) Duration() time.Duration { return time.Duration(c>>16 + c>>15&1) }

// Nanoseconds returns c in nanoseconds, fraction included.
func (c TimeInterval) Nanoseconds() float64 { return float64(c) / 65536 }
