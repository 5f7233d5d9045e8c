// SPDX-License-Identifier: Apache-2.0

package sysclock

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"pgregory.net/rapid"
)

// twoClocks are a raw clock and CLOCK_REALTIME that stand still unless moved, and take reading nanoseconds to be read.
type twoClocks struct {
	raw, realtime int64
	reading       int64
	err           error
}

func (c *twoClocks) config(offset time.Duration, ppb float64) VirtualConfig {
	return VirtualConfig{
		Offset: offset, FrequencyError: ppb,
		Raw:      func() (int64, error) { c.pass(c.reading); return c.raw, c.err },
		Realtime: func() (int64, error) { c.pass(c.reading); return c.realtime, c.err },
	}
}

func (c *twoClocks) pass(ns int64) { c.raw += ns; c.realtime += ns }

func newVirtual(t interface{ Fatal(...any) }, c VirtualConfig) *Virtual {
	v, err := NewVirtual(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func reading(t interface{ Fatal(...any) }, v clock.Clock) int64 {
	now, err := v.Now()
	if err != nil {
		t.Fatal(err)
	}
	return now.Nanoseconds()
}

const start = 1_700_000_000_000_000_000

func TestVirtualStartsAtRealtimePlusOffset(t *testing.T) {
	c := &twoClocks{raw: 5_000, realtime: start}
	v := newVirtual(t, c.config(80*time.Millisecond, 40_000))
	if got := reading(t, v); got != start+80_000_000 {
		t.Errorf("starts at %d", got)
	}
	c.pass(1e9)
	if got := reading(t, v); got != start+80_000_000+1_000_040_000 {
		t.Errorf("a second later at %d", got)
	}
	if v.ID() != clock.System || v.Name() != "virtual" || v.Scale() != clock.UTC || v.MaxFrequency() != 100e6 {
		t.Error("not a clock that stands for the system clock")
	}
}

func TestVirtualFrequencyAddsToThatOfTheOscillator(t *testing.T) {
	c := &twoClocks{raw: 5_000, realtime: start}
	v := newVirtual(t, c.config(0, 40_000))
	if err := v.SetFrequency(-40_000); err != nil {
		t.Fatal(err)
	}
	before := reading(t, v)
	c.pass(1e12)
	// (1 + 4e-5)(1 − 4e-5) = 1 − 1.6e-9
	if got := reading(t, v) - before; got != 1e12-1600 {
		t.Errorf("1000 s took %d ns", got)
	}
	if f, err := v.Frequency(); f != -40_000 || err != nil {
		t.Errorf("frequency %g, %v", f, err)
	}
}

func TestVirtualStepsExactly(t *testing.T) {
	c := &twoClocks{raw: 5_000, realtime: start}
	v := newVirtual(t, c.config(0, 0))
	for _, d := range []time.Duration{1, -1, 1_700_000_000*time.Second + 1, -1_700_000_000*time.Second - 7} {
		before := reading(t, v)
		if err := v.Step(d); err != nil {
			t.Fatal(err)
		}
		if got := reading(t, v) - before; got != int64(d) {
			t.Errorf("step of %d moved it by %d", d, got)
		}
	}
}

// virtualModel is the virtual clock in rational numbers.
type virtualModel struct{ ns, oscillator, steering *big.Rat }

func ratio(f float64) *big.Rat { return new(big.Rat).SetFloat64(f) }

func (m *virtualModel) pass(ns int64) {
	one := big.NewRat(1, 1)
	rate := new(big.Rat).Mul(new(big.Rat).Add(one, m.oscillator), new(big.Rat).Add(one, m.steering))
	m.ns.Add(m.ns, rate.Mul(rate, new(big.Rat).SetInt64(ns)))
}

// apart returns |ns − want| in nanoseconds.
func apart(ns int64, want *big.Rat) float64 {
	f, _ := new(big.Rat).Sub(want, new(big.Rat).SetInt64(ns)).Float64()
	return math.Abs(f)
}

func TestVirtualKeepsPhaseOverDaysOfSteering(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ppb := rapid.Float64Range(-200_000, 200_000)
		c := &twoClocks{raw: rapid.Int64Range(0, 1e15).Draw(t, "raw"), realtime: start}
		oscillator := ppb.Draw(t, "oscillator")
		v := newVirtual(t, c.config(0, oscillator))
		m := virtualModel{new(big.Rat).SetInt64(start), ratio(oscillator / 1e9), new(big.Rat)}
		for range rapid.IntRange(1, 200).Draw(t, "changes") {
			span := rapid.Int64Range(0, 86_400e9).Draw(t, "span")
			c.pass(span)
			m.pass(span)
			if got := reading(t, v); apart(got, m.ns) > 1.1 {
				t.Fatalf("reads %d, should read %s", got, m.ns.FloatString(3))
			}
			f := ppb.Draw(t, "frequency")
			before := reading(t, v)
			if err := v.SetFrequency(f); err != nil {
				t.Fatal(err)
			}
			if got := reading(t, v); got != before {
				t.Fatalf("a change of frequency moved the clock from %d to %d", before, got)
			}
			m.steering = ratio(f / 1e9)
		}
	})
}

func TestVirtualGainsNothingFromFrequentChanges(t *testing.T) {
	c := &twoClocks{raw: 5_000, realtime: start}
	v := newVirtual(t, c.config(0, 12_345.678))
	m := virtualModel{new(big.Rat).SetInt64(start), ratio(12_345.678 / 1e9), ratio(-7.7e-9)}
	if err := v.SetFrequency(-7.7); err != nil {
		t.Fatal(err)
	}
	const spans, span = 100_000, 864_007
	for range spans {
		c.pass(span)
		if err := v.SetFrequency(-7.7); err != nil {
			t.Fatal(err)
		}
	}
	m.pass(spans * span)
	if got := reading(t, v); apart(got, m.ns) > 1 {
		t.Errorf("reads %d, should read %s", got, m.ns.FloatString(3))
	}
}

func TestVirtualRefusesFrequenciesOutOfRange(t *testing.T) {
	c := &twoClocks{raw: 5_000, realtime: start}
	v := newVirtual(t, c.config(0, 0))
	for _, ppb := range []float64{100e6 + 1, -100e6 - 1, math.Inf(1), math.NaN()} {
		if err := v.SetFrequency(ppb); !errors.Is(err, clock.ErrRange) {
			t.Errorf("%g ppb: %v", ppb, err)
		}
		if _, err := NewVirtual(c.config(0, ppb)); !errors.Is(err, clock.ErrRange) {
			t.Errorf("oscillator %g ppb: %v", ppb, err)
		}
	}
}

func TestVirtualFromRealtimeKnowsPastSteering(t *testing.T) {
	c := &twoClocks{raw: 5_000, realtime: start}
	v := newVirtual(t, c.config(0, 0))
	c.pass(1e9) // reads start + 1 s, then goes 1 % fast
	if err := v.SetFrequency(10e6); err != nil {
		t.Fatal(err)
	}
	c.pass(1e9) // reads start + 2.01 s, then 1 h more
	if err := v.Step(time.Hour); err != nil {
		t.Fatal(err)
	}
	c.pass(1e9)
	for _, k := range []struct{ ago, want int64 }{
		{0, 3_020_000_000 + 3600e9},
		{500_000_000, 2_515_000_000 + 3600e9},
		{1_000_000_000, 2_010_000_000 + 3600e9},
		{1_500_000_000, 1_505_000_000},
		{2_500_000_000, 500_000_000},
		{3_500_000_000, -500_000_000}, // before the clock was made
		{-1_000, 3_020_001_010 + 3600e9},
	} {
		at, err := v.FromRealtime(c.realtime - k.ago)
		if err != nil || at.Clock() != clock.System || at.Nanoseconds() != start+k.want {
			t.Errorf("%d ns ago: start + %d, %v, want start + %d", k.ago, at.Nanoseconds()-start, err, k.want)
		}
	}
}

func TestVirtualFromRealtimeTakesTheMiddleOfItsWindow(t *testing.T) {
	c := &twoClocks{raw: 5_000, realtime: start}
	v := newVirtual(t, c.config(time.Second, 0))
	c.reading = 400
	stamp := c.realtime - 77_777
	at, err := v.FromRealtime(stamp)
	if err != nil {
		t.Fatal(err)
	}
	if got := at.Nanoseconds() - stamp; got != 1e9 {
		t.Errorf("differs by %d ns from CLOCK_REALTIME instead of 1 s", got)
	}
}

func TestVirtualFromRealtimeTakesTheTightestWindow(t *testing.T) {
	for _, k := range []struct {
		name    string
		windows []int64 // CLOCK_REALTIME is read at the beginning of each
		left    int     // not read any more
		off     int64   // half of the tightest window
	}{
		{"tight at once", []int64{0, 50_000}, 1, 0},
		{"tight at last", []int64{50_000, 50_000, 1_000}, 0, 500},
		{"tightest in the middle", []int64{50_000, 40_000, 3_000, 50_000, 60_000, 1}, 1, 1_500},
	} {
		c := &twoClocks{raw: 5_000, realtime: start}
		var windows []int64
		config := c.config(0, 0)
		realtime := config.Realtime
		disturb := false
		config.Realtime = func() (int64, error) { disturb = true; return realtime() }
		config.Raw = func() (int64, error) {
			if disturb && len(windows) > 0 {
				c.pass(windows[0])
				windows = windows[1:]
			}
			return c.raw, nil
		}
		v := newVirtual(t, config)
		windows = k.windows
		disturb = false
		stamp := c.realtime
		at, err := v.FromRealtime(stamp)
		if err != nil {
			t.Fatal(err)
		}
		if got := at.Nanoseconds() - stamp; got != k.off || len(windows) != k.left {
			t.Errorf("%s: %d ns after CLOCK_REALTIME, want %d; %d windows left, want %d", k.name, got, k.off, len(windows), k.left)
		}
	}
}

func TestVirtualFromRealtimeRefusesOtherTimes(t *testing.T) {
	c := &twoClocks{raw: 5_000, realtime: start}
	v := newVirtual(t, c.config(0, 0))
	c.pass(60e9)
	for _, ago := range []int64{10e9 + 1, -1e6 - 1, start, math.MinInt64 + start} {
		if at, err := v.FromRealtime(c.realtime - ago); !errors.Is(err, clock.ErrRange) {
			t.Errorf("%d ns ago: %v, %v", ago, at, err)
		}
	}
	for range virtualPast {
		c.pass(1e6)
		if err := v.Step(1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := v.FromRealtime(c.realtime - (virtualPast-1)*1e6); err != nil {
		t.Errorf("at the oldest change remembered: %v", err)
	}
	if at, err := v.FromRealtime(c.realtime - (virtualPast-1)*1e6 - 1); !errors.Is(err, clock.ErrRange) {
		t.Errorf("before it: %v, %v", at, err)
	}
}

func TestVirtualPassesErrorsOn(t *testing.T) {
	c := &twoClocks{raw: 5_000, realtime: start}
	v := newVirtual(t, c.config(0, 0))
	c.err = errors.New("forbidden")
	_, now := v.Now()
	_, from := v.FromRealtime(start)
	_, made := NewVirtual(c.config(0, 0))
	for op, err := range map[string]error{
		"read": now, "compare": from, "compare virtual": made, "step": v.Step(1), "set frequency": v.SetFrequency(1),
	} {
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v does not wrap the cause", op, err)
		} else if text := err.Error(); !strings.Contains(text, op) || !strings.Contains(text, "virtual") {
			t.Errorf("%s: %q", op, text)
		}
	}
}

func TestVirtualOverTheRealClocks(t *testing.T) {
	v := newVirtual(t, VirtualConfig{Offset: -time.Hour})
	realtime, err := NewRealtime().Now()
	if err != nil {
		t.Fatal(err)
	}
	at, err := v.FromRealtime(realtime.Nanoseconds())
	if err != nil {
		t.Fatal(err)
	}
	if got := at.Nanoseconds() - realtime.Nanoseconds() + int64(time.Hour); got < -int64(time.Second) ||
		got > int64(time.Second) {
		t.Errorf("%d ns off an hour behind CLOCK_REALTIME", got)
	}
	if n := testing.AllocsPerRun(100, func() {
		for _, err := range [...]error{v.SetFrequency(3), v.Step(1)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		now, err := v.Now()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.FromRealtime(now.Nanoseconds() + int64(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func TestVirtualForManyGoroutines(t *testing.T) {
	v := newVirtual(t, VirtualConfig{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			last := int64(0)
			for n := range 200 {
				if err := v.SetFrequency(float64(i*n) * 1000); err != nil {
					t.Error(err)
				}
				now, err := v.Now()
				if err != nil || now.Nanoseconds() < last {
					t.Errorf("%v after %d, %v", now, last, err)
				}
				last = now.Nanoseconds()
			}
		})
	}
	wg.Wait()
}

func BenchmarkVirtualFromRealtime(b *testing.B) {
	v := newVirtual(b, VirtualConfig{})
	b.ReportAllocs()
	for b.Loop() {
		now, err := readRealtime()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := v.FromRealtime(now); err != nil {
			b.Fatal(err)
		}
	}
}
