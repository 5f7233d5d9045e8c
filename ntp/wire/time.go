// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"math"
	"time"
)

// Timestamp is the 64-bit NTP timestamp format (RFC 5905 §6): the seconds since 1900-01-01 00:00:00 UTC modulo 2^32, and
// a fraction in units of 2^-32 s. Which span of 2^32 seconds, the era, is not part of it. The zero Timestamp is unknown.
type Timestamp uint64

// unixEpoch is 1970-01-01 in seconds of NTP era 0.
const unixEpoch = 2_208_988_800

// TimestampAt returns the Timestamp of unix nanoseconds since 1970-01-01 00:00:00 UTC. It is never zero.
// Unix gives the same nanosecond back.
func TimestampAt(unix int64) Timestamp {
	sec, ns := seconds(unix)
	fraction := (uint64(ns)<<32 + 5e8) / 1e9
	t := Timestamp(uint64(uint32(sec+unixEpoch))<<32 | fraction)
	if t == 0 {
		return 1 // the first instant of an era, less than half a nanosecond late
	}
	return t
}

// Unix returns the instant in nanoseconds since 1970-01-01 00:00:00 UTC, rounded to the nearest one. The era is the one
// that brings it closest to pivot, an instant of the same kind: the result is within 68 years of it. It is limited to
// what an int64 holds, the years 1677 to 2262.
func (t Timestamp) Unix(pivot int64) int64 {
	pivotSec, _ := seconds(pivot)
	ahead := int32(uint32(t>>32) - uint32(pivotSec+unixEpoch))
	sec := pivotSec + int64(ahead)
	ns := int64((uint64(uint32(t))*1e9 + 1<<31) >> 32)
	const limit = math.MaxInt64 / int64(time.Second)
	switch {
	case sec >= limit:
		return math.MaxInt64
	case sec < -limit:
		return math.MinInt64
	}
	return sec*int64(time.Second) + ns
}

// Before reports whether t is less than 68 years before u, whatever their eras.
func (t Timestamp) Before(u Timestamp) bool { return int64(t-u) < 0 }

// seconds splits nanoseconds into whole seconds, rounded down, and the rest, 0 to 999999999.
func seconds(ns int64) (sec, rest int64) {
	sec, rest = ns/int64(time.Second), ns%int64(time.Second)
	if rest < 0 {
		return sec - 1, rest + int64(time.Second)
	}
	return sec, rest
}

// Short is the 32-bit NTP short format (RFC 5905 §6): seconds in units of 2^-16 s, below 65536 s.
type Short uint32

// ShortFrom returns the least Short that is not less than d: 0 for negative d, and the greatest Short if d is beyond it.
func ShortFrom(d time.Duration) Short {
	if d <= 0 {
		return 0
	}
	if d >= 1<<16*time.Second {
		return math.MaxUint32
	}
	return Short(min((uint64(d)<<16+uint64(time.Second)-1)/uint64(time.Second), math.MaxUint32))
}

// Duration returns s in whole nanoseconds, rounded down.
func (s Short) Duration() time.Duration { return time.Duration(uint64(s) * uint64(time.Second) >> 16) }

// Log2 returns 2^exponent seconds, the form in which poll intervals and precisions are sent (RFC 5905 §7.3).
// It is 1 ns at least and about 136 years at most.
func Log2(exponent int8) time.Duration {
	switch {
	case exponent >= 32:
		return 1 << 32 * time.Second
	case exponent >= 0:
		return time.Second << exponent
	case exponent < -29:
		return 1
	}
	return time.Second >> -exponent
}
