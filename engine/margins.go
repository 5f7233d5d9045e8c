// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/source"
)

// clearMargins forgets what may be wrong with the source followed so far.
func (e *Engine) clearMargins() {
	m := e.graph.Margins()
	m.Jump, m.Slow, m.Contradiction = 0, false, 0
	e.graph.SetMargins(m)
}

// addJumpMargin has the maximum error allow for a jump of the leader by d being wrong, besides those before. slow has the
// clocks take their time.
func (e *Engine) addJumpMargin(d time.Duration, slow bool) {
	m := e.graph.Margins()
	m.Jump, m.Slow = clock.Sum(m.Jump, d.Abs()), slow
	e.graph.SetMargins(m)
}

// contradiction is the part of the maximum error by which the sources contradict this host.
func (e *Engine) contradiction() time.Duration { return e.graph.Margins().Contradiction }

func (e *Engine) setContradiction(d time.Duration) {
	m := e.graph.Margins()
	m.Contradiction = d
	e.graph.SetMargins(m)
}

// coverContradiction has the maximum error cover what the sources say, if all of them contradict this host: it may be the one
// that is wrong. Of a leader that nobody has configured it covers whatever those that confirm it leave open.
func (e *Engine) coverContradiction(confirmed time.Duration) {
	least := min(confirmed, discipline.Unlimited)
	most := least
	for i, s := range e.sources {
		if c := &e.candidates[i]; !e.own.Known || c.State != source.Usable || c.NoSelect || c.Unconfigured || s.n == 0 {
			continue
		}
		p := s.latest()
		off := clock.Nanoseconds(math.Abs(p.residual))
		if off-p.bound <= e.own.MaxError {
			e.setContradiction(least)
			return
		}
		most = max(most, min(clock.Sum(off, p.bound, -e.own.MaxError), discipline.Unlimited))
	}
	if most > e.contradiction() {
		e.setContradiction(most)
	}
}

// scaleClocks are the host's clocks as the keeper of time scales sees them.
type scaleClocks struct{ *discipline.Graph }

// SetUTCUncertainty implements timescale.Clocks.
func (c scaleClocks) SetUTCUncertainty(d time.Duration) {
	m := c.Margins()
	m.UTC = d
	c.SetMargins(m)
}
