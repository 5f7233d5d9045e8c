// SPDX-License-Identifier: Apache-2.0

package phc_test

import (
	"encoding/binary"
	"errors"
	"math"
	"math/big"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/phc"
	"github.com/lockstep-time/lockstep/phc/phctest"
)

func TestCompareMethods(t *testing.T) {
	all := []clock.Method{clock.Precise, clock.Extended, clock.Basic}
	for i, want := range all {
		w := newWorld()
		f := phctest.New(phctest.Config{Index: 2, Now: w.Now, System: func() int64 { return w.now - 37e9 }, Start: 250,
			Window: 400, Methods: all[i:]})
		c, err := f.Compare(10)
		if err != nil {
			t.Fatalf("%v: %v", want, err)
		}
		if c.Method != want || c.A.Clock() != clock.PHC(2) || c.B.Clock() != clock.System {
			t.Errorf("%v: %+v", want, c)
		}
		if off := c.A.Nanoseconds() - c.B.Nanoseconds(); off != 37e9+250 {
			t.Errorf("%v: offset %d", want, off)
		}
		if want != clock.Precise && c.Uncertainty != 200 {
			t.Errorf("%v: uncertainty %v", want, c.Uncertainty)
		}
	}
}

func TestCompareNone(t *testing.T) {
	f := phctest.New(phctest.Config{Now: newWorld().Now, Methods: []clock.Method{clock.Software}})
	if _, err := f.Compare(5); !errors.Is(err, clock.ErrNotSupported) {
		t.Errorf("%v", err)
	}
	for _, n := range []int{0, -1, phc.MaxReadings + 1} {
		if _, err := f.Compare(n); !errors.Is(err, clock.ErrRange) {
			t.Errorf("%d readings: %v", n, err)
		}
	}
}

// The methods that do not work are tried once only.
func TestCompareProbesOnce(t *testing.T) {
	for _, errno := range []error{unix.EOPNOTSUPP, unix.ENOTTY, unix.EINVAL, unix.ENODEV} {
		calls := map[phctest.Call]int{}
		f := phctest.New(phctest.Config{Now: newWorld().Now, Methods: []clock.Method{clock.Precise, clock.Extended, clock.Basic},
			Fault: func(c phctest.Call) error {
				calls[c]++
				if c == phctest.CallPrecise || c == phctest.CallExtended && !errors.Is(errno, unix.ENODEV) {
					return errno
				}
				return nil
			}})
		want := clock.Basic
		if errors.Is(errno, unix.ENODEV) { // PRECISE without the right clock source; EXTENDED answers
			want = clock.Extended
		}
		for range 3 {
			c, err := f.Compare(5)
			if err != nil || c.Method != want {
				t.Fatalf("%v: %v, %v", errno, c.Method, err)
			}
		}
		if calls[phctest.CallPrecise] != 1 || want == clock.Basic && calls[phctest.CallExtended] != 1 {
			t.Errorf("%v: %v", errno, calls)
		}
	}
}

// A failure that may pass costs the method only that one comparison.
func TestCompareTransientPrecise(t *testing.T) {
	f := phctest.New(phctest.Config{Now: newWorld().Now, Methods: []clock.Method{clock.Precise, clock.Extended},
		Fault: failing(phctest.CallPrecise, 1, unix.ETIMEDOUT)})
	for _, want := range []clock.Method{clock.Extended, clock.Precise} {
		if c, err := f.Compare(5); err != nil || c.Method != want {
			t.Errorf("%v, %v; want %v", c.Method, err, want)
		}
	}
}

func TestCompareGone(t *testing.T) {
	f := phctest.New(phctest.Config{Now: newWorld().Now, Fault: func(phctest.Call) error { return unix.ENODEV },
		Methods: []clock.Method{clock.Precise, clock.Extended}})
	if _, err := f.Compare(5); !errors.Is(err, clock.ErrGone) {
		t.Errorf("%v", err)
	}
}

// The mean of the tightest readings beats the shift that comes with wide windows.
func TestCompareAsymmetry(t *testing.T) {
	w := newWorld()
	f := phctest.New(phctest.Config{Now: w.Now, Rand: seeded(), Window: 330, Latency: 200, Asymmetry: 0.27, WhitePhase: 8})
	var sum, squares float64
	const n = 200
	for range n {
		w.advance(time.Second)
		c, err := f.Compare(phc.MaxReadings)
		if err != nil {
			t.Fatal(err)
		}
		e := float64(c.A.Nanoseconds() - c.B.Nanoseconds())
		sum += e
		squares += e * e
	}
	if mean, rms := sum/n, math.Sqrt(squares/n); mean > 10 || rms > 14 {
		t.Errorf("mean %.1f ns, rms %.1f ns", mean, rms)
	}
}

func TestReduceSetBack(t *testing.T) {
	if _, _, _, ok := phc.Reduce([]phc.Reading{{10, 5, 0}}); ok {
		t.Error("a reading without a window was used")
	}
	if _, _, _, ok := phc.Reduce(nil); ok {
		t.Error("no readings were used")
	}
	device, other, u, ok := phc.Reduce([]phc.Reading{{10, 5, 0}, {100, 7, 110}})
	if !ok || device != 7 || other != 105 || u != 5 {
		t.Errorf("%d %d %v %v", device, other, u, ok)
	}
}

// The mean is never off by more than is stated, wherever in its window each device was read.
func TestReduceBoundsItsError(t *testing.T) {
	const truth = 37_000_000_000
	rapid.Check(t, func(t *rapid.T) {
		readings := make([]phc.Reading, rapid.IntRange(1, phc.MaxReadings).Draw(t, "n"))
		end := rapid.Bool().Draw(t, "all at the end")
		for i := range readings {
			before, window := int64(i)*5000, rapid.Int64Range(800, 900).Draw(t, "window")
			read := window
			if !end {
				read = rapid.Int64Range(0, window).Draw(t, "read")
			}
			readings[i] = phc.Reading{before, before + read + truth, before + window}
		}
		device, other, u, ok := phc.Reduce(readings)
		if off := time.Duration(device - other - truth).Abs(); !ok || off > u || u > 450 {
			t.Fatalf("off by %v, stated %v", off, u)
		}
	})
}

// A and B are a pair: with readings of one offset, whatever their instants, the difference is that offset.
func TestReduceIsConsistent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		offset := rapid.Int64Range(-4e18, 4e18).Draw(t, "offset")
		base := rapid.Int64Range(0, 4e18).Draw(t, "base")
		half := rapid.Int64Range(0, 1000).Draw(t, "half window")
		n := rapid.IntRange(1, phc.MaxReadings).Draw(t, "n")
		readings := make([]phc.Reading, n)
		for i := range readings {
			at := base + int64(i)*rapid.Int64Range(1, 5000).Draw(t, "step")
			readings[i] = phc.Reading{at - half, at + offset, at + half}
		}
		device, other, u, ok := phc.Reduce(readings)
		if !ok || device-other != offset || u != time.Duration(max(1, half)) {
			t.Fatalf("%d, %v, %v", device-other, u, ok)
		}
	})
}

// FuzzReduce compares what Reduce says of readings within 2^55 ns of 0, a year, with the exact means. Of all others it
// demands no more than an uncertainty: their differences do not fit into an int64.
func FuzzReduce(f *testing.F) {
	f.Add(make([]byte, 24))
	f.Add(binary.LittleEndian.AppendUint64(make([]byte, 40), math.MaxInt64))
	f.Add([]byte("0000000\x00000000000000000x")) // a window that an eighth more of does not fit into an int64
	f.Fuzz(func(t *testing.T, b []byte) {
		var readings, near []phc.Reading
		for ; len(b) >= 24 && len(readings) < phc.MaxReadings; b = b[24:] {
			r := phc.Reading{int64(binary.LittleEndian.Uint64(b)),
				int64(binary.LittleEndian.Uint64(b[8:])), int64(binary.LittleEndian.Uint64(b[16:]))}
			readings = append(readings, r)
			near = append(near, phc.Reading{r.Before >> 8, r.Device >> 8, r.After >> 8})
		}
		if _, _, u, ok := phc.Reduce(readings); ok && u < 1 {
			t.Errorf("uncertainty %v", u)
		}
		requireMeans(t, near)
	})
}

// requireMeans checks Reduce against sums that are rounded nowhere.
func requireMeans(t *testing.T, readings []phc.Reading) {
	t.Helper()
	narrowest := int64(math.MaxInt64)
	for _, r := range readings {
		if w := r.After - r.Before; w >= 0 {
			narrowest = min(narrowest, w)
		}
	}
	var n int64
	devices, middles, windows := new(big.Rat), new(big.Rat), new(big.Rat)
	for _, r := range readings {
		if w := r.After - r.Before; w >= 0 && w <= narrowest+narrowest/32 {
			n++
			devices.Add(devices, new(big.Rat).SetInt64(r.Device))
			middles.Add(middles, big.NewRat(r.Before+r.After, 2))
			windows.Add(windows, new(big.Rat).SetInt64(w))
		}
	}
	device, other, u, ok := phc.Reduce(readings)
	if ok != (n > 0) {
		t.Fatalf("ok %v, with %d readings that have a window", ok, n)
	}
	if !ok {
		return
	}
	// Rounded once: the middle by 1/2 ns, and the offset, which the device's is made of, by as much again.
	offBy := func(got int64, sum *big.Rat, parts int64) float64 {
		mean := new(big.Rat).Quo(sum, new(big.Rat).SetInt64(parts))
		off, _ := mean.Sub(new(big.Rat).SetInt64(got), mean).Float64()
		return off
	}
	offset := new(big.Rat).Sub(devices, middles)
	if off := offBy(device-other, offset, n); math.Abs(off) > 0.5 {
		t.Errorf("the offset is off by %g ns", off)
	}
	if off := offBy(other, middles, n); math.Abs(off) > 0.5 {
		t.Errorf("the other clock is off by %g ns", off)
	}
	if off := offBy(device, devices, n); math.Abs(off) > 1 {
		t.Errorf("the device is off by %g ns", off)
	}
	if off := offBy(int64(u), windows, 2*n); off < 0 || off > 1 {
		t.Errorf("the uncertainty exceeds half of the mean window by %g ns", off)
	}
}

func TestReadings(t *testing.T) {
	w := newWorld()
	f := phctest.New(phctest.Config{Now: w.Now, System: func() int64 { return w.now - 5 }, Start: 100, Window: 10})
	dst := make([]phc.Reading, 40)
	n, err := f.Readings(unix.CLOCK_MONOTONIC_RAW, dst)
	if err != nil || n != phc.MaxReadings || dst[0].Device-(dst[0].Before+dst[0].After)/2 != 100 {
		t.Errorf("%d, %v, %+v", n, err, dst[0])
	}
	old := phctest.New(phctest.Config{Now: w.Now, Fault: failing(phctest.CallExtended, 1, unix.EINVAL)})
	if _, err := old.Readings(unix.CLOCK_MONOTONIC, dst); !errors.Is(err, clock.ErrNotSupported) {
		t.Errorf("older kernel: %v", err)
	}
}

func TestProbeMethods(t *testing.T) {
	f := phctest.New(phctest.Config{Now: newWorld().Now, Window: 330, Methods: []clock.Method{clock.Extended}})
	p := f.ProbeMethods()
	if len(p) != 3 || p[1].Err != nil || p[1].Window != 330 {
		t.Fatalf("%+v", p)
	}
	for _, i := range []int{0, 2} {
		if !errors.Is(p[i].Err, clock.ErrNotSupported) {
			t.Errorf("%v: %v", p[i].Method, p[i].Err)
		}
	}
}

// Time passes between the three comparisons, and the first clock is fast: neither shows.
func TestBetween(t *testing.T) {
	w := newWorld()
	tick := func() int64 { w.now += 1_000_000; return w.now }
	a := phctest.New(phctest.Config{Index: 0, Now: w.Now, System: tick, Frequency: 50000, Start: time.Hour, Window: 20})
	b := phctest.New(phctest.Config{Index: 1, Now: w.Now, System: tick, Frequency: -20000, Window: 20})
	c, err := phc.Between(a, b, 1)
	if err != nil {
		t.Fatal(err)
	}
	off := time.Duration(c.A.Nanoseconds() - c.B.Nanoseconds())
	want := a.Error() - b.Error()
	if (off - want).Abs() > 100 { // a ran on by 1 ms at 50 ppm since
		t.Errorf("offset %v, want %v", off, want)
	}
	if c.A.Clock() != clock.PHC(0) || c.B.Clock() != clock.PHC(1) || c.Uncertainty != 20 {
		t.Errorf("%+v", c)
	}
}
