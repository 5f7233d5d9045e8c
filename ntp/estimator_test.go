// SPDX-License-Identifier: Apache-2.0

package ntp_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ntp"
)

// work is a free-running clock measured over a network: delays are 200 µs and queue·Exp(1) each way, offsets have noise
// besides; ns, ppb and seconds.
type work struct {
	queue, noise float64
	poll, length float64
	wander       float64
	assumed      float64
	spikes       float64
}

type outcome struct {
	rms, frequencyRMS, within2 float64
	e                          *ntp.Estimator
	restarts                   uint64
	last                       clock.Mono
}

func (w work) run(seed uint64) (o outcome) {
	rng := rand.New(rand.NewPCG(seed, 1))
	o.e = ntp.NewEstimator(ntp.EstimatorConfig{Wander: w.assumed})
	offset, frequency, next := 1e8, 1e5, 0.0
	n, dt := 0.0, min(w.poll, 1)
	for at := 0.0; at < w.length; at += dt {
		o.last = clock.Mono(at * 1e9)
		if at >= next {
			there, back := rng.ExpFloat64()*w.queue, rng.ExpFloat64()*w.queue
			x := offset + (there-back)/2 + w.noise*rng.NormFloat64()
			if rng.Float64() < w.spikes {
				x += 1e8 * rng.NormFloat64()
			}
			o.e.Add(o.last, x, time.Duration(2e5+there+back), 10)
			next = at + w.poll
		}
		if at > w.length/4 {
			s := o.e.At(o.last)
			n++
			o.rms += (s.Offset - offset) * (s.Offset - offset)
			o.frequencyRMS += (s.Frequency - frequency) * (s.Frequency - frequency)
			if math.Abs(s.Offset-offset) < 2*s.OffsetSD {
				o.within2++
			}
		}
		offset += frequency * dt
		frequency += w.wander * math.Sqrt(dt) * rng.NormFloat64()
	}
	o.rms, o.frequencyRMS, o.within2 = math.Sqrt(o.rms/n), math.Sqrt(o.frequencyRMS/n), o.within2/n
	o.restarts = o.e.At(o.last).Restarts
	return o
}

func TestEstimatorAccuracy(t *testing.T) {
	for _, c := range []struct {
		name              string
		w                 work
		rms, frequencyRMS float64
		within2           float64
	}{
		{"queues of 10 µs", work{queue: 1e4, poll: 64, length: 8000, wander: 1}, 4e3, 20, 0.9},
		{"queues of 100 µs", work{queue: 1e5, poll: 64, length: 8000, wander: 1}, 18e3, 35, 0.9},
		{"queues of 1 ms", work{queue: 1e6, poll: 64, length: 8000, wander: 1}, 100e3, 75, 0.9},
		{"polls of 1 s", work{queue: 1e5, poll: 1, length: 4000, wander: 1}, 3.5e3, 30, 0.85},
		{"polls of 1/16 s", work{queue: 1e5, poll: 0.0625, length: 200, wander: 1}, 2e3, 150, 0.75},
		{"noise not in the delay", work{noise: 1e5, poll: 1, length: 4000, wander: 1}, 12e3, 120, 0.85},
		{"both", work{queue: 1e5, noise: 1e5, poll: 64, length: 8000, wander: 1}, 45e3, 60, 0.85},
		{"hardware stamps", work{noise: 20, poll: 1, length: 2000, wander: 1}, 20, 5, 0.9},
		{"spikes", work{queue: 1e4, poll: 16, length: 4000, wander: 1, spikes: 0.1}, 4e3, 40, 0.9},
		{"wander underrated", work{queue: 1e3, noise: 10, poll: 1, length: 2000, wander: 100}, 2e3, 400, 0.75},
		{"wander overrated", work{queue: 1e5, poll: 64, length: 8000, wander: 0.1}, 16e3, 20, 0.9},
		{"small wander known", work{queue: 1e5, poll: 64, length: 8000, wander: 0.1, assumed: 0.1}, 11e3, 8, 0.85},
	} {
		t.Run(c.name, func(t *testing.T) {
			const seeds = 4
			var rms, frequencyRMS, within2 float64
			for seed := range uint64(seeds) {
				o := c.w.run(seed)
				rms, frequencyRMS, within2 = rms+o.rms/seeds, frequencyRMS+o.frequencyRMS/seeds, within2+o.within2/seeds
			}
			t.Logf("offset %.0f ns rms, frequency %.1f ppb rms, %.3f within two standard deviations", rms, frequencyRMS, within2)
			if rms > c.rms || frequencyRMS > c.frequencyRMS || within2 < c.within2 {
				t.Errorf("beyond %.0f ns, %.0f ppb, or below %.2f", c.rms, c.frequencyRMS, c.within2)
			}
		})
	}
}

// With neither wander nor doubt the estimate is the straight line.
func TestEstimatorLine(t *testing.T) {
	e := ntp.NewEstimator(ntp.EstimatorConfig{Wander: 1e-6})
	if s := e.At(5); s != (ntp.Estimate{}) {
		t.Errorf("knows %+v from nothing", s)
	}
	for i := range 200 {
		at := clock.Mono(i) * 1e9
		v, ok := e.Add(at, 5e6-250*float64(i), time.Millisecond, 10)
		if !ok || math.Abs(v.Miss) > 1 && i > 1 {
			t.Fatalf("sample %d: %+v, %v", i, v, ok)
		}
	}
	for _, at := range []float64{150, 199, 250} {
		s := e.At(clock.Mono(at * 1e9))
		if math.Abs(s.Offset-(5e6-250*at)) > 0.1 || math.Abs(s.Frequency+250) > 0.01 || s.Samples != 64 {
			t.Errorf("at %v s: %+v", at, s)
		}
	}
	e.Shift(1e6)
	if s := e.At(199e9); math.Abs(s.Offset-(6e6-250*199)) > 0.1 {
		t.Errorf("shifted: %+v", s)
	}
	if v, ok := e.Add(200e9, 6e6-250*200, time.Millisecond, 10); !ok || math.Abs(v.Miss) > 0.1 {
		t.Errorf("after the shift: %+v", v)
	}
	e.Reset()
	if s := e.At(300e9); s.Samples != 0 || s.Offset != 0 {
		t.Errorf("knows %+v after a reset", s)
	}
}

func TestEstimatorRefuses(t *testing.T) {
	e := ntp.NewEstimator(ntp.EstimatorConfig{})
	e.Add(1e9, 5, time.Millisecond, 1)
	for _, c := range []struct {
		at clock.Mono
		x  float64
	}{{1e9, 5}, {0, 5}, {2e9, math.NaN()}, {2e9, math.Inf(1)}} {
		if _, ok := e.Add(c.at, c.x, time.Millisecond, 1); ok {
			t.Errorf("took %+v", c)
		}
	}
}

// A source that steps is followed after four samples, with the frequency kept.
func TestEstimatorSourceSteps(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	e := ntp.NewEstimator(ntp.EstimatorConfig{})
	restarted := 0
	for i := range 300 {
		x := 100*float64(i) + 1000*rng.NormFloat64()
		if i >= 150 {
			x += 1e6
		}
		v, _ := e.Add(clock.Mono(i)*1e9, x, time.Millisecond, 1000)
		if v.Restarted {
			restarted = i
		}
		if i == 149 && (v.Noise < 800 || v.Noise > 1300) {
			t.Errorf("noise of %.0f ns taken for 1000", v.Noise)
		}
		if s := e.At(clock.Mono(i) * 1e9); i >= 30 && math.Abs(s.Frequency-100) > 150 {
			t.Fatalf("frequency %.0f ppb at %d s", s.Frequency, i)
		}
	}
	if restarted != 153 {
		t.Errorf("last restart at %d s", restarted)
	}
	if s := e.At(299e9); math.Abs(s.Offset-100*299-1e6) > 1500 || s.Restarts != 1 {
		t.Errorf("%+v", s)
	}
}

// Congestion in one direction only: what it delays is not believed.
func TestEstimatorCongestion(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	e := ntp.NewEstimator(ntp.EstimatorConfig{})
	for i := range 300 {
		x, delay := 1000*rng.NormFloat64(), 1e6
		if rng.Float64() < 0.6 {
			queue := 2e6 * rng.ExpFloat64()
			x, delay = x+queue/2, delay+queue
		}
		e.Add(clock.Mono(i)*1e9, x, time.Duration(delay), 1000)
		if s := e.At(clock.Mono(i) * 1e9); i > 60 && math.Abs(s.Offset) > 25e3 {
			t.Fatalf("at %d s: %+v", i, s)
		}
	}
}

func TestEstimatorAllocatesNothing(t *testing.T) {
	e := ntp.NewEstimator(ntp.EstimatorConfig{})
	var at clock.Mono
	if n := testing.AllocsPerRun(200, func() {
		at += 1e9
		e.Add(at, float64(at%977), time.Duration(1e6+at%1e5), 1000)
		e.At(at)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzEstimator(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 200, 100, 0, 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		e := ntp.NewEstimator(ntp.EstimatorConfig{})
		var at clock.Mono
		for ; len(b) >= 4; b = b[4:] {
			at += clock.Mono(1) << (b[0] % 48)
			x := math.Ldexp(float64(int8(b[1])), int(b[2]%56))
			e.Add(at, x, time.Duration(b[3])<<(b[2]%40), time.Duration(b[1]))
			s := e.At(at + 1e9)
			for _, v := range []float64{s.Offset, s.OffsetSD, s.Frequency, s.FrequencySD, s.Jitter} {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("%+v", s)
				}
			}
		}
	})
}

func BenchmarkEstimator(b *testing.B) {
	e := ntp.NewEstimator(ntp.EstimatorConfig{})
	var at clock.Mono
	b.ReportAllocs()
	for b.Loop() {
		at += 1e9
		e.Add(at, float64(at%977), time.Duration(1e6+at%1e5), 1000)
	}
}
