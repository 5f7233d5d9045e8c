// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"math"
	"math/bits"
)

// Rates are kept as fixed point with rateBits binary places, products of a span and a rate in 128 bits, so that what
// is lost to rounding does not add up: 2^-62 per nanosecond is less than 1 ns in a hundred years.
const (
	rateBits = 62
	rateUnit = 1 << rateBits
)

// fixedRate returns f, −1 < f ≤ 1, in units of 2^-rateBits.
func fixedRate(f float64) int64 {
	return int64(math.RoundToEven(math.Ldexp(f, rateBits))) // in range: 2^62 at most
}

// multiply returns span × rate + fraction as whole nanoseconds, rounded down, and the rest.
// rate and both fractions are in units of 2^-rateBits, the fractions at least 0 and less than 1.
func multiply(span, rate int64, fraction uint64) (whole int64, rest uint64) {
	hi, lo := bits.Mul64(uint64(span), uint64(rate))
	if span < 0 {
		hi -= uint64(rate)
	}
	if rate < 0 {
		hi -= uint64(span)
	}
	lo, carry := bits.Add64(lo, fraction, 0)
	hi += carry
	return int64(hi<<(64-rateBits) | lo>>rateBits), lo & (rateUnit - 1)
}

// asFloat returns a fraction as a number of nanoseconds, at least 0 and less than 1.
func asFloat(fraction uint64) float64 {
	const digits = 53
	return float64(fraction>>(rateBits-digits)) / (1 << digits)
}
