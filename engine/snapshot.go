// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/ptp/wire"
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
		Changed: when(e.changed), Reason: e.reason, Steps: e.steps,
		UTC: status.UTCOffset{Known: e.utc.known, Seconds: e.utc.seconds, Origin: e.utc.origin, Leap: e.armed.leap,
			LeapDoubt: e.advice.doubt()}}
	if e.env.Leaps != nil {
		s.UTC.ListExpires = time.Unix(0, e.env.Leaps.Expires().Nanoseconds).UTC()
	}
	if e.leader != nil {
		s.Selected = e.leader.id
	}
	shown := e.shown()
	if est, ok := e.tree.Estimate(now, shown); ok {
		s.Offset = clock.Nanoseconds(est.Offset)
		s.MaxError, _ = e.tree.MaxError(now, shown)
	}
	for _, r := range e.tree.Reports(now, nil) {
		s.Clocks = append(s.Clocks, e.clockStatus(r, devices[r.ID], when))
	}
	for _, t := range e.sources {
		s.Sources = append(s.Sources, e.sourceStatus(now, t, when))
	}
	for _, p := range e.ports {
		s.Ports = append(s.Ports, p.status(now))
	}
	for _, ev := range e.events {
		s.Events = append(s.Events, status.Event{Time: when(ev.at), Text: ev.text})
	}
	return s
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
		c.Follows = string(e.leader.id)
	case r.Parent != 0:
		c.Follows = r.Parent.String()
	}
	return c
}

func (e *Engine) sourceStatus(now clock.Mono, t *tracked, when func(clock.Mono) time.Time) status.Source {
	s := status.Source{ID: t.id, Kind: t.kind.String(), Name: t.name, State: t.verdict.State.String(),
		Reason: t.verdict.Reason.String(), Prefer: t.options.Prefer, Trust: t.options.Trust,
		Jitter: clock.Nanoseconds(t.jitter(0)), Delay: t.delay, LastSample: when(t.last), Samples: t.samples,
		Rejected: t.refused}
	if t == e.leader && !t.relate {
		s.State, s.Reason = source.Selected.String(), e.why(t)
	}
	if t.n > 0 {
		p := t.latest()
		s.Offset, s.MaxError = clock.Nanoseconds(p.residual), p.bound
		s.Estimate = t.estimated(now)
	}
	for _, p := range e.ports {
		if t == &p.tracked {
			p.describe(&s)
		}
	}
	for _, c := range e.clients {
		if t == &c.tracked {
			c.describe(now, &s)
		}
	}
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

func (p *port) describe(s *status.Source) {
	s.Interval, s.Timestamps = p.sync, p.stamps()
	if p.has {
		s.Reference = p.parent.Grandmaster.String()
		s.Stratum = int(p.parent.StepsRemoved) + 1
		s.Address = p.parent.Address.String()
	}
	if p.core != nil {
		if what := p.core.Status(p.engine.now).Conflict; what != "" {
			s.Reason += "; its master speaks with two voices: " + what
		}
		counters := p.core.Counters()
		for r, n := range counters.Rejected {
			switch ptp.Reason(r) {
			case ptp.ReasonNotUsed, ptp.ReasonNotParent, ptp.ReasonNotAllowed, ptp.ReasonOwn: // not meant for this source
			default:
				s.Rejected += n
			}
		}
	}
}

func (p *port) stamps() string {
	if p.info.Hardware {
		return "hardware"
	}
	return "kernel"
}

func (c *association) describe(now clock.Mono, s *status.Source) {
	st := c.core.Status()
	s.Interval, s.Reach, s.Stratum = st.Interval, st.Reach, c.stratum
	s.Timestamps = "user"
	if st.Stamped*2 > st.Samples {
		s.Timestamps = "kernel"
		if _, isPHC := c.stamps.PHCIndex(); isPHC {
			s.Timestamps = "hardware"
		}
	}
	if c.connected {
		s.Address = c.server.String()
	} else {
		s.Reason = c.nameless(now)
	}
	if st.Samples > 0 {
		s.Reference = st.Header.ReferenceID.Text(st.Header.Stratum)
	}
	s.Kiss = st.Kiss
	s.Rejected += st.Refused.Total()
}

// nameless says why there is no address to ask, and when one is looked for again.
func (c *association) nameless(now clock.Mono) string {
	p := c.pool.core
	why, next := "its name has no address that is not in use already", "being tried again"
	if err := p.Err(); err != nil {
		why = "its name cannot be resolved: " + err.Error()
	} else if p.Resolving() {
		return "its name is being resolved"
	}
	if !p.Resolving() {
		next = fmt.Sprintf("next try in %v", max(0, p.NextWake().Sub(now)).Truncate(time.Second)+time.Second)
	}
	return why + "; " + next
}

func (p *port) status(now clock.Mono) status.Port {
	s := status.Port{Interface: p.cfg.Interface, Transport: string(p.cfg.Transport), Domain: p.cfg.Domain, SdoID: p.cfg.SdoID,
		State: "disabled", Identity: p.info.Identity.String(), Timestamping: p.stamps(), Clock: p.clock.String(),
		LinkUp: p.info.LinkUp, Speed: p.info.Speed}
	if p.err != nil {
		s.State, s.Error = "faulty", p.err.Error()
	}
	if p.core == nil {
		return s
	}
	st := p.core.Status(now)
	s.State, s.MeanPathDelay = st.State.String(), st.MeanPathDelay
	if p.has {
		s.Parent, s.Grandmaster, s.Timescale = p.parent.Port.String(), p.parent.Grandmaster.String(), "ARB"
		if p.time.PTPTimescale {
			s.Timescale = "PTP"
		}
	}
	s.Received, s.Sent, s.Dropped = map[string]uint64{}, map[string]uint64{}, map[string]uint64{}
	for t := range st.Counters.Received {
		name := wire.MessageType(t).String()
		count(s.Received, name, st.Counters.Received[t])
		count(s.Sent, name, st.Counters.Sent[t])
	}
	s.Conflict, s.Conflicts = st.Conflict, map[string]uint64{}
	for c, n := range st.Counters.Conflicts {
		count(s.Conflicts, ptp.Conflict(c).String(), n)
	}
	for r, n := range st.Counters.Rejected {
		count(s.Dropped, ptp.Reason(r).String(), n)
	}
	return s
}

func count(m map[string]uint64, name string, n uint64) {
	if n > 0 {
		m[name] += n
	}
}
