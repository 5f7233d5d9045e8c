// SPDX-License-Identifier: Apache-2.0

package estimate

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// TestEstimatorStaysFinite feeds it with anything that can be measured: no result is ever infinite or not a number.
func TestEstimatorStaysFinite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e, time := New(), int64(0)
		if rapid.Bool().Draw(t, "known frequency") {
			e.SetFrequency(rapid.Float64Range(-5e5, 5e5).Draw(t, "ppb"), 2000)
		}
		log := rapid.IntRange(-7, 17).Draw(t, "interval")
		sigma := math.Pow(10, rapid.Float64Range(0, 9).Draw(t, "sigma"))
		frequency := rapid.Float64Range(-5e5, 5e5).Draw(t, "oscillator")
		for range rapid.IntRange(1, 300).Draw(t, "observations") {
			time += int64(math.Ldexp(1e9, log))
			z := frequency*float64(time)/1e9 + sigma*rapid.Float64Range(-4, 4).Draw(t, "noise")
			o := Observation{Time: time, Offset: int64(z), Variance: sigma * sigma}
			if rapid.Bool().Draw(t, "delay known") {
				o.DelayVariance = sigma * sigma * rapid.Float64Range(0.01, 10).Draw(t, "delay")
			}
			if e.Observe(o) == Jumped {
				base, est := e.At(time)
				e.Jump(o.Offset-base-int64(est.Offset), sigma)
			}
			_, est := e.At(time + rapid.Int64Range(-1e9, 1e14).Draw(t, "ahead"))
			for _, v := range []float64{est.Offset, est.Frequency, est.Sigma(), est.FrequencyVar, est.Cov, e.Wander()} {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("%+v, wander %g", est, e.Wander())
				}
			}
		}
	})
}

// TestSharpMeasurementsFarApart is the worst case for the precision of the filters: sharp measurements far apart.
func TestSharpMeasurementsFarApart(t *testing.T) {
	for _, interval := range []float64{1, 64, 1024, 131072} {
		e, rng := New(), rand.New(rand.NewPCG(1, 1))
		var time int64
		for k := range 200 {
			z := 5e4*float64(time)/1e9 + 4*rng.NormFloat64()
			e.Observe(Observation{Time: time, Offset: int64(math.Floor(z)), OffsetFraction: z - math.Floor(z), Variance: 16})
			if base, est := e.At(time); k > 0 && (math.IsNaN(est.Offset) || math.Abs(float64(base)+est.Offset-z) > 1000) {
				t.Fatalf("every %g s: after %d observations %g + %+v, measured %g", interval, k+1, float64(base), est, z)
			}
			time += int64(interval * 1e9)
		}
	}
}

func TestLeanLearnsTheSide(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, want := range []float64{-0.5, 0, 0.27} {
		var l Lean
		for range 2000 {
			excess := 300 * rng.ExpFloat64()
			l.Learn(excess, want*excess+10*rng.NormFloat64())
		}
		if got := l.Part(); math.Abs(got-want) > 0.05 {
			t.Errorf("part %g, want %g", got, want)
		}
	}
	var quiet Lean
	for range 2000 { // hardly any excess: chance must not be taken for a part
		quiet.Learn(math.Abs(rng.NormFloat64()), 4*rng.NormFloat64())
	}
	if got := quiet.Part(); math.Abs(got) > 0.05 {
		t.Errorf("part %g learned from noise", got)
	}
}

// TestMostWander has oscillators wander by more than is typical: after a few observations that is not known yet, but not
// ruled out either.
func TestMostWander(t *testing.T) {
	const wander, seeds = 30, 50
	var below, belowMost int
	for seed := range uint64(seeds) {
		o := newOscillator(seed, wander)
		for range 30 {
			o.measure(exponential(3e3))
			o.pass(16)
		}
		if o.estimator.Wander() < wander {
			below++
		}
		if o.estimator.MostWander() < wander {
			belowMost++
		}
	}
	if below < seeds/5 || belowMost > below/2 {
		t.Errorf("of %d estimates %d are below the true wander, and %d of those of the most that it may be", seeds, below,
			belowMost)
	}
}

// TestFrequencyThatChangesAtOnce has an oscillator run 50 ppm faster from one second to the next: no observation is as
// expected any more, but it is no jump.
func TestFrequencyThatChangesAtOnce(t *testing.T) {
	e := New()
	const ppb = 50_000
	offset := int64(0)
	for i := range int64(200) {
		if i > 100 {
			offset += ppb
		}
		if v := e.Observe(Observation{Time: i * 1e9, Offset: offset, Variance: 25}); v == Jumped {
			t.Fatalf("a jump at %d s", i)
		}
	}
	base, est := e.At(199e9)
	if off := float64(base-offset) + est.Offset; math.Abs(off) > 50 || math.Abs(est.Frequency-ppb) > 50 {
		t.Errorf("off by %g ns, frequency %g ppb", off, est.Frequency)
	}
}

func BenchmarkObserve(b *testing.B) {
	o := settled(1)
	b.ReportAllocs()
	for b.Loop() {
		o.measure(exponential(100))
	}
}

func TestNothingIsAllocated(t *testing.T) {
	o := settled(1)
	n := testing.AllocsPerRun(100, func() {
		o.measure(exponential(100))
		o.pass(1)
	})
	if n != 0 {
		t.Errorf("%g allocations per exchange", n)
	}
}
