// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"log/slog"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
)

const (
	// warmUp is how many samples of a new source are judged at once, not at the next interval.
	warmUp = 4
	// grace is how long after the start the most preferred kind of source is waited for, and a rival of it.
	grace      = 6 * time.Second
	rivalGrace = 3 * time.Second
	// suspectHold is how long a jump of the only source is not followed, and watchedHold that of one beside others that
	// neither have jumped nor exclude it.
	suspectHold = 30 * time.Second
	watchedHold = 15 * time.Minute
	// wildRate is how fast, as a ratio, a clock may run off that nothing is known of, and tameRate one that is locked.
	wildRate = 500e-6
	tameRate = 100e-9
	// trendNeeded is how many measurements have to say how fast it runs off, if nothing else does.
	trendNeeded = 4
)

// soon has the sources judged at the next opportunity.
func (e *Engine) soon(now clock.Mono) { e.nextSelect = min(e.nextSelect, now) }

// choose judges all sources and follows the best.
func (e *Engine) choose(now clock.Mono) {
	e.nextSelect = now.Add(selectInterval)
	e.findUTCOffset(now)
	e.reviewLeap(now)
	e.believe(now)
	e.candidates = e.candidates[:0]
	for _, s := range e.sources {
		e.clearSuspicion(now, s)
		e.candidates = append(e.candidates, e.candidate(now, s))
	}
	result := e.selector.Select(e.candidates, e.own)
	for i, s := range e.sources {
		good := s.verdict.State == source.Selected || s.verdict.State == source.Usable
		s.verdict = result.Verdicts[i]
		if !s.Traits.Combinable && good && s.verdict.State == source.Falseticker && e.own.Known && !s.suspect {
			// it would lead again as soon as the intervals overlap: it has to agree first
			s.suspect, s.since = true, now
			s.tell(now, status.SourceDoubted, slog.Any("reason", s.verdict.Reason))
		}
		if s.suspect && e.own.Known && s.verdict.State != source.Falseticker && s.verdict.State != source.Unconfirmed &&
			e.candidates[i].State == source.Usable {
			s.suspect, s.absolved = false, false
			s.tell(now, status.SourceAgrees)
		}
	}
	e.follow(now, e.leading(now, result.Leader))
	e.coverContradiction(result.Confirmed)
	for _, s := range e.sources {
		s.source.Judged(now, s.verdict)
	}
	e.judgeState(now)
}

// believe says what the host itself knows of the time.
func (e *Engine) believe(now clock.Mono) {
	id := e.graph.Root()
	e.own = source.Own{}
	if id == 0 || !e.graph.Known() || e.graph.LastSample() == 0 {
		return
	}
	if bound, ok := e.graph.VotingError(now, id); ok && e.graph.Trusted(id) {
		e.own = source.Own{Known: true, Sigma: e.graph.Sigma(now, id), MaxError: bound - e.contradiction()}
	}
}

// candidate says what a source has to offer.
func (e *Engine) candidate(now clock.Mono, s *tracked) source.Candidate {
	standing := s.source.Standing(now)
	c := source.Candidate{ID: s.ID, Kind: s.Kind, Options: s.Options, Traits: s.Traits, Suspect: s.suspect,
		State: standing.State, Reason: standing.Reason, Rank: standing.Rank}
	if c.State != source.Usable {
		return c
	}
	if s.n == 0 {
		c.State, c.Reason = source.WarmingUp, source.Reason{Code: source.NoUTCOffset}
		// what sources measure is compared on the system clock, which keeps UTC, or without one on a PHC, which keeps TAI
		if e.scales.Offset().Known || (s.source.Claim().Scale == clock.UTC) == e.graph.Has(clock.System) {
			c.Reason.Code = source.NoCrossing
		}
		return c
	}
	trend, rate := 0.0, tameRate
	if !e.own.Known {
		trend, rate = s.trend()
	}
	p, bound := s.best(now, rate)
	if !s.Traits.Combinable {
		p = *s.latest()
		bound = clock.Sum(p.bound, clock.Nanoseconds(rate*float64(now.Sub(p.at))))
	}
	c.Offset = clock.Nanoseconds(p.residual + trend*float64(now.Sub(p.at)))
	c.Sigma = clock.Nanoseconds(s.jitter(trend))
	c.MaxError = clock.Sum(bound, c.Sigma, c.Sigma, c.Sigma)
	if s.bias.known() {
		c.Bias = clock.Nanoseconds(s.bias.ns)
	}
	return c
}

// leading returns the source to follow: the selected one, unless it is worth waiting for another at the start. A PHC
// whose source cannot be related to UTC follows that source if there is nothing else.
func (e *Engine) leading(now clock.Mono, id source.ID) *tracked {
	s := e.byID(id)
	started := now.Sub(e.env.Start)
	if s == nil {
		return e.island(now)
	}
	if e.leader == nil && !e.graph.Known() {
		if started < grace && e.preferredPending(now, s) {
			return nil
		}
		if started < rivalGrace && e.rivalPending(s) {
			return nil
		}
	}
	return s
}

// clearSuspicion ends the suspicion against a source that jumped a while ago and that nothing speaks against but this host.
func (e *Engine) clearSuspicion(now clock.Mono, s *tracked) {
	hold := suspectHold
	if e.watched(now, s) {
		hold = watchedHold
	}
	if s.suspect && now.Sub(s.since) >= hold && s.verdict.State == source.Falseticker &&
		s.verdict.Reason.Code == source.HasJumped {
		s.suspect, s.absolved = false, true
	}
}

// accept moves the host's belief to the new time of a source that was suspect.
func (e *Engine) accept(now clock.Mono, s *tracked) {
	s.absolved = false
	s.tell(now, status.SourceAccepted)
	d := e.moveTo(now, s, s.sample)
	e.addJumpMargin(d, e.watched(now, s))
}

// watched reports whether there are other sources that may come to contradict s.
func (e *Engine) watched(now clock.Mono, s *tracked) bool {
	for _, o := range e.sources {
		if o != s && o.eligible() && !o.suspect && o.usable(now) {
			return true
		}
	}
	return false
}

// usable reports whether the source can be used, as far as its protocol knows.
func (s *tracked) usable(now clock.Mono) bool { return s.source.Standing(now).State == source.Usable }

// eligible reports whether the source may be followed without the confirmation of others.
func (s *tracked) eligible() bool { return !s.Options.NoSelect && !s.Options.Unconfigured }

// island returns the best source that cannot be related to UTC but can steer its PHC.
func (e *Engine) island(now clock.Mono) *tracked {
	for _, s := range e.sources {
		if s.source.Claim().Scale == clock.UTC && !s.Options.NoSelect && s.usable(now) {
			return nil // it tells the system clock's time, and the PHC follows that
		}
	}
	for _, s := range e.sources {
		if e.cfg.Policy.MinSources <= 1 && !s.relate && s.eligible() && s.clock != clock.System && s.usable(now) {
			return s
		}
	}
	return nil
}

func (e *Engine) byID(id source.ID) *tracked {
	for _, s := range e.sources {
		if s.ID == id && id != "" {
			return s
		}
	}
	return nil
}

// preferredPending reports whether a source of a kind that ranks above s may still come up.
func (e *Engine) preferredPending(now clock.Mono, s *tracked) bool {
	if !s.Traits.Combinable {
		return false
	}
	for _, o := range e.sources {
		if !o.Traits.Combinable && o.eligible() && o.source.Standing(now).Pending() {
			return true
		}
	}
	return false
}

// rivalPending reports whether sources that could contradict s are still on their way to the first sample.
func (e *Engine) rivalPending(s *tracked) bool {
	for _, o := range e.sources {
		if o != s && o.Traits.Combinable && o.fresh == 0 && !o.Options.NoSelect {
			return true
		}
	}
	return false
}

// follow has the clocks follow s from now on, nil for none.
func (e *Engine) follow(now clock.Mono, s *tracked) {
	if s == e.leader && (s == nil || s.clock == e.graph.Root()) {
		return
	}
	old := e.leader
	e.leader, e.proven = s, e.proven && s == old
	e.tellNeeds(now)
	e.offerSoon(now)
	if s == nil {
		e.lostAt = now
		e.graph.Follow(now, 0)
		if old.arbitrary {
			e.graph.Forget() // what was believed says nothing of any other source
		}
		why := old.verdict.Reason
		if old.suspect {
			why = source.Reason{Code: source.JumpedAlone}
		}
		old.tell(now, status.SourceLost, slog.Any("reason", why))
		return
	}
	if old != s {
		s.tell(now, status.SourceFollowed, slog.Any("reason", s.whyFollowed()))
	}
	e.relateScale()
	again := e.graph.Root() == s.clock
	e.graph.Follow(now, s.clock)
	if e.graph.Has(s.clock) {
		e.clearMargins()
	}
	e.place(s)
	switch {
	case s.absolved:
		e.accept(now, s)
	case s.fresh == 0 || s.age(now) > time.Second:
	case !e.graph.Known():
		e.begin(now, s)
	case again && s.relate: // it may be long until the next one
		e.steerBy(now, s, s.latestResidual(), s.sample)
	}
}

// begin has the graph believe what a source has measured so far.
func (e *Engine) begin(now clock.Mono, s *tracked) {
	before := s.latestResidual()
	if between, ok := s.sample.At.Sub(s.before.At); ok && between > 0 && between < 4*time.Second {
		e.graph.Prime(s.before)
	}
	e.graph.Sample(now, s.sample)
	if e.graph.Known() {
		e.rebase(before)
	}
}

// whyFollowed says why the source leads.
func (s *tracked) whyFollowed() source.Reason {
	if !s.relate {
		return source.Reason{Code: source.Unrelated}
	}
	return s.verdict.Reason
}
