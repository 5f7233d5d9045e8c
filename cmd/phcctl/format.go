// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// minus is what a leading "-" of a number is turned into before flags are parsed, which would take it for one of theirs.
const minus = "−"

// protectNumbers has arguments such as "-5us" survive the parsing of flags. The values of flags survive by themselves, and
// nothing is parsed behind "--".
func protectNumbers(args []string, takesValue map[string]bool) []string {
	protected := slices.Clone(args)
	for i, arg := range args {
		if arg == "--" {
			break
		}
		number := len(arg) > 1 && arg[0] == '-' && (arg[1] == '.' || arg[1] >= '0' && arg[1] <= '9')
		if number && (i == 0 || !takesValue[args[i-1]]) {
			protected[i] = minus + arg[1:]
		}
	}
	return protected
}

// plainMinus undoes protectNumbers, and takes minus signs from elsewhere.
func plainMinus(s string) string { return strings.Replace(s, minus, "-", 1) }

// parseDuration reads "+1.5ms", "-20ns" and the like; the unit must be there.
func parseDuration(s string) (time.Duration, error) {
	s = plainMinus(s)
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, usagef("duration %q: want a number and a unit, like 250ns, -1.5us, 20ms, 3s", s)
	}
	return d, nil
}

// parsePPB reads a frequency in parts per billion, or with the unit ppb or ppm.
func parsePPB(s string) (float64, error) {
	s = plainMinus(s)
	number, factor := strings.TrimSuffix(s, "ppb"), 1.0
	if n, ok := strings.CutSuffix(s, "ppm"); ok {
		number, factor = n, 1000
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, usagef("frequency %q: want parts per billion, like 50000, -12.5 or 50ppm", s)
	}
	return v * factor, nil
}

// endOfTime is 2262-01-01, some months before the kernel's nanoseconds end.
const endOfTime = 9_214_646_400_000_000_000

// timeUnit is a unit of times since 1970, in ns.
type timeUnit struct {
	name string
	ns   int64
}

// timeUnits returns the units of times; each name ends like the last, which must be looked for after the others.
func timeUnits() []timeUnit { return []timeUnit{{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}} }

// parseTime reads a whole number since 1970, in ns if it has no unit, or RFC 3339.
func parseTime(s string) (int64, error) {
	number, unit := s, int64(1)
	for _, u := range timeUnits() {
		if n, ok := strings.CutSuffix(s, u.name); ok {
			number, unit = n, u.ns
			break
		}
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		if n < 0 || n >= endOfTime/unit {
			return 0, usagef("time %q is before 1970 or after 2261", s)
		}
		return n * unit, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Unix() < 0 || t.Year() > 2261 {
		return 0, usagef("time %q: want now, nanoseconds since 1970-01-01, seconds like 1767225600s, "+
			"or 2026-01-02T15:04:05.123456789Z, not before 1970", s)
	}
	return t.UnixNano(), nil
}

// likelyFrom is 1980-01-01 in ns since 1970: clocks are hardly set to a time before.
const likelyFrom = 315_532_800_000_000_000

// likelierUnit returns the unit in which a number without one is a likely time, such as the seconds that phc_ctl takes, and
// that time in ns since 1970. It is not ok for what is a likely time in ns, or in no unit.
func likelierUnit(s string) (unit string, meant int64, ok bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return "", 0, false
	}
	for _, u := range timeUnits() {
		if n >= likelyFrom/u.ns && n < endOfTime/u.ns {
			return u.name, n * u.ns, u.ns > 1
		}
	}
	return "", 0, false
}

// parseIndex reads a channel's or pin's number.
func parseIndex(what, s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, usagef("%s %q: want a number from 0", what, s)
	}
	return n, nil
}

// span writes nanoseconds with a unit that fits, without losing any.
func span(ns int64) string {
	abs := math.Abs(float64(ns))
	switch {
	case abs < 10e3:
		return fmt.Sprintf("%d ns", ns)
	case abs < 10e6:
		return fmt.Sprintf("%.3f µs", float64(ns)/1e3)
	case abs < 1e9:
		return fmt.Sprintf("%.6f ms", float64(ns)/1e6)
	}
	sign, s, r := "", ns/1e9, ns%1e9
	if ns < 0 {
		sign, s, r = "-", -s, -r
	}
	return fmt.Sprintf("%s%d.%09d s", sign, s, r)
}

// signed is span with a sign always.
func signed(ns int64) string {
	if ns >= 0 {
		return "+" + span(ns)
	}
	return span(ns)
}

// calendar writes a reading as date and time of day of its own scale.
func calendar(ns int64) string {
	return time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05.000000000")
}

// ppb writes a frequency with its sign.
func ppb(v float64) string { return fmt.Sprintf("%+.3f ppb", v) }
