// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"maps"
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/offer"
)

// unknownError is a maximum error with which the kernel takes the clock for unsynchronised.
const unknownError = 16 * time.Second

// leapTime is how long the kernel may take to carry out a leap second after the clock has passed it: one tick, 10 ms at the
// most, and the rest for a clock that is not where it is believed to be. Told before that that there is none, it would not.
const leapTime = 500 * time.Millisecond

// tellKernel has the kernel know what is offered of the system clock.
func (e *Engine) tellKernel(o *offer.Offer) {
	if !e.graph.Steers(clock.System) || e.leapPassed && o.Made.Sub(e.leapAt) < leapTime {
		return
	}
	e.leapPassed = false
	s := clock.Status{MaxError: unknownError, EstError: unknownError, TAIOffset: o.UTCOffset.Seconds,
		TAIOffsetValid: o.UTCOffset.Known, Leap: o.Leap}
	if l, ok := o.Line(clock.System); ok {
		s.MaxError, s.Synchronized = l.MaxError, o.Synchronized
		s.EstError = clock.Nanoseconds(min(math.Abs(l.Offset)+l.Sigma, float64(unknownError)))
	}
	e.driver.SetKernel(s)
}

// Saved is what outlives the daemon.
type Saved struct {
	// Frequencies are the learned corrections of the clocks by name, in ppb.
	Frequencies map[string]float64 `json:"frequencies_ppb"`
	// UTCOffset is TAI − UTC in seconds, 0 if it was not known.
	UTCOffset int `json:"utc_offset"`
}

// Save returns what is to outlive the daemon, and whether it is worth saving: only what has been locked is.
func (e *Engine) Save(now clock.Mono) (Saved, bool) {
	e.learn(now, 0)
	return Saved{Frequencies: maps.Clone(e.frequencies), UTCOffset: e.scales.OffsetToSave()}, e.learned
}

// learn keeps what has been learned of a clock that has been locked, for when it or the daemon comes back; of all with the
// zero ID.
func (e *Engine) learn(now clock.Mono, id clock.ID) {
	for _, r := range e.graph.Reports(now, nil) {
		if r.Steered && e.graph.Trusted(r.ID) && (id == 0 || id == r.ID) {
			e.frequencies[r.ID.String()] = r.Learned
			e.learned = true
		}
	}
}
