// SPDX-License-Identifier: Apache-2.0

package host

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/estimate"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/ptp/wire"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/timescale"
)

// port is one PTP port of the configuration, and the source that is seen through it. It implements engine.Source and
// ptp.Output.
type port struct {
	host    *Host
	sink    engine.Sink
	source  source.Info
	index   int
	cfg     configs.Port
	core    *ptp.Port // nil while the interface is not there
	info    PortInfo
	err     error // why it is not
	why     string
	parent  ptp.Parent
	has     bool // a parent
	stepped bool // its clock, since the last message was received
	rank    int  // how many other ports have a better master
	sync    time.Duration
	sample  source.Sample // the latest, here so that none is allocated
	samples int           // since the last restart
	last    clock.Mono    // when the last sample was handed over
	spread  estimate.DelaySpread
	floor   estimate.Floor   // of the delays there and back
	level   estimate.Plateau // of the same
	// backward is the way to the master as measured last, when the clock read at; off is by how many ns a step of the clock
	// may have been another one than meant since.
	backward struct {
		valid bool
		span  ptp.Span
		at    clock.Timestamp
		off   float64
	}
}

// PortInfo is what the driver knows of the interface of a port.
type PortInfo struct {
	Identity wire.PortIdentity
	// Clock by which messages are timestamped, by the NIC if Hardware, else by the kernel.
	Clock    clock.ID
	Hardware bool
	LinkUp   bool
	// Speed of the link in bit/s, 0 if unknown.
	Speed uint64
}

// addPTP registers the PTP ports of the configuration.
func (h *Host) addPTP() {
	for i, c := range h.cfg.PTP.Ports {
		id := h.unused("ptp:"+c.Interface, fmt.Sprintf("ptp:%s/%s/%d", c.Interface, c.Transport, c.Domain),
			fmt.Sprintf("ptp:%s/%s/%d/%#x", c.Interface, c.Transport, c.Domain, c.SdoID))
		p := &port{host: h, index: i, cfg: c}
		p.source = source.Info{ID: id, Kind: source.PTP, Name: c.Interface,
			Options: source.Options{Prefer: c.Prefer, Trust: c.Trust, NoSelect: c.NoSelect, Unconfigured: h.cfg.Discovered}}
		p.sink = h.Register(p)
		h.ports = append(h.ports, p)
	}
}

// OpenPort tells that the interface of port n is there and that messages can be sent and received by it.
func (h *Host) OpenPort(now clock.Mono, n int, info PortInfo) {
	h.now = now
	p := h.ports[n]
	p.info, p.err = info, nil
	p.backward.valid, p.has = false, false
	p.restart(source.NewClock)
	rng, first := h.chance()
	instance := ptp.NewInstance(ptp.InstanceConfig{Identity: info.Identity.Clock, Domain: p.cfg.Domain, SdoID: p.cfg.SdoID})
	p.core = instance.AddPort(info.Identity.Port, ptp.PortConfig{Clock: info.Clock, Masters: p.cfg.MasterIDs(),
		FirstSequenceID: first, MinorVersion: 1, AnnounceReceiptTimeout: int(p.cfg.AnnounceReceiptTimeout),
		LogDelayReqInterval: p.cfg.LogDelayRequestInterval(), DelayAsymmetry: p.cfg.DelayAsymmetry,
		DelayFilter: p.cfg.DelayFilter, DelayTolerance: delayTolerance(info.Hardware)},
		rng, p)
	if at, ppb, ok := h.Clocks().Frequency(now, info.Clock); ok {
		p.core.Steered(at, ppb)
	}
	if !info.LinkUp {
		p.core.LinkChanged(now, false)
	}
	h.rankPorts()
}

// restart has everything forgotten that was measured through the port.
func (p *port) restart(why source.Restart) {
	p.samples = 0
	p.spread.Forget()
	p.forgetPath()
	p.sink.Restarted(p.host.now, why)
}

// forgetPath says that the way to the master may be another one from now on.
func (p *port) forgetPath() {
	p.floor.Forget()
	p.level.Forget()
}

func delayTolerance(hardware bool) time.Duration {
	if hardware {
		return time.Microsecond
	}
	return 50 * time.Microsecond
}

// ClosePort tells that the interface of port n is gone or of no use, and why.
func (h *Host) ClosePort(now clock.Mono, n int, err error) {
	h.now = now
	p := h.ports[n]
	p.core, p.err, p.why, p.has, p.info.LinkUp = nil, err, "", false, false
	if err != nil {
		p.why = err.Error()
	}
	p.restart(source.NewClock)
	h.rankPorts()
}

// PTPReceived hands over a datagram that was sent to the group of port n; ts is when it came, zero if that is not known;
// from is zero for transports without addresses.
func (h *Host) PTPReceived(now clock.Mono, n int, b []byte, ts clock.Timestamp, from ptp.Address) {
	h.now = now
	if p := h.ports[n]; p.core != nil {
		if p.stepped { // the step took its time: what has come in meanwhile is of nobody knows which time
			p.stepped = false
			p.core.Stepped(now, 0)
		}
		p.core.Receive(now, b, ts, from)
	}
}

// PTPUnicast hands over a general message that was sent to this host alone, and came in by port n.
func (h *Host) PTPUnicast(now clock.Mono, n int, b []byte, from ptp.Address) {
	h.now = now
	if p := h.ports[n]; p.core != nil {
		p.core.ReceiveUnicast(now, b, from)
	}
}

// PTPTransmitted tells when the event message left by port n for which SendEvent returned id.
func (h *Host) PTPTransmitted(now clock.Mono, n int, id uint32, ts clock.Timestamp) {
	h.now = now
	if p := h.ports[n]; p.core != nil {
		p.core.Transmitted(now, id, ts)
	}
}

// PortLink tells that the link of port n went up or down.
func (h *Host) PortLink(now clock.Mono, n int, up bool, speed uint64) {
	h.now = now
	p := h.ports[n]
	p.info.LinkUp, p.info.Speed = up, speed
	if !up { // another cable may be plugged in
		p.forgetPath()
	}
	if p.core != nil {
		p.core.LinkChanged(now, up)
	}
}

// SendEvent implements ptp.Output.
func (p *port) SendEvent(b []byte) (uint32, error) { return p.host.driver.SendEvent(p.index, b) }

// StateChanged implements ptp.Output.
func (p *port) StateChanged(from, to ptp.State, why string) {
	p.sink.Event(p.host.now, status.NewEvent(status.PortChanged, p.cfg.Interface, slog.Any("from", from), slog.Any("to", to),
		slog.String("reason", why)))
	p.sink.StandingChanged(p.host.now)
}

// Conflict implements ptp.Output.
func (p *port) Conflict(what string) {
	p.sink.Event(p.host.now, status.NewEvent(status.PortConflict, p.cfg.Interface, slog.Any("parent", p.parent.Port),
		slog.String("conflict", what)))
}

// ParentChanged implements ptp.Output.
func (p *port) ParentChanged(parent *ptp.Parent) {
	if parent == nil {
		p.has = false
		p.host.rankPorts()
		p.sink.StandingChanged(p.host.now)
		return
	}
	if parent.Port != p.parent.Port || parent.Address != p.parent.Address || parent.Grandmaster != p.parent.Grandmaster {
		p.forgetPath()
	}
	switch { // also after a while without any parent: what was measured is of the former one
	case parent.Grandmaster != p.parent.Grandmaster:
		p.restart(source.NewMaster)
	case parent.Time.PTPTimescale != p.parent.Time.PTPTimescale:
		p.restart(source.NewScale)
	}
	p.has, p.parent = true, *parent
	p.host.rankPorts()
	p.sink.ClaimChanged(p.host.now)
}

// Measured implements ptp.Output.
func (p *port) Measured(m *ptp.Measurement) {
	p.sync = m.Interval
	if m.HasBackward {
		p.backward.valid, p.backward.span, p.backward.at, p.backward.off = true, m.Backward, m.BackwardAt, 0
	}
	if !m.DelayKnown || !p.sink.Relates(p.info.Clock) {
		return
	}
	p.sample = p.read(m)
	p.samples++
	p.last = p.host.now
	p.sink.Sample(p.host.now, &p.sample)
}

// Standard deviations of timestamps apart from the path, ns.
const (
	hardwareResolution = 4
	kernelResolution   = 2000
)

// Info implements engine.Source.
func (p *port) Info() source.Info { return p.source }

// Standing implements engine.Source.
func (p *port) Standing(now clock.Mono) source.Standing {
	s := source.Standing{State: source.Unreachable, Rank: p.rank}
	switch age := now.Sub(p.last); {
	case p.core == nil:
		s.Reason = source.Reason{Code: source.NoPort, Word: p.why}
	case !p.info.LinkUp:
		s.Reason = source.Reason{Code: source.LinkDown}
	case !p.host.Clocks().Has(p.info.Clock):
		s.Reason = source.Reason{Code: source.NoClock}
	case !p.has && p.core.HearsOthers(now):
		s.Reason = source.Reason{Code: source.NotAllowed}
	case !p.has:
		s.Reason = source.Reason{Code: source.NoMaster}
	case p.samples == 0:
		s.State, s.Reason = source.WarmingUp, source.Reason{Code: source.DelayUnknown}
	case age > max(staleAfter, 5*p.sync):
		s.Reason = source.Reason{Code: source.Stale, A: age}
	default:
		s.State = source.Usable
	}
	return s
}

// staleAfter is the age of the last sample at which a PTP source is not usable any more.
const staleAfter = 4 * time.Second

// Claim implements engine.Source (IEEE 1588-2019 §8.2.4).
func (p *port) Claim() timescale.Claim {
	if p.core == nil || !p.has {
		return timescale.Claim{}
	}
	c := timescale.Claim{Scale: clock.Arbitrary, Reference: binary.BigEndian.Uint64(p.parent.Grandmaster[:])}
	t := &p.parent.Time
	if t.PTPTimescale {
		c.Scale, c.Offset, c.OffsetValid = clock.TAI, int(t.UTCOffset), t.UTCOffsetValid
	}
	switch {
	case t.Leap61 == t.Leap59:
	case t.Leap61:
		c.Leap = clock.LeapInsert
	default:
		c.Leap = clock.LeapDelete
	}
	return c
}

// Need implements engine.Source: the master decides how often it is heard.
func (p *port) Need(clock.Mono, source.Need) {}

// Judged implements engine.Source.
func (p *port) Judged(clock.Mono, source.Verdict) {}

// ClockChanged implements engine.Source.
func (p *port) ClockChanged(now clock.Mono, c source.Change) {
	p.host.now = now
	switch {
	case c.Clock != p.info.Clock:
	case c.Kind == source.Stepped:
		if p.core != nil {
			p.core.Stepped(now, c.By)
			p.stepped = true
		}
		p.stepBackward(c.By)
	case p.core != nil:
		p.core.Steered(c.At, c.Frequency)
	}
}

// Wake implements engine.Source.
func (p *port) Wake(now clock.Mono) {
	p.host.now = now
	p.core.Wake(now)
}

// NextWake implements engine.Source.
func (p *port) NextWake() clock.Mono {
	if p.core == nil {
		return clock.Never
	}
	return p.core.NextWake()
}

// rankPorts orders the PTP ports by their masters.
func (h *Host) rankPorts() {
	cores := make([]*ptp.Port, len(h.ports))
	for i, p := range h.ports {
		cores[i] = p.core
	}
	for i, rank := range ptp.Rank(cores) {
		h.ports[i].rank = rank
	}
}
