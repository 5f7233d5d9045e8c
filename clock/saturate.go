// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"math"
	"time"
)

// Nanoseconds returns ns nanoseconds, cut to a whole number. What a Duration cannot hold becomes ±[math.MaxInt64], and what
// is not a number [math.MaxInt64]: of an error that nobody knows, the largest one is to be feared. So a bound stays a bound.
// Go itself does not say what it makes of a number beyond the range: on some processors it changes the sign.
func Nanoseconds(ns float64) time.Duration { return time.Duration(Int64(ns)) }

// Int64 does the same for a number of any unit.
func Int64(v float64) int64 {
	switch {
	case v <= -math.MaxInt64: // as a float64 this is 2^63, which an int64 does not hold
		return -math.MaxInt64
	case v < math.MaxInt64:
		return int64(v) // in range: by the two cases
	}
	return math.MaxInt64
}

// Sum adds one after the other. Where a sum would be beyond ±[math.MaxInt64] it is that. So the negative of every result is
// one too.
func Sum[T ~int64](a T, more ...T) T {
	for _, b := range more {
		switch sum := a + b; {
		case b > 0 && sum < a:
			a = math.MaxInt64
		case b < 0 && sum > a:
			a = -math.MaxInt64
		default:
			a = max(sum, -math.MaxInt64)
		}
	}
	return a
}
