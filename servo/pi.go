// SPDX-License-Identifier: Apache-2.0

package servo

import "math"

// Gains of a PI controller as functions of the interval T between updates, in seconds:
// kp = min(KpScale·T^KpExponent, KpNormMax/T) and ki = min(KiScale·T^KiExponent, KiNormMax/T).
type Gains struct {
	KpScale, KpExponent, KpNormMax float64
	KiScale, KiExponent, KiNormMax float64
}

var (
	// HardwareGains are those that linuxptp publishes as its defaults for hardware timestamps.
	HardwareGains = Gains{0.7, -0.3, 0.7, 0.3, 0.4, 0.3}
	// SoftwareGains are those for timestamps taken by software: constant.
	SoftwareGains = Gains{0.1, 0, math.Inf(1), 0.001, 0, math.Inf(1)}
)

// At returns the gains for updates T seconds apart. T is positive.
func (g Gains) At(t float64) (kp, ki float64) {
	return min(g.KpScale*math.Pow(t, g.KpExponent), g.KpNormMax/t),
		min(g.KiScale*math.Pow(t, g.KiExponent), g.KiNormMax/t)
}

// PI is the proportional-integral controller: its correction is −(kp·offset + drift), where drift integrates ki·offset.
// The first two offsets give the first drift. While the output is at its limit the integrator keeps its value.
type PI struct {
	gains    Gains
	limit    float64
	count    int
	first    float64 // offset of the first sample, ns
	drift    float64 // ppb that the oscillator is believed to be fast
	interval float64 // for which kp and ki hold
	kp, ki   float64
}

// NewPI returns a controller without a limit to its output and nothing learned.
func NewPI(g Gains) *PI { return &PI{gains: g, limit: math.Inf(1)} }

// Name returns "pi".
func (*PI) Name() string { return NamePI }

// Traits implements Servo.
func (*PI) Traits() Traits { return Traits{ByMeasurement: true} }

// Update implements Servo.
func (p *PI) Update(in Input) float64 {
	if p.count == 0 || in.Interval <= 0 {
		p.first = in.Offset
		p.count = max(p.count, 1)
		return -p.drift
	}
	if p.count == 1 {
		// the clock has run with drift already compensated since the first sample
		p.count = 2
		p.drift = clamp(p.drift+(1-p.drift*1e-9)*(in.Offset-p.first)/in.Interval, p.limit)
		return -p.drift
	}
	if in.Interval != p.interval {
		p.interval = in.Interval
		p.kp, p.ki = p.gains.At(in.Interval)
	}
	step := p.ki * in.Offset
	out := p.kp*in.Offset + p.drift + step
	if math.Abs(out) > p.limit {
		return -clamp(out, p.limit)
	}
	p.drift += step
	return -out
}

// Hold implements Servo.
func (p *PI) Hold() float64 { return -p.drift }

// Learned implements Servo: the first two offsets are not needed any more.
func (p *PI) Learned(ppb float64) {
	p.drift, p.count = clamp(-ppb, p.limit), 2
}

// Stepped implements Servo.
func (p *PI) Stepped(d float64) { p.first += d }

// SetLimit implements Servo.
func (p *PI) SetLimit(ppb float64) {
	p.limit = ppb
	p.drift = clamp(p.drift, ppb)
}
