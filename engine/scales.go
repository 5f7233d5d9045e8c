// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"log/slog"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/timescale"
)

// witness is a source as the keeper of time scales weighs it.
func (s *tracked) witness(now clock.Mono) timescale.Witness {
	state := s.source.Standing(now).State
	v := s.verdict.State
	w := timescale.Witness{Name: string(s.ID), Claim: s.source.Claim(), Leads: s == s.engine.leader,
		Configured: !s.Options.Unconfigured, Followable: !s.Options.NoSelect,
		Usable:      state == source.Usable,
		Agrees:      v == source.Selected || v == source.Combined || v == source.Usable,
		Falseticker: v == source.Falseticker, Suspect: s.suspect}
	if s.fresh > 0 && s.clock != clock.System {
		w.HasTAI, w.TAI = true, s.sample.At.Nanoseconds()-s.sample.Offset
	}
	if s.n > 0 {
		w.HasResidual, w.Residual, w.At = true, s.latest().residual, s.latest().at
	}
	return w
}

// witnesses returns all sources. It is valid until the next call.
func (e *Engine) witnesses(now clock.Mono) []timescale.Witness {
	e.weighed = e.weighed[:0]
	for _, s := range e.sources {
		e.weighed = append(e.weighed, s.witness(now))
	}
	return e.weighed
}

// offset returns TAI − UTC in seconds for the time of the source.
func (s *tracked) offset(now clock.Mono) (seconds int, known bool) {
	w := s.witness(now)
	return s.engine.scales.OffsetFor(&w)
}

// findUTCOffset finds TAI − UTC.
func (e *Engine) findUTCOffset(now clock.Mono) {
	e.scales.Review(now, e.witnesses(now))
	e.relateScale()
}

// relateScale tells the graph whether UTC follows from the time of the source that leads.
func (e *Engine) relateScale() {
	o := e.scales.Offset()
	e.graph.SetUTCOffset(o.Seconds, o.Known && (e.leader == nil || !e.leader.arbitrary))
}

// reviewLeap finds out whether the sources have had the last leap second. Where they have not, what sources on UTC said of
// the time before is undone.
func (e *Engine) reviewLeap(now clock.Mono) {
	undone, ok := e.scales.ReviewLeap(now, e.witnesses(now))
	if !ok {
		return
	}
	e.relateScale()
	for _, s := range e.sources {
		if s.source.Claim().Scale == clock.UTC {
			s.forgetBefore(undone.Since)
			s.rebase(-float64(undone.Leap) * 1e9)
			s.bias = bias{}
			s.renew()
		}
	}
}

// rearmLeap has the leap second armed anew: the system clock was set.
func (e *Engine) rearmLeap(now clock.Mono) {
	if e.scales.Rearm(now) {
		e.offerSoon(now)
	}
}

// tellOfScale tells of a change of time scales or leap seconds.
func (e *Engine) tellOfScale(now clock.Mono, ev timescale.Event) {
	e.offerSoon(now)
	seconds := slog.Int("seconds", ev.Offset.Seconds)
	origin := slog.Any("origin", ev.Offset.Origin)
	reason := slog.Any("reason", ev.Advice)
	switch ev.Kind {
	case timescale.OffsetChanged:
		if !ev.Offset.Known {
			e.tell(now, status.UTCOffsetUnknown, "")
			return
		}
		e.tell(now, status.UTCOffsetChanged, "", seconds, origin)
	case timescale.OffsetDisputed:
		e.tell(now, status.UTCOffsetDisputed, "", seconds, origin, slog.Int("former", ev.Former.Seconds))
	case timescale.LeapDoubted:
		e.tell(now, status.LeapDoubted, "", slog.String("reason", ev.Advice.Doubt()))
	case timescale.LeapArmed:
		if ev.Leap == clock.NoLeap {
			e.tell(now, status.LeapDisarmed, "", reason)
			return
		}
		e.tell(now, status.LeapArmed, "", slog.Int("leap", int(ev.Leap)), reason)
	case timescale.LeapTakenOver:
		e.tell(now, status.LeapTakenOver, "", slog.Int("leap", int(ev.Leap)))
	case timescale.LeapCarriedOut:
		e.leapPassed, e.leapAt = true, now
		fields := []slog.Attr{slog.Int("leap", int(ev.Leap))}
		if ev.Offset.Known {
			fields = append(fields, seconds)
		}
		e.tell(now, status.LeapCarriedOut, "", fields...)
	case timescale.LeapConfirmed:
		e.tell(now, status.LeapConfirmed, "", slog.Int("votes", ev.Advice.Votes), slog.Int("voters", ev.Advice.Voters))
	case timescale.LeapUndone:
		e.tell(now, status.LeapUndone, "", slog.Int("leap", int(ev.Leap)))
	}
}
