// SPDX-License-Identifier: Apache-2.0

// Package servo has the steering laws, which turn the measured or the estimated offset of a clock into its frequency
// correction. Nothing in it asks what time it is or allocates while it runs; a value of its types belongs to one
// goroutine.
package servo

import "github.com/lockstep-time/lockstep/estimate"

// Input is what a servo is told at each update.
type Input struct {
	// Interval since the last update in seconds of the reference, positive. 0 at the first one.
	Interval float64
	// Offset is the clock less its reference as measured, in ns.
	Offset float64
	// Estimate of the clock at the same instant.
	Estimate estimate.State
}

// Servo is a steering law. It belongs to a clock and survives a change of the clock's source: what it has learned is a
// property of the oscillator.
type Servo interface {
	// Name of the law, as the configuration spells it.
	Name() string
	// Traits of the law never change.
	Traits() Traits
	// Update returns the frequency correction, in ppb, with which the clock is to run until the next update. It stays
	// within the limit given to SetLimit.
	Update(in Input) (ppb float64)
	// Hold returns the correction that cancels the oscillator's learned error and no offset: what holdover keeps.
	Hold() (ppb float64)
	// Learned has the servo start from a correction known otherwise: the clock's own of before, or a saved one.
	Learned(ppb float64)
	// Stepped says that the clock has been stepped by d ns since the last update.
	Stepped(d float64)
	// SetLimit bounds |Update| to ppb.
	SetLimit(ppb float64)
}

// Traits are what a law needs of those who use it.
type Traits struct {
	// ByMeasurement: the law works by Input.Offset, so it is updated with each measurement and not between two, and what its
	// integrator has learned is the frequency that it deviates from to take an offset away. Other laws work by Input.Estimate:
	// they may be updated at any time, and deviate from the estimated frequency.
	ByMeasurement bool
}

// Names of the steering laws.
const (
	NamePI       = "pi"
	NameAdaptive = "adaptive"
)

// New returns the servo of that name, nil if there is none. Hardware says whether the offsets come from hardware
// timestamps; the plain PI has other constants without.
func New(name string, hardware bool) Servo {
	switch name {
	case NamePI:
		if hardware {
			return NewPI(HardwareGains)
		}
		return NewPI(SoftwareGains)
	case NameAdaptive:
		return NewAdaptive()
	}
	return nil
}

func clamp(v, limit float64) float64 { return max(-limit, min(limit, v)) }
