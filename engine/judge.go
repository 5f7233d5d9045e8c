// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"strings"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
)

// judgeState says how the host's time is kept.
func (e *Engine) judgeState(now clock.Mono) {
	if e.tree.Panicked() {
		return
	}
	if e.leader != nil {
		state, how := e.progress(now)
		if j := (judgement{e.leader, how}); j != e.judged || state != e.state {
			e.judged = j
			e.setState(now, state, strings.ReplaceAll(how, "%", string(e.leader.ID)))
		}
		return
	}
	e.judged = judgement{}
	if !e.tree.Known() {
		if e.state != status.Starting || now.Sub(e.env.Start) > grace {
			e.setState(now, status.Unsynchronised, e.nobody())
		}
		return
	}
	shown := e.shown()
	bound, ok := e.tree.MaxError(now, shown)
	limit, age := e.cfg.HoldoverLimit, now.Sub(e.lostAt)
	switch {
	case !ok || !e.tree.Trusted(shown):
		e.setState(now, status.Unsynchronised, e.nobody())
	case bound-e.contradiction() > limit:
		e.setState(now, status.Unsynchronised, fmt.Sprintf("maximum error %v without a source exceeds %v", bound, limit))
	case age > e.cfg.HoldoverMaxAge:
		e.setState(now, status.Unsynchronised, fmt.Sprintf("no source for %v", e.cfg.HoldoverMaxAge))
	default:
		e.setState(now, status.Holdover, "no usable source; the learned frequencies are kept")
	}
}

// judgement is what the reason for the state is about, while there is a leader.
type judgement struct {
	leader *tracked
	how    string
}

// progress says how far the clock that stands for the host has come on the way to the leader: % in the sentence.
func (e *Engine) progress(now clock.Mono) (state status.State, how string) {
	_, known := e.tree.Estimate(now, e.shown())
	switch {
	case known && e.tree.Locked(now):
		return status.Locked, "following %"
	case known || !e.tree.Known():
	case e.leader.arbitrary:
		return status.Unsynchronised, "the timescale of % is arbitrary: only the PHC is steered"
	case !e.scales.Offset().Known:
		return status.Unsynchronised, "the UTC offset is unknown: only the PHC is steered, by %"
	}
	return status.Acquiring, "on the way to %"
}

// nobody says why there is no source.
func (e *Engine) nobody() string {
	for _, s := range e.sources {
		switch s.verdict.Reason.Code {
		case source.NoMajority, source.TooFew, source.NeedsMajority:
			return "no source is followed: " + s.verdict.Reason.String()
		}
	}
	if e.lostAt == 0 {
		return "no source has been usable since the start"
	}
	return "no source is usable"
}

// shown is the clock that stands for the host in the status: the system clock, unless that is not to be steered.
func (e *Engine) shown() clock.ID {
	root := e.tree.Root()
	switch {
	case e.tree.Steers(clock.System):
		return clock.System
	case e.tree.Steers(root):
		return root
	}
	for id := range e.tree.PHCs() {
		if e.tree.Steers(id) {
			return id
		}
	}
	return root
}

func (e *Engine) setState(now clock.Mono, s status.State, why string) {
	if s == e.state && why == e.reason {
		return
	}
	if s != e.state {
		e.note(now, fmt.Sprintf("%s: %s", s, why))
	}
	e.state, e.reason, e.changed = s, why, now
}
