// SPDX-License-Identifier: Apache-2.0

package servo

import "math"

// Adaptive is a PI controller whose integrator is the frequency error that an estimate.Estimator found, and whose
// proportional part takes away the estimated offset: −(frequency + offset/τ). The gains towards the measured offset are the
// estimator's, which follow the ratio of the measurements' noise to the oscillator's wander.
type Adaptive struct {
	limit   float64
	learned float64
}

// The time constant in which an estimated offset is taken away: two updates, and no longer than maxTau seconds.
const (
	tauUpdates = 2
	minTau     = 0.5 // shorter ones gain nothing, and overshoot where the daemon is kept from running
	maxTau     = 8
	// where an estimate is so uncertain that it would have the frequency jump by more than this, in ppb, it is longer
	calm = 200
	// an offset that is large and beyond doubt is taken away at once
	farAway   = 300 // ns
	farSigmas = 8
	farTau    = 0.25
)

// NewAdaptive returns a servo without a limit to its output and nothing learned.
func NewAdaptive() *Adaptive { return &Adaptive{limit: math.Inf(1)} }

// Name returns "adaptive".
func (*Adaptive) Name() string { return NameAdaptive }

// Traits implements Servo.
func (*Adaptive) Traits() Traits { return Traits{} }

// Update implements Servo. Input.Offset is not used: it is in the estimate already.
func (a *Adaptive) Update(in Input) float64 {
	a.learned = clamp(-in.Estimate.Frequency, a.limit)
	tau := max(minTau, min(maxTau, max(tauUpdates*in.Interval, in.Estimate.Sigma()/calm)))
	if off := math.Abs(in.Estimate.Offset); off > farAway && off > farSigmas*in.Estimate.Sigma() {
		tau = farTau
	}
	return clamp(-in.Estimate.Frequency-in.Estimate.Offset/tau, a.limit)
}

// Hold implements Servo.
func (a *Adaptive) Hold() float64 { return a.learned }

// Learned implements Servo.
func (a *Adaptive) Learned(ppb float64) { a.learned = clamp(ppb, a.limit) }

// Stepped implements Servo: estimates know of steps.
func (a *Adaptive) Stepped(float64) {}

// SetLimit implements Servo.
func (a *Adaptive) SetLimit(ppb float64) { a.limit, a.learned = ppb, clamp(a.learned, ppb) }
