// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"maps"
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/status"
)

// tellKernel has the kernel know what the daemon knows of the system clock.
func (e *Engine) tellKernel(now clock.Mono) {
	if !e.tree.Steers(clock.System) {
		return
	}
	s := clock.Status{MaxError: 16 * time.Second, EstError: 16 * time.Second, TAIOffset: e.scales.Offset().Seconds,
		TAIOffsetValid: e.scales.Offset().Known, Leap: e.scales.Armed()}
	if bound, ok := e.tree.MaxError(now, clock.System); ok {
		s.MaxError = bound
		if est, ok := e.tree.Estimate(now, clock.System); ok {
			s.EstError = clock.Nanoseconds(min(math.Abs(est.Offset)+est.Sigma(), 16e9))
		}
		s.Synchronized = e.state == status.Locked || e.state == status.Holdover ||
			e.state == status.Acquiring && e.tree.Trusted(clock.System)
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
	for _, r := range e.tree.Reports(now, nil) {
		if r.Steered && e.tree.Trusted(r.ID) && (id == 0 || id == r.ID) {
			e.frequencies[r.ID.String()] = r.Learned
			e.learned = true
		}
	}
}
