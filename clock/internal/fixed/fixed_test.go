// SPDX-License-Identifier: Apache-2.0

package fixed

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestMultiplyIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := rapid.Int64().Draw(t, "span")
		rate := rapid.Int64Range(-unit, unit).Draw(t, "rate")
		fraction := rapid.Uint64Range(0, unit-1).Draw(t, "fraction")
		whole, rest := Multiply(span, rate, fraction)
		want := new(big.Int).Mul(big.NewInt(span), big.NewInt(rate))
		want.Add(want, new(big.Int).SetUint64(fraction))
		got := new(big.Int).Lsh(big.NewInt(whole), places)
		got.Add(got, new(big.Int).SetUint64(rest))
		if rest >= unit || got.Cmp(want) != 0 {
			t.Fatalf("%d × %d + %d = %d + %d", span, rate, fraction, whole, rest)
		}
	})
}

func TestRateIsTheNearest(t *testing.T) {
	for f, want := range map[float64]int64{0: 0, 1: unit, -0.5: -unit / 2, 0x1p-62: 1, -0x1p-62: -1, 0x1p-64: 0} {
		if got := Rate(f); got != want {
			t.Errorf("%g: %d, want %d", f, got, want)
		}
	}
}

func TestFloatStaysBelowOne(t *testing.T) {
	for fraction, want := range map[uint64]float64{0: 0, unit / 4: 0.25, unit - 1: math.Nextafter(1, 0)} {
		if got := Float(fraction); got != want {
			t.Errorf("%d: %g, want %g", fraction, got, want)
		}
	}
}
