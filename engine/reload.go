// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
)

// Successor returns an engine for another configuration that goes on steering the same clocks: what their servos have
// learned, the host's belief and the leader's memory stay; ports and associations start anew. e is of no use any more.
func (e *Engine) Successor(now clock.Mono, cfg *configs.Config, env Env, driver Driver) *Engine {
	n := New(cfg, env, driver)
	n.now = now
	n.tree = e.tree
	n.tree.SetConfig(treeConfig(cfg), (*actuator)(n))
	n.tree.Follow(now, 0)
	n.events, n.steps, n.armed = e.events, e.steps, e.armed
	if e.utc.origin != configuredOrigin { // what is configured may have changed
		n.utc = e.utc
	}
	n.state, n.reason, n.changed, n.lostAt = e.state, e.reason, e.changed, now
	n.env.Start = e.env.Start
	return n
}

// Settle leaves the clocks at their learned frequencies: the daemon is about to end.
func (e *Engine) Settle(now clock.Mono) {
	e.now = now
	e.tree.Settle(now)
}
