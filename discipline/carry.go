// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/estimate"
	"github.com/lockstep-time/lockstep/source"
)

// OnSystem returns a measurement of a PHC as one of the system clock, by how the two compare: their crossings tell that
// whatever TAI − UTC is. m's offset is the PHC less a source on UTC, on no common scale. It is not ok before there are
// crossings.
func (t *Tree) OnSystem(now clock.Mono, m source.Sample) (_ source.Sample, ok bool) {
	n, system := t.node(m.At.Clock()), t.node(clock.System)
	if n == nil || system == nil {
		return m, false
	}
	o := n.observation(m)
	way, ok := t.path(n, system)
	if !ok {
		return m, false
	}
	est, base, free, open := estimate.State{}, o.Offset, o.Time, bracket{known: true}
	for _, h := range way {
		est, base, free = h.edge.carry(h.to, est, base, free)
		open = h.edge.carryBracket(h.to, open, now)
	}
	whole, fraction := system.correctionAt(free, now)
	m.At = clock.At(clock.System, free+whole)
	m.Offset, m.OffsetFraction = base+whole, est.Offset+o.OffsetFraction+fraction
	m.Variance += est.OffsetVar
	if m.DelayVariance > 0 {
		m.DelayVariance += est.OffsetVar
	}
	m.MaxError = clock.Sum(m.MaxError, clock.Nanoseconds(open.most(0)), 1)
	return m, true
}
