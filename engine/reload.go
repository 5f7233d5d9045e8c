// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"slices"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/estimate"
	"github.com/lockstep-time/lockstep/servo"
	"github.com/lockstep-time/lockstep/source"
)

// Successor returns an engine for another configuration that goes on steering the same clocks: what their servos have
// learned, the host's belief and the leader's memory stay; sources are registered anew. e is of no use any more.
func (e *Engine) Successor(now clock.Mono, cfg Config, env Env, driver Driver) *Engine {
	n := newEngine(cfg, env, driver, e.graph)
	n.now = now
	n.graph.Follow(now, 0)
	n.events, n.told, n.steps, n.learned = e.events, e.told, e.steps, e.learned
	n.scales.Adopt(e.scales)
	n.epochs = e.epochs
	n.offer.Store(e.offer.Load())
	n.state, n.reason, n.changed, n.lostAt = e.state, e.reason, e.changed, now
	n.env.Start = e.env.Start
	n.findUTCOffset(now)
	return n
}

// Resteer has the clocks steered by the servo, and those of them, that the configuration says now; clocks are all there
// are, the system clock among them. Learned frequencies, and the belief of where the host is, stay; how the clocks compare
// is measured again. While a clock that was locked is away from its reference it does nothing and returns false: as a
// clock of which nothing is known it might be stepped.
func (e *Engine) Resteer(now clock.Mono, clocks []ClockInfo) (done bool) {
	e.now = now
	reports := e.graph.Reports(now, nil)
	for _, r := range reports {
		if r.Steered && !r.Locked && e.graph.Trusted(r.ID) {
			return false
		}
	}
	root := clock.System // which sources of any kind can go on from; crossings are yet to be made
	belief, known := e.graph.Estimate(now, root)
	if !known {
		root = e.graph.Root()
		belief, known = e.graph.Estimate(now, root)
	}
	bound, _ := e.graph.MaxError(now, root)
	e.learn(now, 0)
	anew := make([]discipline.Info, len(clocks))
	for i, c := range clocks {
		anew[i] = e.anew(now, c, reports)
	}
	for _, r := range slices.Backward(reports) { // the root last
		e.graph.Remove(now, r.ID)
	}
	for _, in := range anew {
		e.graph.Add(now, in)
		e.outdate(in.ID)
	}
	if known {
		e.takeUp(now, root, belief, bound)
	}
	return true
}

// anew returns a clock as the graph is to see it from now on, set to its learned frequency.
func (e *Engine) anew(now clock.Mono, c ClockInfo, reports []discipline.Report) discipline.Info {
	in := c.node()
	if c.Steer {
		in.Servo = servo.New(e.cfg.Servo, c.Hardware)
		in.Trusted = e.graph.Trusted(c.ID)
	}
	if est, ok := e.graph.Estimate(now, c.ID); ok {
		in.Sigma = math.Sqrt(max(est.FrequencyVar, 1))
	} else if _, ok := e.frequencies[c.ID.String()]; ok {
		in.Sigma = savedSigma
	}
	for _, r := range reports {
		if r.ID != c.ID || !r.Steered {
			continue
		}
		if applied, at, err := (*actuator)(e).SetFrequency(c.ID, r.Learned); err == nil {
			in.Frequency, in.Reading = applied, at
		}
	}
	return in
}

// takeUp has the graph believe of its root what was believed before.
func (e *Engine) takeUp(now clock.Mono, root clock.ID, belief estimate.State, bound time.Duration) {
	at, _, ok := e.graph.Frequency(now, root)
	if !ok {
		return
	}
	e.graph.Follow(now, root)
	e.clearMargins()
	whole := math.Round(belief.Offset)
	e.graph.Sample(now, source.Sample{At: at, Offset: clock.Int64(whole), OffsetFraction: belief.Offset - whole,
		Variance: max(belief.OffsetVar, 1), MaxError: bound, Interval: time.Second})
	if e.leader == nil {
		e.graph.Follow(now, 0)
	}
}

// SetLeaps takes another leap-seconds list, which may be a newer one of the same file.
func (e *Engine) SetLeaps(leaps *clock.LeapTable) { e.scales.SetLeaps(leaps) }

// SettleClock leaves one clock at its learned frequency, before it is removed.
func (e *Engine) SettleClock(now clock.Mono, id clock.ID) {
	e.now = now
	e.graph.SetLearnedFrequency(now, id)
}

// Settle leaves the clocks at their learned frequencies: the daemon is about to end.
func (e *Engine) Settle(now clock.Mono) {
	e.now = now
	e.graph.SetLearnedFrequencies(now)
}
