// SPDX-License-Identifier: Apache-2.0

package estimate

import "math"

// State is what is estimated of a clock against its reference at some instant, and how well it is known.
type State struct {
	// Offset of the clock in ns, positive when ahead; Frequency error in ppb, positive when fast.
	Offset, Frequency float64
	// OffsetVar (ns²), FrequencyVar (ppb²) and Cov (ns·ppb) are the covariance of the two.
	OffsetVar, FrequencyVar, Cov float64
}

// Sigma returns the standard deviation of Offset, in ns.
func (s State) Sigma() float64 { return math.Sqrt(max(0, s.OffsetVar)) }

// After returns the estimate dt seconds later, for an oscillator whose frequency walks by wander ppb per root second.
func (s State) After(dt, wander float64) State {
	q := wander * wander
	s.Offset += s.Frequency * dt
	s.OffsetVar += 2*dt*s.Cov + dt*dt*s.FrequencyVar + q*dt*dt*dt/3
	s.Cov += dt*s.FrequencyVar + q*dt*dt/2
	s.FrequencyVar += q * dt
	return s
}

// Plus returns the estimate of the sum of two independent estimates: a against b, and b against c, give a against c.
func (s State) Plus(o State) State {
	return State{s.Offset + o.Offset, s.Frequency + o.Frequency, s.OffsetVar + o.OffsetVar,
		s.FrequencyVar + o.FrequencyVar, s.Cov + o.Cov}
}

// Minus returns the estimate of the difference of two independent estimates.
func (s State) Minus(o State) State {
	o.Offset, o.Frequency = -o.Offset, -o.Frequency
	return s.Plus(o)
}
