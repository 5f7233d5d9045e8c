// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNanosecondsAreCutAndSaturate(t *testing.T) {
	const most = time.Duration(math.MaxInt64)
	below := math.Nextafter(math.MaxInt64, 0) // 2^63 − 1024
	for ns, want := range map[float64]time.Duration{
		0: 0, 0.9: 0, -0.9: 0, 1.5: 1, -1.5: -1, 2.999: 2, -2.999: -2,
		1e15 + 0.5: 1e15, 1 << 53: 1 << 53, -(1 << 53): -(1 << 53),
		below: time.Duration(math.MaxInt64 - 1023), -below: -time.Duration(math.MaxInt64 - 1023),
		math.MaxInt64: most, -math.MaxInt64: -most, 1e19: most, -1e19: -most,
		math.MaxFloat64: most, -math.MaxFloat64: -most, math.Inf(1): most, math.Inf(-1): -most,
	} {
		if got := Nanoseconds(ns); got != want {
			t.Errorf("%g ns: %d, want %d", ns, got, want)
		}
	}
	if got := Nanoseconds(math.NaN()); got != most {
		t.Errorf("not a number: %d, want %d", got, most)
	}
}

// TestNanosecondsAreWhatGoConvertsTo wherever the language says what that is.
func TestNanosecondsAreWhatGoConvertsTo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.Float64Range(-9e18, 9e18).Draw(t, "ns")
		if got, want := Nanoseconds(ns), time.Duration(ns); got != want {
			t.Errorf("%g ns: %d, want %d", ns, got, want)
		}
	})
}

func TestSumSaturates(t *testing.T) {
	const most = math.MaxInt64
	for _, c := range []struct {
		terms []int64
		want  int64
	}{
		{[]int64{1, 2, 3}, 6}, {[]int64{most}, most}, {[]int64{most, 1}, most}, {[]int64{most, most, most}, most},
		{[]int64{-most, -1}, -most}, {[]int64{-most, -most}, -most}, {[]int64{math.MinInt64, 0}, -most},
		{[]int64{math.MinInt64, math.MinInt64}, -most}, {[]int64{0, math.MinInt64}, -most},
		{[]int64{most, math.MinInt64}, -1}, {[]int64{most, 1, -1}, most - 1}, {[]int64{most - 1, 1}, most},
	} {
		if got := Sum(c.terms[0], c.terms[1:]...); got != c.want {
			t.Errorf("sum of %d: %d, want %d", c.terms, got, c.want)
		}
	}
}

func TestSumIsExactOrTheBoundAndMonotone(t *testing.T) {
	term := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-1000, 1000), rapid.Int64Range(math.MaxInt64-1000, math.MaxInt64),
		rapid.Int64Range(math.MinInt64, math.MinInt64+1000))
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := term.Draw(t, "a"), term.Draw(t, "b"), term.Draw(t, "c")
		got := Sum(a, b)
		exact := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
		want := int64(math.MaxInt64) * int64(exact.Sign())
		if exact.CmpAbs(big.NewInt(math.MaxInt64)) <= 0 {
			want = exact.Int64()
		}
		if got != want {
			t.Errorf("%d and %d: %d, want %d", a, b, got, want)
		}
		if low, high := min(a, c), max(a, c); Sum(low, b) > Sum(high, b) || Sum(b, low) > Sum(b, high) {
			t.Errorf("with %d: %d gives more than %d", b, low, high)
		}
		if Sum(a, b, c) < -math.MaxInt64 || Sum(a, b, c) != Sum(Sum(a, b), c) {
			t.Errorf("%d, %d and %d: %d", a, b, c, Sum(a, b, c))
		}
	})
}

func TestSumDoesNotAllocate(t *testing.T) {
	a, b := time.Duration(1), time.Duration(2)
	if n := testing.AllocsPerRun(100, func() { a = Sum(a, b, b) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}
