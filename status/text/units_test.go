// SPDX-License-Identifier: Apache-2.0

package text_test

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/lockstep-time/lockstep/status/text"
)

func TestOffset(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0 ns"},
		{4, "+4 ns"},
		{-12, "-12 ns"},
		{999, "+999 ns"},
		{1000, "+1.00 µs"},
		{-1234, "-1.23 µs"},
		{1235, "+1.24 µs"},
		{9994, "+9.99 µs"},
		{9995, "+10.0 µs"},
		{99_949, "+99.9 µs"},
		{99_950, "+100 µs"},
		{999_499, "+999 µs"},
		{999_500, "+1.00 ms"},
		{-80 * time.Millisecond, "-80.0 ms"},
		{37 * time.Second, "+37.0 s"},
		{999_499 * time.Millisecond, "+999 s"},
		{999_500 * time.Millisecond, "+16.7 min"},
		{1000 * time.Second, "+16.7 min"},
		{99*time.Minute + 57*time.Second, "+1.67 h"},
		{-24 * time.Hour, "-24.0 h"},
		{101 * time.Hour, "+4.21 d"},
		{math.MaxInt64, "+292 y"},
		{math.MinInt64, "-292 y"},
	} {
		if got := text.Offset(c.d); got != c.want {
			t.Errorf("Offset(%d) = %q, want %q", c.d, got, c.want)
		}
	}
}

func TestBoundNeverRoundsDown(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0 ns"}, {812, "812 ns"}, {1001, "1.01 µs"}, {1010, "1.01 µs"}, {9991, "10.0 µs"}, {999_001, "1.00 ms"},
		{-1001, "1.01 µs"}, {96_500, "96.5 µs"}, {96_501, "96.6 µs"},
	} {
		if got := text.Bound(c.d); got != c.want {
			t.Errorf("Bound(%d) = %q, want %q", c.d, got, c.want)
		}
	}
}

// What is printed reads back as the duration, but for the digits left out.
func TestSpanReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(999*time.Second)).Draw(t, "d"))
		for _, c := range []struct {
			got  string
			ceil bool
		}{{text.Span(d), false}, {text.Bound(d), true}} {
			back, err := time.ParseDuration(strings.ReplaceAll(c.got, " ", ""))
			if err != nil {
				t.Fatalf("%d is printed as %q: %v", d, c.got, err)
			}
			off, most := back-d, d/200
			if c.ceil {
				most = d / 100
			}
			if off > most || off < -most || (c.ceil && off < 0) {
				t.Fatalf("%d is printed as %q, off by %d", d, c.got, off)
			}
			if utf8.RuneCountInString(c.got) > len("12.3 ms")+1 {
				t.Fatalf("%d is printed as %q, too long", d, c.got)
			}
		}
	})
}

func TestInterval(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ns", 100: "100 ns", 16 * time.Second: "16 s", 125 * time.Millisecond: "125 ms", 62500 * time.Microsecond: "62.5 ms",
		10 * time.Second: "10 s", 1024 * time.Second: "17.1 min",
	} {
		if got := text.Interval(d); got != want {
			t.Errorf("Interval(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestFrequency(t *testing.T) {
	for _, c := range []struct {
		ppb  float64
		want string
	}{
		{0, "+0.0 ppb"}, {-0.04, "+0.0 ppb"}, {-30012.44, "-30012.4 ppb"}, {0.1, "+0.1 ppb"},
	} {
		if got := text.Frequency(c.ppb); got != c.want {
			t.Errorf("Frequency(%v) = %q, want %q", c.ppb, got, c.want)
		}
	}
}

func TestAge(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{-time.Second, "0 s"}, {999 * time.Millisecond, "0 s"}, {59 * time.Second, "59 s"}, {time.Minute, "1 min"},
		{time.Hour - 1, "59 min"}, {3*time.Hour + 12*time.Minute, "3 h 12 min"}, {124 * time.Hour, "5 d 4 h"},
	} {
		if got := text.Age(c.d); got != c.want {
			t.Errorf("Age(%v) = %q, want %q", c.d, got, c.want)
		}
	}
}
