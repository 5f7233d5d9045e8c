// SPDX-License-Identifier: Apache-2.0

package stability

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockstep-time/lockstep/phc/phctest"
)

// collect compares a fake clock with the true time, once an interval.
func collect(t *testing.T, n int, interval time.Duration, c phctest.Config) []float64 {
	t.Helper()
	now := int64(1_700_000_000_000_000_000)
	c.Now = func() int64 { return now }
	c.Rand = rand.New(rand.NewPCG(11, 12))
	f := phctest.New(c)
	var samples []Sample
	for range n {
		x, err := f.Compare(1)
		if err != nil {
			t.Fatal(err)
		}
		samples = append(samples, Sample{x.B.Nanoseconds(), x.A.Nanoseconds() - x.B.Nanoseconds()})
		now += int64(interval)
	}
	phases, interpolated := Resample(samples, interval)
	if interpolated != 0 {
		t.Errorf("%d of %d even samples were interpolated", interpolated, n)
	}
	return phases
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got/want-1) > 0.1 {
		t.Errorf("%s is %.4g, want %.4g within 10 %%", what, got, want)
	}
}

// White phase noise of deviation s: ADEV = √3·s/τ, TDEV = s/√m.
func TestWhitePhase(t *testing.T) {
	const s, interval = 50.0, 500 * time.Millisecond
	phases := collect(t, 20000, interval, phctest.Config{WhitePhase: s, Frequency: 1000})
	for _, m := range []int{1, 2, 4, 8, 16, 32} {
		adev, _ := ADEV(phases, interval, m)
		near(t, "ADEV", adev, math.Sqrt(3)*s/(float64(m)*float64(interval)))
		near(t, "TDEV", TDEV(phases, m), s/math.Sqrt(float64(m)))
	}
}

// A random walk of the frequency of w ppb per √s: AVAR = w²·τ/3; the modified variance is 0.825 of it for large m.
func TestRandomWalkFrequency(t *testing.T) {
	const w, interval = 20.0, time.Second
	phases := collect(t, 40000, interval, phctest.Config{Wander: w, Start: time.Hour})
	for _, m := range []int{1, 2, 4, 8, 16, 32} {
		tau := float64(m)
		adev, _ := ADEV(phases, interval, m)
		near(t, "ADEV", adev, w*1e-9*math.Sqrt(tau/3))
		if m >= 8 {
			near(t, "TDEV", TDEV(phases, m), tau/math.Sqrt(3)*math.Sqrt(0.825)*w*math.Sqrt(tau/3))
		}
	}
}

// The statistics do not depend on how often the oscillator is asked.
func TestWanderAtOtherRates(t *testing.T) {
	const w = 20.0
	for _, interval := range []time.Duration{125 * time.Millisecond, 8 * time.Second} {
		phases := collect(t, 20000, interval, phctest.Config{Wander: w})
		adev, _ := ADEV(phases, interval, 4)
		near(t, "ADEV", adev, w*1e-9*math.Sqrt(4*interval.Seconds()/3))
	}
}

// A wrong frequency alone: no ADEV and TDEV, and an MTIE that grows with the window.
func TestFrequencyOffset(t *testing.T) {
	phases := collect(t, 200, time.Second, phctest.Config{Frequency: 300})
	points, err := Analyse(phases, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if last := points[len(points)-1]; last.Tau != 64*time.Second {
		t.Errorf("last tau %v", last.Tau)
	}
	for _, p := range points {
		near(t, "MTIE", p.MTIE, 300*p.Tau.Seconds())
		if p.ADEV > 1e-9 || p.TDEV != nil && *p.TDEV > 1 { // readings are whole nanoseconds
			t.Errorf("%+v", p)
		}
	}
}

// The running sums agree with the definitions.
func TestAgainstDefinitions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.SliceOfN(rapid.Float64Range(-1000, 1000), 4, 40).Draw(t, "phases")
		m := rapid.IntRange(1, len(x)).Draw(t, "m")
		tvar, terms := 0.0, 0
		for j := 0; j+3*m <= len(x); j++ {
			inner := 0.0
			for i := j; i < j+m; i++ {
				inner += x[i+2*m] - 2*x[i+m] + x[i]
			}
			tvar += inner * inner
			terms++
		}
		want := 0.0
		if terms > 0 {
			want = math.Sqrt(tvar/(6*float64(terms))) / float64(m)
		}
		if got := TDEV(x, m); math.Abs(got-want) > 1e-6 {
			t.Fatalf("TDEV %v, want %v", got, want)
		}
		widest := 0.0
		for i := range x {
			for j := i; j < len(x) && j <= i+m && m < len(x); j++ {
				widest = max(widest, math.Abs(x[j]-x[i]))
			}
		}
		if got := MTIE(x, m); got != widest {
			t.Fatalf("MTIE %v, want %v", got, widest)
		}
	})
}

func TestTooFew(t *testing.T) {
	if _, err := Analyse([]float64{1, 2, 3}, time.Second); !errors.Is(err, ErrTooFew) {
		t.Errorf("%v", err)
	}
	if _, err := Analyse(make([]float64, 10), 0); !errors.Is(err, ErrTooFew) {
		t.Errorf("%v", err)
	}
}

// late returns samples of white phase noise of 50 ns and a rate of 20 ppm, each delayed by what delay gives.
func late(n int, interval time.Duration, delay func(*rand.Rand) time.Duration) []Sample {
	r := rand.New(rand.NewPCG(3, 4))
	samples := make([]Sample, n)
	for i := range samples {
		at := int64(i)*int64(interval) + int64(delay(r))
		samples[i] = Sample{at, at/50_000 + int64(math.Round(50*r.NormFloat64()))}
	}
	return samples
}

// Timers are late, now and then by much, and the other clock's second is not the timer's; white noise stays what it is.
func TestLateSamples(t *testing.T) {
	const interval = 100 * time.Millisecond
	for name, delay := range map[string]func(*rand.Rand) time.Duration{
		"always late": func(*rand.Rand) time.Duration { return time.Millisecond },
		"mostly late": func(r *rand.Rand) time.Duration { return time.Duration(r.ExpFloat64() * 1e6) },
		"sometimes very late": func(r *rand.Rand) time.Duration {
			if r.IntN(100) == 0 {
				return 40 * time.Millisecond
			}
			return time.Duration(r.IntN(1e6))
		},
	} {
		t.Run(name, func(t *testing.T) {
			samples := late(20000, interval, delay)
			for i := range samples {
				samples[i].At += samples[i].At / 2000 // 500 ppm
			}
			phases, interpolated := Resample(samples, interval)
			if interpolated > len(samples)/50 || len(phases) != len(samples) {
				t.Errorf("%d of %d phases are interpolated", interpolated, len(phases))
			}
			rate := phases[len(phases)-1] / float64(len(phases)-1)
			for i := range phases {
				phases[i] -= rate * float64(i)
			}
			for _, m := range []int{1, 2, 4, 8} {
				adev, _ := ADEV(phases, interval, m)
				near(t, "ADEV", adev, math.Sqrt(3)*50/(float64(m)*float64(interval)))
				near(t, "TDEV", TDEV(phases, m), 50/math.Sqrt(float64(m)))
			}
		})
	}
}

// Where samples are missing, what is between is interpolated, and counted.
func TestGaps(t *testing.T) {
	phases, interpolated := Resample([]Sample{{0, 5}, {10, 25}, {11, 27}, {40, 85}, {50, 105}}, 10)
	if interpolated != 2 || len(phases) != 6 {
		t.Fatalf("%d of %v", interpolated, phases)
	}
	for i, x := range phases {
		if x != float64(20*i) {
			t.Errorf("point %d is %v", i, x)
		}
	}
}

// Uneven samples of an even course are put right, and samples without progress or with hours between them do no harm.
func TestResampleUneven(t *testing.T) {
	got, interpolated := Resample([]Sample{{1000, 50}, {1013, 76}, {1013, 99}, {1010, 1}, {1021, 92}, {1040, 130}}, 10)
	for i, x := range got {
		if x != float64(20*i) {
			t.Errorf("point %d is %v", i, x)
		}
	}
	if len(got) != 5 || interpolated == 0 {
		t.Errorf("%d points, %d interpolated", len(got), interpolated)
	}
	for _, samples := range [][]Sample{nil, {{0, 0}, {1 << 60, 1}}} {
		if phases, _ := Resample(samples, 1); phases != nil {
			t.Errorf("nothing, or a gap of an age, gave a series of %d", len(phases))
		}
	}
}

func FuzzResample(f *testing.F) {
	f.Add([]byte{10, 1, 10, 2, 11, 3, 200, 4}, int64(10))
	f.Add([]byte{0, 0, 1, 1}, int64(1))
	f.Fuzz(func(t *testing.T, b []byte, interval int64) {
		var samples []Sample
		at := int64(0)
		for i := 0; i+1 < len(b); i += 2 {
			at += int64(b[i]) - 20
			samples = append(samples, Sample{at, int64(b[i+1])})
		}
		phases, interpolated := Resample(samples, time.Duration(interval))
		if interpolated > len(phases) || len(phases) > 6*len(samples)+1 {
			t.Errorf("%d samples gave %d phases, %d interpolated", len(samples), len(phases), interpolated)
		}
	})
}
