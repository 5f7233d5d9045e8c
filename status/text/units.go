// SPDX-License-Identifier: Apache-2.0

package text

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// unit is a unit of time: the name, its length, and the magnitude from which the next one is used.
type unit struct {
	name   string
	length uint64
	below  uint64
}

const (
	minute = uint64(time.Minute)
	hour   = uint64(time.Hour)
	day    = 24 * hour
	year   = 365*day + 6*hour
)

var units = [...]unit{
	{"ns", 1, 1e3},
	{"µs", 1e3, 1e6},
	{"ms", 1e6, 1e9},
	{"s", 1e9, 1000e9},
	{"min", minute, 100 * minute},
	{"h", hour, 100 * hour},
	{"d", day, 1000 * day},
	{"y", year, math.MaxUint64},
}

// Offset returns d with its sign and three significant digits: "+12 ns", "-1.23 µs", "0 ns".
func Offset(d time.Duration) string {
	switch {
	case d > 0:
		return "+" + span(uint64(d), half)
	case d < 0:
		return "-" + span(uint64(-d), half)
	}
	return "0 ns"
}

// Span returns the length of d with three significant digits: "935 ns", "1.87 µs".
func Span(d time.Duration) string { return span(magnitude(d), half) }

// Bound returns the length of d with three significant digits, rounded up so that it still is a bound.
func Bound(d time.Duration) string { return span(magnitude(d), up) }

// Interval returns the length of d as Span does, without the zeros that say nothing: "16 s", "125 ms".
func Interval(d time.Duration) string {
	digits, name, _ := strings.Cut(Span(d), " ")
	if strings.Contains(digits, ".") {
		digits = strings.TrimRight(strings.TrimRight(digits, "0"), ".")
	}
	return digits + " " + name
}

// Frequency returns a frequency in parts per billion with its sign: "-30012.4 ppb".
func Frequency(ppb float64) string {
	if math.Abs(ppb) < 0.05 {
		ppb = 0
	}
	return fmt.Sprintf("%+.1f ppb", ppb)
}

// Age returns the length of time in whole units, the largest two of them: "7 s", "42 min", "3 h 12 min", "5 d 4 h".
// A negative one, which a step of the clock leaves behind, is "0 s".
func Age(d time.Duration) string {
	switch n := uint64(max(d, 0)); {
	case n < minute:
		return fmt.Sprintf("%d s", n/uint64(time.Second))
	case n < hour:
		return fmt.Sprintf("%d min", n/minute)
	case n < day:
		return fmt.Sprintf("%d h %d min", n/hour, n%hour/minute)
	default:
		return fmt.Sprintf("%d d %d h", n/day, n%day/hour)
	}
}

// count returns a number of things of a name whose plural is regular.
func count(n uint64, name string) string {
	if n != 1 {
		name += "s"
	}
	return strconv.FormatUint(n, 10) + " " + name
}

func magnitude(d time.Duration) uint64 {
	if d < 0 {
		return uint64(-d) // right for the least Duration too
	}
	return uint64(d)
}

// How span rounds.
const (
	half = false
	up   = true
)

func span(n uint64, ceil bool) string {
	u, decimals, quantum := resolution(n)
	add := quantum / 2
	if ceil {
		add = quantum - 1
	}
	// Rounding up may lead to the next unit, or to one decimal less; a second time it changes nothing.
	if rounded := (n + add) / quantum * quantum; rounded != n {
		n = rounded
		u, decimals, quantum = resolution(n)
		add = quantum / 2
	}
	digits := strconv.FormatUint((n+add)/quantum, 10)
	if decimals > 0 {
		digits = digits[:len(digits)-decimals] + "." + digits[len(digits)-decimals:]
	}
	return digits + " " + u.name
}

// resolution returns the unit in which to show n, the decimals that make three digits, and the length of the last one.
func resolution(n uint64) (u unit, decimals int, quantum uint64) {
	for _, u = range units {
		if n < u.below {
			break
		}
	}
	switch whole := n / u.length; {
	case u.length == 1 || whole >= 100:
		return u, 0, u.length
	case whole >= 10:
		return u, 1, u.length / 10
	default:
		return u, 2, u.length / 100
	}
}
