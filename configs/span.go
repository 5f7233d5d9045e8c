// SPDX-License-Identifier: Apache-2.0

package configs

import (
	"errors"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

var errSpan = errors.New("not a duration")

// parseSpan reads a duration in Go's syntax, which may begin with days: "20us", "1.5s", "7d", "1d12h".
func parseSpan(s string) (time.Duration, error) {
	sign, rest := "", s
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, rest = s[:1], s[1:]
	}
	days, rest, ok := strings.Cut(rest, "d")
	if !ok {
		return time.ParseDuration(s)
	}
	d, err := time.ParseDuration(sign + days + "h")
	if err != nil || d > math.MaxInt64/24 || d < math.MinInt64/24 || strings.Trim(days, "0123456789.") != "" {
		return 0, errSpan
	}
	d *= 24
	if rest == "" {
		return d, nil
	}
	more, err := time.ParseDuration(sign + rest)
	if err != nil || rest[0] == '-' || rest[0] == '+' {
		return 0, errSpan
	}
	if sum := d + more; (sum < d) == (more < 0) {
		return sum, nil
	}
	return 0, errSpan
}

// formatSpan writes a duration so that parseSpan reads the same, in one unit where that is exact.
func formatSpan(d time.Duration) string {
	count := func(unit time.Duration) string { return strconv.FormatInt(int64(d/unit), 10) }
	switch {
	case d == 0:
		return "0s"
	case d%day == 0 && d.Abs() >= 2*day:
		return count(day) + "d"
	case d%time.Hour == 0:
		return count(time.Hour) + "h"
	case d%time.Second == 0:
		return count(time.Second) + "s"
	}
	return strings.Replace(d.String(), "µ", "u", 1)
}

// Log2 returns the n of a duration of 2^n seconds, or that of the next longer power of two if d is not one: -9, the
// smallest that is a whole number of nanoseconds, to 34.
func Log2(d time.Duration) int8 {
	n, p := int8(-9), time.Second>>9
	for ; p < d && n < 33; p *= 2 {
		n++
	}
	if p < d {
		n++
	}
	return n
}

// isPow2 reports whether d is exactly 2^n seconds, n ≥ -9.
func isPow2(d time.Duration) bool {
	if d >= time.Second {
		return d%time.Second == 0 && bits.OnesCount64(uint64(d/time.Second)) == 1
	}
	return d > 0 && time.Second%d == 0 && bits.OnesCount64(uint64(time.Second/d)) == 1
}

// nearestPow2 returns the power of two seconds that is nearest to d by ratio, from lo to hi.
func nearestPow2(d, lo, hi time.Duration) time.Duration {
	best := lo
	for p := lo; p <= hi; p *= 2 {
		if ratio(p, d) < ratio(best, d) {
			best = p
		}
	}
	return best
}

func ratio(a, b time.Duration) float64 { return math.Abs(math.Log(float64(a) / float64(max(b, 1)))) }
