// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
)

// Summary is the part of a Snapshot that changes all the time.
type Summary struct {
	State status.State
	// Selected is the source that leads, empty if none.
	Selected source.ID
	// Steps of all clocks since the start.
	Steps uint64
	// Clocks of this host, the root of the graph first.
	Clocks []discipline.Report
}

// Summary fills in s; it allocates nothing once s.Clocks has room.
func (e *Engine) Summary(now clock.Mono, s *Summary) {
	s.State, s.Steps, s.Selected = e.state, e.steps, ""
	if e.leader != nil {
		s.Selected = e.leader.ID
	}
	s.Clocks = e.graph.Reports(now, s.Clocks[:0])
}

// State returns how the host's time is kept and why, as the status has it, and the maximum error: 0 if nothing is known.
func (e *Engine) State(now clock.Mono) (s status.State, why string, maxError time.Duration) {
	maxError, _ = e.graph.MaxError(now, e.shown())
	return e.state, e.reason.String(), maxError
}
