// SPDX-License-Identifier: Apache-2.0

// Package fixed has rates, and fractions of a nanosecond, as fixed-point numbers of 62 binary places. Products of a
// span and a rate have 128 bits, so that what is lost to rounding does not add up: 2^-62 per nanosecond is less than 1 ns in
// a hundred years.
package fixed

import (
	"math"
	"math/bits"
)

const (
	places = 62
	unit   = 1 << places
)

// Rate returns f, −1 < f ≤ 1, in units of 2^-62.
func Rate(f float64) int64 {
	return int64(math.RoundToEven(math.Ldexp(f, places))) // in range: 2^62 at most
}

// Multiply returns span × rate + fraction as whole nanoseconds, rounded down, and the rest.
// rate and both fractions are in units of 2^-62, the fractions at least 0 and less than 1.
func Multiply(span, rate int64, fraction uint64) (whole int64, rest uint64) {
	hi, lo := bits.Mul64(uint64(span), uint64(rate))
	if span < 0 {
		hi -= uint64(rate)
	}
	if rate < 0 {
		hi -= uint64(span)
	}
	lo, carry := bits.Add64(lo, fraction, 0)
	hi += carry
	return int64(hi<<(64-places) | lo>>places), lo & (unit - 1)
}

// Float returns a fraction as a number of nanoseconds, at least 0 and less than 1.
func Float(fraction uint64) float64 {
	const digits = 53
	return float64(fraction>>(places-digits)) / (1 << digits)
}
