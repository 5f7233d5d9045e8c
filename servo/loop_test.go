// SPDX-License-Identifier: Apache-2.0

package servo

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/lockstep-time/lockstep/estimate"
)

// loop is a clock that is measured over a path with chance delays and steered by estimates: a free-running oscillator,
// what steering has added to it, and the law.
type loop struct {
	rng       *rand.Rand
	estimator *estimate.Estimator
	law       Servo
	spread    estimate.DelaySpread
	free      int64   // what the oscillator has counted, ns
	x, f      float64 // its offset, ns, and frequency error, ppb
	wander    float64 // ppb per root second
	steered   float64 // ns
	updates   int
}

func newLoop(seed uint64, wander float64) *loop {
	return &loop{rng: rand.New(rand.NewPCG(seed, 1)), estimator: estimate.New(), law: NewAdaptive(), x: 1e8, f: 1e5,
		wander: wander}
}

// measure lets one exchange over the path be seen: delay draws what one direction takes, in ns.
func (l *loop) measure(delay func(*rand.Rand) float64) {
	there, back := delay(l.rng), delay(l.rng)
	z := l.x + (there-back)/2
	alike, own := l.spread.Variances(there+back, 4)
	l.estimator.Observe(estimate.Observation{Time: l.free, Offset: int64(math.Floor(z)), OffsetFraction: z - math.Floor(z),
		Variance: alike, DelayVariance: own})
	if l.updates++; l.updates <= 3 { // as a daemon does at the start
		l.steered -= l.believed().Offset
	}
}

// believed returns the estimate of the steered clock.
func (l *loop) believed() estimate.State {
	base, est := l.estimator.At(l.free)
	est.Offset += float64(base) + l.steered
	return est
}

// pass lets dt seconds go by under the law, and returns the clock's true error at their end.
func (l *loop) pass(dt float64) float64 {
	u := l.law.Update(Input{Interval: dt, Estimate: l.believed()})
	l.x += l.f * dt
	l.f += l.wander * math.Sqrt(dt) * l.rng.NormFloat64()
	l.free += int64(dt * 1e9)
	l.steered += u * dt
	return l.x + l.steered
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

func BenchmarkUpdate(b *testing.B) {
	for _, name := range []string{NamePI, NameAdaptive} {
		b.Run(name, func(b *testing.B) {
			s, in := New(name, true), Input{Interval: 0.125, Offset: 10, Estimate: estimate.State{Offset: 10}}
			b.ReportAllocs()
			for b.Loop() {
				s.Update(in)
			}
		})
	}
}

func TestUpdateDoesNotAllocate(t *testing.T) {
	for _, name := range []string{NamePI, NameAdaptive} {
		s, in := New(name, true), Input{Interval: 1, Offset: 5, Estimate: estimate.State{Offset: 5}}
		if n := testing.AllocsPerRun(100, func() { s.Update(in) }); n != 0 {
			t.Errorf("%s: %g allocations per update", name, n)
		}
	}
}
