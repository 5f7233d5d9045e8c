// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"log/slog"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
)

// judgeState says how the host's time is kept.
func (e *Engine) judgeState(now clock.Mono) {
	if e.graph.Panicked() {
		return
	}
	if e.leader != nil {
		state, reason := e.progress(now)
		e.setState(now, state, reason)
		return
	}
	if !e.graph.Known() {
		if e.state != status.Starting || now.Sub(e.env.Start) > grace {
			e.setState(now, status.Unsynchronised, e.whyNone())
		}
		return
	}
	shown := e.shown()
	bound, ok := e.graph.MaxError(now, shown)
	limit, age := e.cfg.HoldoverLimit, now.Sub(e.lostAt)
	switch {
	case !ok || !e.graph.Trusted(shown):
		e.setState(now, status.Unsynchronised, e.whyNone())
	case bound-e.contradiction() > limit:
		e.setState(now, status.Unsynchronised, status.Reason{Code: status.ErrorTooLarge, A: bound, B: limit})
	case age > e.cfg.HoldoverMaxAge:
		e.setState(now, status.Unsynchronised, status.Reason{Code: status.SilentTooLong, A: e.cfg.HoldoverMaxAge})
	default:
		e.setState(now, status.Holdover, status.Reason{Code: status.HoldingOver})
	}
}

// progress says how far the clock that stands for the host has come on the way to the leader.
func (e *Engine) progress(now clock.Mono) (status.State, status.Reason) {
	_, known := e.graph.Estimate(now, e.shown())
	state, code := status.Acquiring, status.Approaching
	switch {
	case known && e.graph.Locked(now):
		state, code = status.Locked, status.Following
	case known || !e.graph.Known():
	case e.leader.arbitrary:
		state, code = status.Unsynchronised, status.ArbitraryScale
	case !e.scales.Offset().Known:
		state, code = status.Unsynchronised, status.NoUTCOffset
	}
	return state, status.Reason{Code: code, Source: e.leader.ID}
}

// whyNone says why there is no source.
func (e *Engine) whyNone() status.Reason {
	for _, s := range e.sources {
		switch s.verdict.Reason.Code {
		case source.NoMajority, source.TooFew, source.NeedsMajority:
			return status.Reason{Code: status.NoneFollowed, Why: s.verdict.Reason}
		}
	}
	if e.lostAt == 0 {
		return status.Reason{Code: status.NeverUsable}
	}
	return status.Reason{Code: status.NoneUsable}
}

// shown is the clock that stands for the host in the status: the system clock, unless that is not to be steered.
func (e *Engine) shown() clock.ID {
	root := e.graph.Root()
	switch {
	case e.graph.Steers(clock.System):
		return clock.System
	case e.graph.Steers(root):
		return root
	}
	for id := range e.graph.PHCs() {
		if e.graph.Steers(id) {
			return id
		}
	}
	return root
}

func (e *Engine) setState(now clock.Mono, s status.State, why status.Reason) {
	if s == e.state && why == e.reason {
		return
	}
	if s != e.state {
		e.tell(now, status.StateChanged, "", slog.String("state", string(s)), slog.Any("reason", why))
	}
	if s != e.state || why.Source != e.reason.Source {
		e.changed = now
	}
	e.state, e.reason = s, why
	e.offerSoon(now)
}
