// SPDX-License-Identifier: Apache-2.0

package estimate

import (
	"math"
	"math/rand/v2"
	"testing"
)

// oscillator runs free and is measured over a path with chance delays.
type oscillator struct {
	rng       *rand.Rand
	estimator *Estimator
	spread    DelaySpread
	time      int64   // that it has counted, ns
	x, f      float64 // its offset, ns, and frequency error, ppb
	wander    float64 // ppb per root second
}

func newOscillator(seed uint64, wander float64) *oscillator {
	return &oscillator{rng: rand.New(rand.NewPCG(seed, 1)), estimator: New(), x: 1e8, f: 1e5, wander: wander}
}

// measure lets one exchange over the path be seen: delay draws what one direction takes, in ns.
func (o *oscillator) measure(delay func(*rand.Rand) float64) {
	there, back := delay(o.rng), delay(o.rng)
	z := o.x + (there-back)/2
	alike, own := o.spread.Variances(there+back, 4)
	o.estimator.Observe(Observation{Time: o.time, Offset: int64(math.Floor(z)), OffsetFraction: z - math.Floor(z),
		Variance: alike, DelayVariance: own})
}

// believed returns the estimate of now.
func (o *oscillator) believed() State {
	base, est := o.estimator.At(o.time)
	est.Offset += float64(base)
	return est
}

// pass lets dt seconds go by.
func (o *oscillator) pass(dt float64) {
	o.x += o.f * dt
	o.f += o.wander * math.Sqrt(dt) * o.rng.NormFloat64()
	o.time += int64(dt * 1e9)
}

// exponential returns the delays, in ns, of a path that takes 100 ns when it is idle.
func exponential(jitter float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 { return 100 + jitter*r.ExpFloat64() }
}

// TestSigmaCovers checks that the estimate's own standard deviation says how far it is off.
func TestSigmaCovers(t *testing.T) {
	for _, jitter := range []float64{100, 1e4} {
		for _, wander := range []float64{0.1, 1, 10} {
			var squares, n, beyond float64
			for seed := range uint64(4) {
				o := newOscillator(seed, wander)
				for k := range 1500 {
					o.measure(exponential(jitter))
					o.pass(1)
					if k < 200 {
						continue
					}
					z := (o.x - o.believed().Offset) / o.believed().Sigma()
					squares += z * z
					n++
					if math.Abs(z) > 5 {
						beyond++
					}
				}
			}
			if rms := math.Sqrt(squares / n); rms > 1.6 || rms < 0.3 {
				t.Errorf("jitter %g ns, wander %g: errors are %.2f of the stated standard deviation", jitter, wander, rms)
			}
			if beyond/n > 1e-3 {
				t.Errorf("jitter %g ns, wander %g: %g of %g errors exceed five standard deviations", jitter, wander, beyond, n)
			}
		}
	}
}

// settled returns an oscillator that has been measured for a while.
func settled(seed uint64) *oscillator {
	o := newOscillator(seed, 1)
	for range 300 {
		o.measure(exponential(100))
		o.pass(1)
	}
	return o
}

func TestOutliers(t *testing.T) {
	o := settled(1)
	observe := func(extra float64) Verdict {
		return o.estimator.Observe(Observation{Time: o.time, Offset: int64(o.x + extra), Variance: 1e4})
	}
	before := o.believed()
	if v := observe(1e6); v != Outlier {
		t.Fatalf("an offset of 1 ms more than expected is %d", v)
	}
	if o.believed() != before {
		t.Errorf("an outlier changed the estimate from %+v to %+v", before, o.believed())
	}
	for range 20 { // on either side in turn: no jump
		o.pass(1)
		if a, b := observe(1e6), observe(-1e6); a != Outlier || b != Outlier {
			t.Fatalf("verdicts %d and %d", a, b)
		}
	}
	o.pass(1)
	if v := observe(0); v != Used {
		t.Fatalf("a good offset after outliers is %d", v)
	}
	verdicts := []Verdict{Outlier, Outlier, Outlier, Outlier, Jumped}
	for i, want := range verdicts {
		o.pass(1)
		if v := observe(1e6); v != want {
			t.Fatalf("outlier %d in a row is %d, want %d", i+1, v, want)
		}
	}
	o.estimator.Jump(1e6, 100)
	if v := observe(1e6); v != Used {
		t.Errorf("after the jump was accepted the offset is %d", v)
	}
	if frequency := o.believed().Frequency; math.Abs(frequency-o.f) > 200 {
		t.Errorf("frequency %g ppb after a jump, it is %g", frequency, o.f)
	}
}

func TestObservationFromThePast(t *testing.T) {
	o := settled(1)
	if v := o.estimator.Observe(Observation{Time: o.time - 5e9, Offset: int64(o.x), Variance: 1e4}); v != Outlier {
		t.Errorf("verdict %d", v)
	}
}

// TestSeed hands the knowledge of one estimator to another: what follows goes on as before.
func TestSeed(t *testing.T) {
	o := settled(3)
	base, est := o.estimator.At(o.time)
	wander := o.estimator.Wander()
	heir := New()
	heir.Seed(o.time, base, est, wander)
	got := func(at int64) State {
		b, e := heir.At(at)
		e.Offset += float64(b - base)
		return e
	}
	if now := got(o.time); math.Abs(now.Offset-est.Offset) > 1e-6 || math.Abs(now.Frequency-est.Frequency) > 1e-6 ||
		math.Abs(now.Sigma()/est.Sigma()-1) > 1e-6 {
		t.Errorf("seeded with %+v it says %+v", est, now)
	}
	_, later := o.estimator.At(o.time + 60e9)
	if ratio := got(o.time+60e9).Sigma() / later.Sigma(); ratio < 0.3 || ratio > 3 {
		t.Errorf("after a minute its sigma is %g of the one it was seeded by", ratio)
	}
	// good measurements still count for what they are worth, at once
	o.pass(1)
	if v := heir.Observe(Observation{Time: o.time, Offset: int64(o.x), Variance: 16}); v != Used {
		t.Errorf("verdict on the first observation: %d", v)
	}
}

func TestKnownFrequencySpeedsUp(t *testing.T) {
	e := New()
	e.SetFrequency(1e5, 100)
	if e.Known() {
		t.Error("a frequency alone is no offset")
	}
	e.Observe(Observation{Time: 0, Offset: 0, Variance: 100})
	_, est := e.At(10e9)
	if math.Abs(est.Offset-1e6) > 1 || est.Sigma() > 1100 {
		t.Errorf("after 10 s: %g ± %g ns", est.Offset, est.Sigma())
	}
}
