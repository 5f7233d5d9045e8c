// SPDX-License-Identifier: Apache-2.0

package sysclock

import (
	"errors"
	"io/fs"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func fakeRealtime() (*Realtime, *fakeKernel) {
	k := newFakeKernel()
	return &Realtime{kernel: k}, k
}

// lastCall fails unless exactly n system calls have been made, and returns the last as it was made.
func lastCall(t *testing.T, k *fakeKernel, n int) unix.Timex {
	t.Helper()
	if len(k.calls) != n {
		t.Fatalf("%d system calls, want %d: %+v", len(k.calls), n, k.calls)
	}
	return k.calls[n-1]
}

func TestRealtimeStepWritesNormalisedNanoseconds(t *testing.T) {
	for _, c := range []struct {
		d       time.Duration
		sec, ns int64
	}{
		{1, 0, 1},
		{-1, -1, 999_999_999},
		{-time.Second, -1, 0},
		{37 * time.Second, 37, 0},
		{1_700_000_000*time.Second + 1, 1_700_000_000, 1},
		{-1_700_000_000*time.Second - 1, -1_700_000_001, 999_999_999},
		{-1_699_999_999*time.Second - 123_456_789, -1_700_000_000, 876_543_211},
	} {
		r, k := fakeRealtime()
		before := k.ns
		if err := r.Step(c.d); err != nil {
			t.Fatalf("%d ns: %v", c.d, err)
		}
		want := unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO}
		set(&want.Time.Sec, c.sec)
		set(&want.Time.Usec, c.ns)
		if got := lastCall(t, k, 1); got != want {
			t.Errorf("%d ns: wrote %+v, want %+v", c.d, got, want)
		}
		if got := k.ns - before; got != int64(c.d) {
			t.Errorf("%d ns: the clock moved by %d", c.d, got)
		}
	}
}

func TestRealtimeStepIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, k := fakeRealtime()
		before := k.ns
		d := rapid.Int64Range(-before, math.MaxInt32*1e9).Draw(t, "d")
		if err := r.Step(time.Duration(d)); err != nil {
			t.Fatal(err)
		}
		if got := k.ns - before; got != d {
			t.Fatalf("moved by %d instead of %d", got, d)
		}
	})
}

func TestRealtimeStepByNothingLeavesTheKernelAlone(t *testing.T) {
	r, k := fakeRealtime()
	if err := r.Step(0); err != nil || len(k.calls) != 0 {
		t.Errorf("%v, %d system calls", err, len(k.calls))
	}
}

func TestRealtimeErrorsNameOperationAndClock(t *testing.T) {
	r, k := fakeRealtime()
	if err := r.Step(-2e9 * time.Second); !errors.Is(err, clock.ErrRange) || !errors.Is(err, unix.EINVAL) {
		t.Errorf("step before 1970: %v", err)
	}
	k.err = unix.EPERM
	_, now := r.Now()
	_, frequency := r.Frequency()
	for op, err := range map[string]error{
		"step": r.Step(1), "set frequency": r.SetFrequency(1), "set errors": r.SetStatus(clock.Status{}),
		"read CLOCK_REALTIME": now, "read state": frequency,
	} {
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v does not wrap the cause", op, err)
			continue
		}
		if text := err.Error(); !strings.Contains(text, op) || !strings.Contains(text, "CLOCK_REALTIME") {
			t.Errorf("%s: %q", op, text)
		}
	}
}

func TestRealtimeFrequency(t *testing.T) {
	for _, c := range []struct {
		ppb        float64
		tick, freq int64
	}{
		{0, 10_000, 0},
		{1000, 10_000, 1 << 16},
		{-1, 10_000, -66},
		{500_000, 10_000, 500 << 16},
		{-500_000, 10_000, -500 << 16},
		{500_001, 10_005, 66},
		{-1_230_000, 9988, -30 << 16},
		{100e6, 11_000, 0},
		{-100e6, 9000, 0},
		{99_999_000, 11_000, -1 << 16},
	} {
		r, k := fakeRealtime()
		k.tick = 10_007 // of somebody else
		if err := r.SetFrequency(c.ppb); err != nil {
			t.Fatalf("%g ppb: %v", c.ppb, err)
		}
		want := unix.Timex{Modes: unix.ADJ_FREQUENCY | unix.ADJ_TICK}
		set(&want.Tick, c.tick)
		set(&want.Freq, c.freq)
		if got := lastCall(t, k, 1); got != want {
			t.Errorf("%g ppb: wrote %+v, want %+v", c.ppb, got, want)
		}
		got, err := r.Frequency()
		if err != nil || math.Abs(got-c.ppb) > 0.0077 {
			t.Errorf("%g ppb read back as %g, %v", c.ppb, got, err)
		}
	}
}

func TestRealtimeRefusesFrequenciesOutOfRange(t *testing.T) {
	for _, ppb := range []float64{100e6 + 1, -100e6 - 1, math.Inf(1), math.Inf(-1), math.NaN()} {
		r, k := fakeRealtime()
		if err := r.SetFrequency(ppb); !errors.Is(err, clock.ErrRange) || len(k.calls) != 0 {
			t.Errorf("%g ppb: %v, %d system calls", ppb, err, len(k.calls))
		}
	}
}

func TestRealtimeReadsTheRealKernel(t *testing.T) {
	r := NewRealtime()
	before := time.Now().UnixNano()
	now, err := r.Now()
	if err != nil {
		t.Fatal(err)
	}
	if ns := now.Nanoseconds(); now.Clock() != clock.System || ns < before-int64(time.Second) ||
		ns > time.Now().UnixNano()+int64(time.Second) {
		t.Errorf("reads %v, the runtime %d", now, before)
	}
	k, err := r.ReadKernel()
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(k.Frequency) > maxPPB+timexMaxPPB || k.MaxError < 0 || k.MaxError > 16*time.Second {
		t.Errorf("impossible state %+v", k)
	}
	if f, err := r.Frequency(); err != nil || math.Abs(f-k.Frequency) > 10_000 {
		t.Errorf("frequency %g, %v, and a moment before %g", f, err, k.Frequency)
	}
	if r.ID() != clock.System || r.Name() != "CLOCK_REALTIME" || r.Scale() != clock.UTC || r.MaxFrequency() != 100e6 {
		t.Error("not the system clock")
	}
}

func TestRealtimeAllocatesNothing(t *testing.T) {
	r := NewRealtime()
	if n := testing.AllocsPerRun(100, func() {
		if _, err := r.Now(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.ReadKernel(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("reading the kernel: %g allocations", n)
	}
	r, k := fakeRealtime()
	k.calls = make([]unix.Timex, 0, 2)
	if n := testing.AllocsPerRun(100, func() {
		for _, err := range [...]error{r.SetFrequency(12.5), r.Step(-3), r.SetStatus(clock.Status{Synchronized: true})} {
			if err != nil {
				t.Fatal(err)
			}
			k.calls = k.calls[:0]
		}
	}); n != 0 {
		t.Errorf("steering: %g allocations", n)
	}
}

func TestMonotonicGoesOn(t *testing.T) {
	last := Monotonic()
	for range 1000 {
		now := Monotonic()
		if now < last {
			t.Fatalf("%d after %d", now, last)
		}
		last = now
	}
	if last <= 0 {
		t.Errorf("reads %d", last)
	}
}
