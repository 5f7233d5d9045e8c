// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"math"
	"testing"
	"time"

	"github.com/facebook/time/ntp/protocol"
	"pgregory.net/rapid"

	"github.com/lockstep-time/lockstep/ntp/wire"
)

func unix(s string) int64 {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t.UnixNano()
}

// The values of RFC 5905 figure 4.
func TestTimestampOfKnownInstants(t *testing.T) {
	for _, c := range []struct {
		at   string
		want wire.Timestamp
	}{
		{"1970-01-01T00:00:00Z", 2_208_988_800 << 32},
		{"1972-01-01T00:00:00Z", 2_272_060_800 << 32},
		{"1999-12-31T00:00:00Z", 3_155_587_200 << 32},
		{"2036-02-07T06:28:15Z", 4_294_967_295 << 32},
		{"2036-02-07T06:28:16Z", 1},
		{"2036-02-08T00:00:00Z", 63104 << 32},
		{"1970-01-01T00:00:00.5Z", 2_208_988_800<<32 | 1<<31},
		{"1969-12-31T23:59:59.75Z", 2_208_988_799<<32 | 3<<30},
	} {
		if got := wire.TimestampAt(unix(c.at)); got != c.want {
			t.Errorf("%s: got %#x, want %#x", c.at, uint64(got), uint64(c.want))
		}
	}
}

func TestTimestampRoundTrip(t *testing.T) {
	const limit = math.MaxInt64 - int64(time.Second)
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.Int64Range(-limit, limit).Draw(t, "at")
		pivot := at
		if d := rapid.Int64Range(-(1<<31-1), 1<<31-1).Draw(t, "seconds") * int64(time.Second); (at > 0) != (d > 0) {
			pivot = at + d
		}
		if got := wire.TimestampAt(at).Unix(pivot); got != at {
			t.Fatalf("got %d", got)
		}
	})
}

func TestTimestampSaturates(t *testing.T) {
	for _, pivot := range []int64{math.MaxInt64, math.MinInt64} {
		for _, ts := range []wire.Timestamp{0, 1, 1 << 63, math.MaxUint64, wire.TimestampAt(pivot)} {
			got := ts.Unix(pivot)
			if d := float64(got) - float64(pivot); math.Abs(d) > 69*366*86400e9 {
				t.Errorf("%#x near %d: %d", uint64(ts), pivot, got)
			}
		}
	}
}

func TestTimestampAgreesWithOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.Int64Range(0, unix("2036-02-07T06:28:15Z")).Draw(t, "at")
		sec, fraction := protocol.Time(time.Unix(0, at))
		oracle := wire.Timestamp(uint64(sec)<<32 | uint64(fraction))
		if d := int64(wire.TimestampAt(at) - oracle); d < 0 || d > 1 {
			t.Fatalf("differs by %d units of 2^-32 s", d)
		}
		if d := oracle.Unix(at) - protocol.Unix(sec, fraction).UnixNano(); d < 0 || d > 1 {
			t.Fatalf("differs by %d ns", d)
		}
	})
}

func TestShort(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want wire.Short
	}{
		{-1, 0}, {0, 0}, {1, 1}, {15259, 1<<0 + 1}, {time.Second, 1 << 16}, {time.Second + 1, 1<<16 + 1},
		{1<<16*time.Second - 1, math.MaxUint32}, {1 << 16 * time.Second, math.MaxUint32}, {math.MaxInt64, math.MaxUint32},
	} {
		if got := wire.ShortFrom(c.d); got != c.want {
			t.Errorf("%v: got %d, want %d", c.d, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := wire.Short(rapid.Uint32().Draw(t, "short"))
		if got := wire.ShortFrom(s.Duration()); got != s {
			t.Fatalf("%d became %d", s, got)
		}
	})
}

func TestLog2(t *testing.T) {
	for exponent, want := range map[int8]time.Duration{
		-128: 1, -30: 1, -29: 1, -20: 953, -4: 62500 * time.Microsecond, 0: time.Second, 6: 64 * time.Second,
		17: 131072 * time.Second, 32: 1 << 32 * time.Second, 127: 1 << 32 * time.Second,
	} {
		if got := wire.Log2(exponent); got != want {
			t.Errorf("2^%d s: got %v, want %v", exponent, got, want)
		}
	}
}
