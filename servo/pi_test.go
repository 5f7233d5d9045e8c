// SPDX-License-Identifier: Apache-2.0

package servo

import (
	"math"
	"testing"

	oracle "github.com/facebook/time/servo"
	"github.com/lockstep-time/lockstep/estimate"
	"pgregory.net/rapid"
)

// oraclePI is the independent implementation, whose correction has the other sign.
type oraclePI struct {
	*oracle.PiServo
	local uint64 // time of its last sample, ns
}

func newOracle(g Gains, limit float64) *oraclePI {
	s := oracle.NewPiServo(oracle.DefaultServoConfig(), &oracle.PiServoCfg{PiKpScale: g.KpScale, PiKpExponent: g.KpExponent,
		PiKpNormMax: g.KpNormMax, PiKiScale: g.KiScale, PiKiExponent: g.KiExponent, PiKiNormMax: g.KiNormMax}, 0)
	s.StepThreshold, s.FirstStepThreshold = 0, 0
	s.SetMaxFreq(limit)
	return &oraclePI{s, 1e18}
}

func (o *oraclePI) update(interval float64, offset int) float64 {
	o.SyncInterval(interval)
	o.local += uint64(interval * 1e9)
	ppb, _ := o.Sample(int64(offset), o.local)
	return -ppb
}

// learned has it start from a correction: two equal offsets change nothing of it.
func (o *oraclePI) learned(ppb float64) {
	o.InitLastFreq(-ppb)
	o.update(firstInterval, 0)
	o.update(firstInterval, 0)
}

// firstInterval is one after which the other implementation has waited for its second sample long enough with any gains.
const firstInterval = 16.0

// TestPIAgainstOracle draws gains, limits, offsets and an interval for each, what was learned before, and steps: between the
// first two offsets, where the first is as if it had been measured after the step, and later on, where the next one says it.
func TestPIAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gains := rapid.SampledFrom([]Gains{HardwareGains, SoftwareGains}).Draw(t, "gains")
		limit := rapid.SampledFrom([]float64{100, 5e5, 9e8}).Draw(t, "limit")
		magnitude := rapid.SampledFrom([]int{100, 1e6, 1e9}).Draw(t, "magnitude")
		offsets := rapid.SliceOfN(rapid.IntRange(-magnitude, magnitude), 2, 100).Draw(t, "offsets")
		interval := rapid.SampledFrom([]float64{0.0625, 0.125, 0.5, 1, 2, 16, 64})
		step := rapid.IntRange(-1e9, 1e9)
		p, o := NewPI(gains), newOracle(gains, limit)
		p.SetLimit(limit)
		if rapid.Bool().Draw(t, "learned before") {
			ppb := rapid.Float64Range(-limit, limit).Draw(t, "ppb")
			p.Learned(ppb)
			o.learned(ppb)
		} else {
			d := step.Draw(t, "first step")
			first, second := offsets[0], offsets[1]
			o.update(firstInterval, first+d)
			if got := p.Update(Input{Offset: float64(first)}); got != 0 {
				t.Fatalf("%g ppb after one offset", got)
			}
			p.Stepped(float64(d))
			agree(t, p, o, firstInterval, second)
			offsets = offsets[2:]
		}
		for _, offset := range offsets {
			if rapid.Bool().Draw(t, "step") {
				p.Stepped(float64(step.Draw(t, "by")))
			}
			agree(t, p, o, interval.Draw(t, "interval"), offset)
		}
	})
}

// agree gives both the same offset and checks that they make the same of it.
func agree(t *rapid.T, p *PI, o *oraclePI, interval float64, offset int) {
	got, want := p.Update(Input{Interval: interval, Offset: float64(offset)}), o.update(interval, offset)
	if math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
		t.Fatalf("offset %d after %g s: %g ppb, want %g", offset, interval, got, want)
	}
}

// TestPIFirstEstimateAgainstOracle has the first two offsets come at the short intervals of hardware timestamps.
func TestPIFirstEstimateAgainstOracle(t *testing.T) {
	for _, interval := range []float64{0.125, 0.25, 1, 2} { // for shorter ones the other one waits
		rapid.Check(t, func(t *rapid.T) {
			p, o := NewPI(HardwareGains), newOracle(HardwareGains, 5e5)
			p.SetLimit(5e5)
			offset := rapid.IntRange(-1e6, 1e6)
			first := offset.Draw(t, "first")
			p.Update(Input{Offset: float64(first)})
			o.update(interval, first)
			agree(t, p, o, interval, offset.Draw(t, "second"))
		})
	}
}

func TestGains(t *testing.T) {
	for _, c := range []struct {
		name             string
		gains            Gains
		interval, kp, ki float64
	}{
		{"hardware, 1 s", HardwareGains, 1, 0.7, 0.3},
		{"hardware, 1/8 s", HardwareGains, 0.125, 0.7 * math.Pow(8, 0.3), 0.3 * math.Pow(8, -0.4)},
		{"hardware, 16 s: bounded by the interval", HardwareGains, 16, 0.7 / 16, 0.3 / 16},
		{"software, 1 s", SoftwareGains, 1, 0.1, 0.001},
		{"software, 64 s", SoftwareGains, 64, 0.1, 0.001},
	} {
		if kp, ki := c.gains.At(c.interval); math.Abs(kp-c.kp) > 1e-12 || math.Abs(ki-c.ki) > 1e-12 {
			t.Errorf("%s: kp %g, ki %g; want %g, %g", c.name, kp, ki, c.kp, c.ki)
		}
	}
}

func TestPIFirstEstimate(t *testing.T) {
	p := NewPI(HardwareGains)
	if got := p.Update(Input{Offset: 500}); got != 0 {
		t.Errorf("after one offset: %g ppb", got)
	}
	if got := p.Update(Input{Interval: 2, Offset: 700}); got != -100 || p.Hold() != -100 {
		t.Errorf("200 ns in 2 s: %g ppb, hold %g; want -100", got, p.Hold())
	}
}

func TestPIStepBetweenFirstOffsets(t *testing.T) {
	p := NewPI(HardwareGains)
	p.Update(Input{Offset: 1e9})
	p.Stepped(-1e9)
	if got := p.Update(Input{Interval: 1, Offset: 50}); got != -50 {
		t.Errorf("%g ppb after a step was accounted for, want -50", got)
	}
}

func TestPILearned(t *testing.T) {
	p := NewPI(HardwareGains)
	p.Learned(-1234)
	if got := p.Hold(); got != -1234 {
		t.Errorf("hold %g, want what was learned", got)
	}
	// no first estimate any more: the first update has an interval
	if got := p.Update(Input{Interval: 1, Offset: 10}); math.Abs(got-(-1234-10*(0.7+0.3))) > 1e-9 {
		t.Errorf("first update: %g ppb", got)
	}
}

func TestPISaturation(t *testing.T) {
	p := NewPI(HardwareGains)
	p.SetLimit(1000)
	p.Learned(500)
	before := p.Hold()
	for range 100 {
		if got := p.Update(Input{Interval: 1, Offset: -1e6}); got != 1000 {
			t.Fatalf("%g ppb, want the limit", got)
		}
	}
	if p.Hold() != before {
		t.Errorf("the integrator wound up from %g to %g ppb at the limit", before, p.Hold())
	}
	p.SetLimit(100)
	if p.Hold() != 100 {
		t.Errorf("hold %g beyond a new limit of 100", p.Hold())
	}
}

func TestNew(t *testing.T) {
	for _, c := range []struct {
		name     string
		hardware bool
		gains    Gains
	}{{NamePI, true, HardwareGains}, {NamePI, false, SoftwareGains}} {
		s := New(c.name, c.hardware)
		if p, ok := s.(*PI); !ok || p.gains != c.gains || s.Name() != c.name {
			t.Errorf("New(%q, %v) = %#v", c.name, c.hardware, s)
		}
	}
	if s := New(NameAdaptive, true); s.Name() != NameAdaptive {
		t.Errorf("New(%q) is %q", NameAdaptive, s.Name())
	}
	if s := New("pid", true); s != nil {
		t.Errorf("New of an unknown name: %#v", s)
	}
}

func TestAdaptiveLaw(t *testing.T) {
	a := NewAdaptive()
	a.SetLimit(1000)
	for _, c := range []struct {
		name string
		in   Input
		want float64
	}{
		{"frequency only", Input{Interval: 1, Estimate: estimate.State{Frequency: 100}}, -100},
		{"offset over two updates", Input{Interval: 1, Estimate: estimate.State{Offset: 50, Frequency: 100}}, -125},
		{"offset over half a second at least", Input{Interval: 0.01, Estimate: estimate.State{Offset: 50}}, -100},
		{"offset over 8 s at most", Input{Interval: 1000, Estimate: estimate.State{Offset: 80}}, -10},
		{"limit", Input{Interval: 1, Estimate: estimate.State{Offset: 1e6}}, -1000},
		{"measured offset is in the estimate already", Input{Interval: 1, Offset: 77}, 0},
	} {
		if got := a.Update(c.in); got != c.want {
			t.Errorf("%s: %g ppb, want %g", c.name, got, c.want)
		}
	}
	a.Update(Input{Interval: 1, Estimate: estimate.State{Offset: 1e3, Frequency: 40}})
	if a.Hold() != -40 {
		t.Errorf("hold %g, want what cancels the frequency error alone", a.Hold())
	}
	a.Stepped(1e9)
	a.Learned(5000)
	if a.Hold() != 1000 {
		t.Errorf("hold %g after learning beyond the limit", a.Hold())
	}
}
