// SPDX-License-Identifier: Apache-2.0

package servo

import (
	"math"
	"math/rand/v2"
	"testing"
)

// run lets an oscillator of 100 ppm error and a frequency walk of wander ppb/√s be measured every interval seconds over
// a path whose two directions delay by noise() ns each, and returns the rms of the error of the steered clock, ns.
func run(seed uint64, interval, wander float64, n, skip int, noise func(*rand.Rand) float64) float64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	e, law := NewEstimator(), NewAdaptive()
	var spread DelaySpread
	x, f := 1e8, 1e5 // free-running
	steered, u := 0.0, 0.0
	var sum, count float64
	var free int64
	for k := range n {
		fwd, back := noise(rng), noise(rng)
		z := x + (fwd-back)/2
		alike, own := spread.Variances(fwd+back, 4)
		e.Observe(Observation{Time: free, Offset: int64(math.Floor(z)), OffsetFraction: z - math.Floor(z),
			Variance: alike, DelayVariance: own})
		base, est := e.At(free)
		est.Offset += float64(base) + steered
		u = law.Update(Input{Interval: interval, Estimate: est})
		if k < 3 {
			steered -= est.Offset
			est.Offset = 0
			u = law.Update(Input{Interval: interval, Estimate: est})
		}
		for left := interval; left > 0; left -= min(interval, 1) {
			dt := min(interval, 1)
			base, est := e.At(free)
			est.Offset += float64(base) + steered
			u = law.Update(Input{Interval: dt, Estimate: est})
			x += f * dt
			f += wander * math.Sqrt(dt) * rng.NormFloat64()
			steered += u * dt
			free += int64(dt * 1e9)
			if k >= skip {
				sum += (x + steered) * (x + steered)
				count++
			}
		}
	}
	return math.Sqrt(sum / count)
}

func TestEstimatorNumbers(t *testing.T) {
	for _, w := range []float64{1} {
		for _, j := range []float64{10, 100, 1e3, 1e4, 1e5, 1e6, 1e7} {
			var exp, gauss float64
			for s := range uint64(10) {
				exp += run(s, 1, w, 4000, 2000, func(r *rand.Rand) float64 { return 100 + j*r.ExpFloat64() })
				gauss += run(s, 1, w, 4000, 2000, func(r *rand.Rand) float64 { return 10*j + j*r.NormFloat64() })
			}
			t.Logf("w=%g j=%g: exp %.3g gauss %.3g ns", w, j, exp/10, gauss/10)
		}
	}
	for _, iv := range []float64{1, 0.125} {
		var exp float64
		for s := range uint64(10) {
			exp += run(s, iv, 1, int(500/iv), int(40/iv), func(r *rand.Rand) float64 { return 100 + 100*r.ExpFloat64() })
		}
		t.Logf("S1 %g: %.3g ns", iv, exp/10)
	}
	for _, j := range []float64{1e4, 1e5, 1e6, 1e7} {
		var exp float64
		for s := range uint64(10) {
			exp += run(s, 64, 1, int(10000/64), int(2000/64), func(r *rand.Rand) float64 { return 1e5 + j*r.ExpFloat64() })
		}
		t.Logf("S4 %g: %.3g ns", j, exp/10)
	}
}
