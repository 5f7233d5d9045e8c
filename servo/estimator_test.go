// SPDX-License-Identifier: Apache-2.0

package servo

import (
	"math"
	"math/rand/v2"
	"testing"
)

// loop is a clock that is measured over a path with chance delays and steered by estimates: a free-running oscillator,
// what steering has added to it, and the law.
type loop struct {
	rng       *rand.Rand
	estimator *Estimator
	law       Servo
	spread    DelaySpread
	free      int64   // what the oscillator has counted, ns
	x, f      float64 // its offset, ns, and frequency error, ppb
	wander    float64 // ppb per root second
	steered   float64 // ns
	updates   int
}

func newLoop(seed uint64, wander float64) *loop {
	return &loop{rng: rand.New(rand.NewPCG(seed, 1)), estimator: NewEstimator(), law: NewAdaptive(), x: 1e8, f: 1e5,
		wander: wander}
}

// measure lets one exchange over the path be seen: delay draws what one direction takes, in ns.
func (l *loop) measure(delay func(*rand.Rand) float64) {
	there, back := delay(l.rng), delay(l.rng)
	z := l.x + (there-back)/2
	alike, own := l.spread.Variances(there+back, 4)
	l.estimator.Observe(Observation{Time: l.free, Offset: int64(math.Floor(z)), OffsetFraction: z - math.Floor(z),
		Variance: alike, DelayVariance: own})
	if l.updates++; l.updates <= 3 { // as a daemon does at the start
		l.steered -= l.believed().Offset
	}
}

// believed returns the estimate of the steered clock.
func (l *loop) believed() Estimate {
	base, est := l.estimator.At(l.free)
	est.Offset += float64(base) + l.steered
	return est
}

// pass lets dt seconds go by under the law, and returns the clock's true error at their end.
func (l *loop) pass(dt float64) float64 {
	u := l.law.Update(Input{Interval: dt, Estimate: l.believed()})
	l.drift(dt)
	l.steered += u * dt
	return l.x + l.steered
}

func (l *loop) drift(dt float64) {
	l.x += l.f * dt
	l.f += l.wander * math.Sqrt(dt) * l.rng.NormFloat64()
	l.free += int64(dt * 1e9)
}

func exponential(base, jitter float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 { return base + jitter*r.ExpFloat64() }
}

// rms of the steered clock's error over a run of n exchanges, interval seconds apart, without the first skip of them.
func (l *loop) rms(interval float64, n, skip int, delay func(*rand.Rand) float64) float64 {
	var sum, count float64
	for k := range n {
		l.measure(delay)
		for left := interval; left > 0; left-- {
			e := l.pass(min(left, 1))
			if k >= skip {
				sum += e * e
				count++
			}
		}
	}
	return math.Sqrt(sum / count)
}

// TestAccuracy holds the estimator and the adaptive law to what is known to be possible on the same work: an oscillator
// whose frequency walks by 1 ppb per root second, delays of base + jitter·Exp(1) in each direction.
func TestAccuracy(t *testing.T) {
	const seeds = 4
	for _, c := range []struct {
		name           string
		interval, base float64 // s, ns
		jitter         float64 // ns
		n, skip        int
		limit          float64 // rms, ns
	}{
		{"PTP 1/s", 1, 100, 100, 500, 40, 60},
		{"PTP 8/s", 0.125, 100, 100, 4000, 320, 22},
		{"jitter 10 ns", 1, 100, 10, 4000, 2000, 8},
		{"jitter 100 ns", 1, 100, 100, 4000, 2000, 42},
		{"jitter 1 us", 1, 100, 1e3, 4000, 2000, 250},
		{"jitter 10 us", 1, 100, 1e4, 4000, 2000, 1600},
		{"NTP every 64 s, jitter 10 us", 64, 1e5, 1e4, 156, 31, 4e3},
		{"NTP every 64 s, jitter 100 us", 64, 1e5, 1e5, 156, 31, 18e3},
		{"NTP every 64 s, jitter 1 ms", 64, 1e5, 1e6, 156, 31, 76e3},
		{"NTP every 64 s, jitter 10 ms", 64, 1e5, 1e7, 156, 31, 690e3},
	} {
		var mean float64
		for seed := range uint64(seeds) {
			mean += newLoop(seed, 1).rms(c.interval, c.n, c.skip, exponential(c.base, c.jitter)) / seeds
		}
		t.Logf("%s: %.3g ns rms", c.name, mean)
		if mean > c.limit {
			t.Errorf("%s: %.3g ns rms, want at most %g", c.name, mean, c.limit)
		}
	}
}

// TestSigmaCovers checks that the estimate's own standard deviation says how far it is off.
func TestSigmaCovers(t *testing.T) {
	for _, jitter := range []float64{100, 1e4} {
		for _, wander := range []float64{0.1, 1, 10} {
			var squares, n, beyond float64
			for seed := range uint64(4) {
				l := newLoop(seed, wander)
				for k := range 1500 {
					l.measure(exponential(100, jitter))
					e := l.pass(1)
					if k < 200 {
						continue
					}
					z := (e - l.believed().Offset) / l.believed().Sigma()
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

// TestHoldoverGrowth lets the clock run on without measurements: the sigma stated grows, and the error with it.
func TestHoldoverGrowth(t *testing.T) {
	for _, after := range []int{60, 600} {
		var squares, stated float64
		const seeds = 20
		for seed := range uint64(seeds) {
			l := newLoop(seed, 1)
			for range 1000 {
				l.measure(exponential(100, 100))
				l.pass(1)
			}
			before := l.believed().Sigma()
			var e float64
			for range after {
				e = l.pass(1)
			}
			if l.believed().Sigma() <= before {
				t.Fatalf("sigma %g after %d s of holdover, %g before", l.believed().Sigma(), after, before)
			}
			squares += e * e
			stated += l.believed().Sigma() / seeds
		}
		ideal := math.Sqrt(math.Pow(float64(after), 3) / 3)
		if rms := math.Sqrt(squares / seeds); rms > 2*ideal || rms > 2*stated {
			t.Errorf("%d s: %.3g ns rms, stated %.3g, ideal %.3g", after, rms, stated, ideal)
		}
	}
}

// settled returns a loop that has been locked for a while.
func settled(seed uint64) *loop {
	l := newLoop(seed, 1)
	for range 300 {
		l.measure(exponential(100, 100))
		l.pass(1)
	}
	return l
}

func TestOutliers(t *testing.T) {
	l := settled(1)
	observe := func(extra float64) Verdict {
		return l.estimator.Observe(Observation{Time: l.free, Offset: int64(l.x + extra), Variance: 1e4})
	}
	before := l.believed()
	if v := observe(1e6); v != Outlier {
		t.Fatalf("an offset of 1 ms more than expected is %d", v)
	}
	if l.believed() != before {
		t.Errorf("an outlier changed the estimate from %+v to %+v", before, l.believed())
	}
	for range 20 { // on either side in turn: no jump
		l.drift(1)
		if a, b := observe(1e6), observe(-1e6); a != Outlier || b != Outlier {
			t.Fatalf("verdicts %d and %d", a, b)
		}
	}
	l.drift(1)
	if v := observe(0); v != Used {
		t.Fatalf("a good offset after outliers is %d", v)
	}
	verdicts := []Verdict{Outlier, Outlier, Outlier, Outlier, Jumped}
	for i, want := range verdicts {
		l.drift(1)
		if v := observe(1e6); v != want {
			t.Fatalf("outlier %d in a row is %d, want %d", i+1, v, want)
		}
	}
	l.estimator.Jump(1e6, 100)
	if v := observe(1e6); v != Used {
		t.Errorf("after the jump was accepted the offset is %d", v)
	}
	if frequency := l.believed().Frequency; math.Abs(frequency-l.f) > 200 {
		t.Errorf("frequency %g ppb after a jump, it is %g", frequency, l.f)
	}
}

func TestObservationFromThePast(t *testing.T) {
	l := settled(1)
	if v := l.estimator.Observe(Observation{Time: l.free - 5e9, Offset: int64(l.x), Variance: 1e4}); v != Outlier {
		t.Errorf("verdict %d", v)
	}
}

// TestSeed hands the knowledge of one estimator to another: what follows goes on as before.
func TestSeed(t *testing.T) {
	l := settled(3)
	base, est := l.estimator.At(l.free)
	wander := l.estimator.Wander()
	heir := NewEstimator()
	heir.Seed(l.free, base, est, wander)
	got := func(at int64) Estimate {
		b, e := heir.At(at)
		e.Offset += float64(b - base)
		return e
	}
	if now := got(l.free); math.Abs(now.Offset-est.Offset) > 1e-6 || math.Abs(now.Frequency-est.Frequency) > 1e-6 ||
		math.Abs(now.Sigma()/est.Sigma()-1) > 1e-6 {
		t.Errorf("seeded with %+v it says %+v", est, now)
	}
	_, later := l.estimator.At(l.free + 60e9)
	if ratio := got(l.free+60e9).Sigma() / later.Sigma(); ratio < 0.3 || ratio > 3 {
		t.Errorf("after a minute its sigma is %g of the one it was seeded by", ratio)
	}
	// good measurements still count for what they are worth, at once
	l.drift(1)
	if v := heir.Observe(Observation{Time: l.free, Offset: int64(l.x), Variance: 16}); v != Used {
		t.Errorf("verdict on the first observation: %d", v)
	}
}

func TestKnownFrequencySpeedsUp(t *testing.T) {
	e := NewEstimator()
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
