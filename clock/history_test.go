// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// historyModel is a History in rational numbers that forgets nothing and looks at everything, latest first.
type historyModel []modelled

type modelled struct {
	start               int64
	correction, steered *big.Rat // at start; f/(1 + f)
}

func (s modelled) at(ns int64) *big.Rat {
	c := new(big.Rat).SetInt64(ns - s.start)
	return c.Add(c.Mul(c, s.steered), s.correction)
}

func (m historyModel) next(ns int64) modelled {
	if len(m) == 0 {
		return modelled{ns, new(big.Rat), new(big.Rat)}
	}
	last := m[len(m)-1]
	return modelled{ns, last.at(ns), last.steered}
}

const start = 1_700_000_000_000_000_000 // ns since 1970: what the clock reads at first

func ratio(f float64) *big.Rat { return new(big.Rat).SetFloat64(f) }

func (m *historyModel) setFrequency(at int64, ppb float64) {
	s := m.next(at)
	f := ratio(ppb)
	s.steered = new(big.Rat).Quo(f, new(big.Rat).Add(f, big.NewRat(1e9, 1)))
	*m = append(*m, s)
}

func (m *historyModel) step(at int64, d time.Duration) {
	s := m.next(at)
	if len(*m) == 0 {
		*m = append(*m, s)
	}
	s.start += int64(d)
	s.correction = new(big.Rat).Add(s.correction, new(big.Rat).SetInt64(int64(d)))
	*m = append(*m, s)
}

func (m historyModel) correction(at int64) (*big.Rat, bool) {
	for i := len(m) - 1; i >= 0; i-- {
		if m[i].start <= at {
			return m[i].at(at), true
		}
	}
	return nil, false
}

// difference returns whole + fraction − want in nanoseconds.
func difference(whole time.Duration, fraction float64, want *big.Rat) float64 {
	got := new(big.Rat).SetInt64(int64(whole))
	f, _ := got.Add(got, ratio(fraction)).Sub(got, want).Float64()
	return f
}

func TestHistoryIsItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ppb := rapid.OneOf(rapid.Float64Range(-100e6, 100e6), rapid.SampledFrom([]float64{0, 40_000, -40_000}))
		h, m := NewHistory(System, 64), historyModel{}
		at := int64(start)
		for range rapid.IntRange(1, 30).Draw(t, "changes") {
			at += rapid.Int64Range(-1e6, 3600e9).Draw(t, "later")
			if rapid.IntRange(0, 3).Draw(t, "kind") > 0 {
				f := ppb.Draw(t, "ppb")
				h.SetFrequency(At(System, at), f)
				m.setFrequency(at, f)
				continue
			}
			d := time.Duration(rapid.Int64Range(-1e13, 1e13).Draw(t, "step"))
			h.Step(At(System, at), d)
			m.step(at, d)
			at += int64(d)
		}
		ask := rapid.Int64Range(min(start, at)-1e10, max(start, at)+1e10)
		for range 20 {
			ns := ask.Draw(t, "ask")
			whole, fraction, ok := h.Correction(At(System, ns))
			want, wantOK := m.correction(ns)
			if ok != wantOK {
				t.Fatalf("at %d: ok %t, want %t", ns, ok, wantOK)
			}
			if ok && (math.Abs(difference(whole, fraction, want)) > 1e-3 || fraction < 0 || fraction >= 1) {
				t.Fatalf("at %d: %d + %g, want %s", ns, whole, fraction, want.FloatString(6))
			}
		}
	})
}

// The correction is what the disciplined clock reads less what the same oscillator would have counted unsteered.
func TestHistoryGivesTheTimeOfTheFreeOscillator(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := NewHistory(System, 4096)
		disciplined, free := new(big.Rat).SetInt64(start), new(big.Rat).SetInt64(start)
		for range rapid.IntRange(1, 300).Draw(t, "updates") {
			now := At(System, floor(disciplined))
			if d := rapid.Int64Range(-100, 20).Draw(t, "step"); d > 0 {
				h.Step(now, time.Duration(d)*time.Millisecond)
				disciplined.Add(disciplined, new(big.Rat).SetInt64(d*1e6))
				now = now.Add(time.Duration(d) * time.Millisecond)
			}
			ppb := rapid.Float64Range(-50_000, 50_000).Draw(t, "ppb")
			h.SetFrequency(now, ppb)
			span := new(big.Rat).SetInt64(rapid.Int64Range(1, 2e9).Draw(t, "span"))
			free.Add(free, span)
			rate := new(big.Rat).Add(big.NewRat(1, 1), new(big.Rat).Quo(ratio(ppb), big.NewRat(1e9, 1)))
			disciplined.Add(disciplined, rate.Mul(rate, span))
		}
		whole, fraction, ok := h.Correction(At(System, floor(disciplined)))
		want := new(big.Rat).Sub(disciplined, free)
		// Readings of whole nanoseconds make up to 1 ns × 5e-5 for each of 300 changes.
		if err := difference(whole, fraction, want); !ok || math.Abs(err) > 0.02 {
			t.Fatalf("%d + %g, %t: off by %g ns", whole, fraction, ok, err)
		}
	})
}

func floor(r *big.Rat) int64 { return new(big.Int).Div(r.Num(), r.Denom()).Int64() }

func correction(t *testing.T, h *History, ns int64) float64 {
	t.Helper()
	whole, fraction, ok := h.Correction(At(System, ns))
	if !ok {
		t.Fatalf("nothing known of %d", ns)
	}
	return float64(whole) + fraction
}

func TestHistoryUnderstandsReadingsAroundSteps(t *testing.T) {
	h := NewHistory(System, 16)
	h.SetFrequency(At(System, 0), 0)
	h.Step(At(System, 1000), 500)  // goes on from 1500
	h.Step(At(System, 3000), -600) // goes on from 2400
	for _, c := range []struct {
		at   int64
		want float64
	}{
		{0, 0}, {999, 0},
		{1000, 0}, {1499, 0}, // left out
		{1500, 500}, {2399, 500},
		{2400, -100}, {2999, -100}, // twice: the second time counts
		{3000, -100}, {5000, -100},
	} {
		if got := correction(t, h, c.at); got != c.want {
			t.Errorf("at %d: %g, want %g", c.at, got, c.want)
		}
	}
	if _, _, ok := h.Correction(At(System, -1)); ok {
		t.Error("knows what was before the first record")
	}
}

func TestHistoryBeginsWithAStep(t *testing.T) {
	h := NewHistory(System, 16)
	h.Step(At(System, 100), 1_700_000_000*time.Second)
	if got := correction(t, h, 100); got != 0 {
		t.Errorf("before the step %g", got)
	}
	if got, _, ok := h.Correction(At(System, 1_700_000_000_000_000_100)); got != 1_700_000_000*time.Second || !ok {
		t.Errorf("after the step %d, %t", got, ok)
	}
}

func TestHistoryForgetsTheOldest(t *testing.T) {
	const capacity = 8
	h, all := NewHistory(System, capacity), NewHistory(System, 1000)
	for i := range int64(100) {
		for _, h := range []*History{h, all} {
			h.SetFrequency(At(System, i*1e9), float64(i)*1000)
		}
	}
	for i := range int64(100) {
		whole, fraction, ok := h.Correction(At(System, i*1e9+7))
		if ok != (i >= 100-capacity) {
			t.Errorf("second %d: known %t", i, ok)
		}
		if want := correction(t, all, i*1e9+7); ok && float64(whole)+fraction != want {
			t.Errorf("second %d: %d + %g, want %g", i, whole, fraction, want)
		}
	}
}

func TestHistoryTakesTheSameFrequencyForNoChange(t *testing.T) {
	h := NewHistory(System, 2)
	for i := range int64(100) {
		h.SetFrequency(At(System, i*1e9), 1000)
	}
	if got := correction(t, h, 1e9); math.Abs(got-999.999) > 1e-6 {
		t.Errorf("after a second %g", got)
	}
}

func TestHistoryIsOfOneClock(t *testing.T) {
	h := NewHistory(PHC(0), 4)
	h.SetFrequency(At(System, 0), 1e6)
	h.Step(At(PHC(1), 0), 5)
	h.SetFrequency(At(PHC(0), 0), math.NaN())
	if _, _, ok := h.Correction(At(PHC(0), 10)); ok {
		t.Error("took records of other clocks, or no frequency for one")
	}
	h.SetFrequency(At(PHC(0), 0), 0)
	if _, _, ok := h.Correction(At(System, 10)); ok {
		t.Error("answers for another clock")
	}
	if _, _, ok := h.Correction(At(PHC(0), 10)); !ok {
		t.Error("does not answer for its own")
	}
}

func TestHistoryTakesAnyFrequency(t *testing.T) {
	for _, ppb := range []float64{math.Inf(1), math.Inf(-1), 999_999_881, -999_999_881, -1e9, 1e300} {
		h := NewHistory(System, 4)
		h.SetFrequency(At(System, 0), ppb)
		f := min(max(ppb, -499_999_999), 999_999_999) / 1e9
		if got, want := correction(t, h, 1e9), 1e9*f/(1+f); math.Abs(got-want) > 1e-6 {
			t.Errorf("%g ppb: %g after a second, want %g", ppb, got, want)
		}
	}
}

func TestHistoryAllocatesNothing(t *testing.T) {
	h := NewHistory(System, 128)
	at := At(System, start)
	if n := testing.AllocsPerRun(1000, func() {
		at = at.Add(time.Second)
		h.SetFrequency(at, float64(at.Nanoseconds()%777))
		h.Step(at.Add(1), 1)
		if _, _, ok := h.Correction(at); !ok {
			t.Fatal("nothing known of the latest record")
		}
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkHistoryCorrection(b *testing.B) {
	h := NewHistory(System, 4096)
	for i := range int64(4096) {
		h.SetFrequency(At(System, i*1e9), float64(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		h.Correction(At(System, 2048e9+5))
	}
}
