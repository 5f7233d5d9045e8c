// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/timescale"
)

// toy is a source that is as the test has it.
type toy struct {
	info     source.Info
	standing source.Standing
	claim    timescale.Claim
	needs    []source.Need
	verdict  source.Verdict
	changes  []source.Change
}

func (t *toy) Info() source.Info                          { return t.info }
func (t *toy) Standing(clock.Mono) source.Standing        { return t.standing }
func (t *toy) Claim() timescale.Claim                     { return t.claim }
func (t *toy) Need(_ clock.Mono, n source.Need)           { t.needs = append(t.needs, n) }
func (t *toy) Judged(_ clock.Mono, v source.Verdict)      { t.verdict = v }
func (t *toy) ClockChanged(_ clock.Mono, c source.Change) { t.changes = append(t.changes, c) }
func (t *toy) Wake(clock.Mono)                            {}
func (t *toy) NextWake() clock.Mono                       { return clock.Never }
func (t *toy) Describe(clock.Mono, *status.Source)        {}
