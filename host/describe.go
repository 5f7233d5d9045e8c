// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/ptp/wire"
	"github.com/lockstep-time/lockstep/status"
)

// Describe implements engine.Source.
func (p *port) Describe(now clock.Mono, s *status.Source) {
	s.Interval, s.Timestamps = p.sync, p.stamps()
	if p.has {
		s.Reference = p.parent.Grandmaster.String()
		s.Stratum = int(p.parent.StepsRemoved) + 1
		s.Address = p.parent.Address.String()
	}
	if p.core != nil {
		if what := p.core.Status(now).Conflict; what != "" {
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

// Describe implements engine.Source.
func (c *association) Describe(now clock.Mono, s *status.Source) {
	st := c.core.Status()
	s.Socket = c.host.driver.AssociationSocket(c.index)
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
		State: "disabled", Identity: p.info.Identity.String(), Timestamping: p.stamps(), Clock: p.info.Clock.String(),
		LinkUp: p.info.LinkUp, Speed: p.info.Speed, Socket: p.host.driver.PortSocket(p.index)}
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
		if p.parent.Time.PTPTimescale {
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
