// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
)

// Snapshot returns the state as it is at now, when people's clocks show wall. devices names the clocks' devices and the
// interfaces that have them.
func (e *Engine) Snapshot(now clock.Mono, wall time.Time, devices map[clock.ID]Device) *status.Snapshot {
	when := func(m clock.Mono) time.Time {
		if m == 0 {
			return time.Time{}
		}
		return wall.Add(-now.Sub(m))
	}
	s := &status.Snapshot{Version: e.env.Version, Time: wall, Started: when(e.env.Start), State: e.state,
		Changed: when(e.changed), Reason: e.reason.String(), ReasonCode: e.reason.Code.String(), Steps: e.steps,
		UTC: e.utcStatus()}
	if e.leader != nil {
		s.Selected = e.leader.ID
	}
	if l, ok := e.makeOffer(now).Line(e.shown()); ok {
		s.Offset, s.MaxError = clock.Nanoseconds(l.Offset), l.MaxError
	}
	for _, r := range e.graph.Reports(now, nil) {
		s.Clocks = append(s.Clocks, e.clockStatus(r, devices[r.ID], when))
	}
	for _, t := range e.sources {
		s.Sources = append(s.Sources, e.sourceStatus(now, t, when))
	}
	for _, ev := range e.events {
		s.Events = append(s.Events, ev.event.At(when(ev.at), ev.number))
	}
	return s
}

func (e *Engine) utcStatus() status.UTCOffset {
	o := e.scales.Offset()
	u := status.UTCOffset{Known: o.Known, Seconds: o.Seconds, Origin: o.Origin.String(), Leap: e.scales.Armed(),
		LeapDoubt: e.scales.Advice().Doubt()}
	if list := e.scales.Leaps(); list != nil {
		u.ListExpires = time.Unix(0, list.Expires().Nanoseconds).UTC()
	}
	return u
}

// Device is what the driver knows of a clock's device.
type Device struct {
	Name       string
	Interfaces []string
}

func (e *Engine) clockStatus(r discipline.Report, d Device, when func(clock.Mono) time.Time) status.Clock {
	c := status.Clock{Name: r.ID.String(), Device: d.Name, Interfaces: d.Interfaces, Scale: r.Scale.String(),
		Offset: r.Offset, OffsetRMS: r.OffsetRMS, MaxError: r.MaxError, Frequency: r.Frequency, Servo: r.Servo,
		Updated: when(r.Updated), Steps: r.Steps, Window: r.Window, State: "free"}
	if r.Method != 0 {
		c.Method = r.Method.String()
	}
	if r.Err != nil {
		c.Error = r.Err.Error()
	}
	if !r.Steered || !r.Known {
		return c
	}
	switch {
	case e.leader == nil:
		c.State = "holdover"
	case r.Locked:
		c.State = "locked"
	default:
		c.State = "acquiring"
	}
	switch {
	case r.Root && e.leader != nil:
		c.Follows = string(e.leader.ID)
	case r.Parent != 0:
		c.Follows = r.Parent.String()
	}
	return c
}

func (e *Engine) sourceStatus(now clock.Mono, t *tracked, when func(clock.Mono) time.Time) status.Source {
	s := status.Source{ID: t.ID, Kind: string(t.Kind), Name: t.Name, State: t.verdict.State.String(),
		Reason: t.verdict.Reason.String(), ReasonCode: t.verdict.Reason.Code.String(), Prefer: t.Options.Prefer, Trust: t.Options.Trust,
		Jitter: clock.Nanoseconds(t.jitter(0)), Delay: t.delay, LastSample: when(t.last), Samples: t.samples,
		Rejected: t.refused}
	if t == e.leader && !t.relate {
		why := t.whyFollowed()
		s.State, s.Reason, s.ReasonCode = source.Selected.String(), why.String(), why.Code.String()
	}
	if t.n > 0 {
		p := t.latest()
		s.Offset, s.MaxError = clock.Nanoseconds(p.residual), p.bound
		s.Estimate = t.estimated(now)
	}
	t.source.Describe(now, &s)
	return s
}

// estimated is what all the samples of a source say together.
func (s *tracked) estimated(now clock.Mono) (e status.Estimate) {
	if s.estimate.Observations() < 2 { // nothing is known of the frequency
		return e
	}
	base, est := s.estimate.At(int64(now))
	return status.Estimate{Offset: clock.Sum(time.Duration(base), clock.Nanoseconds(est.Offset)), OffsetSD: clock.Nanoseconds(est.Sigma()),
		Frequency: est.Frequency, FrequencySD: math.Sqrt(max(0, est.FrequencyVar)), Samples: s.estimate.Observations()}
}
