// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/ptp/wire"
	"github.com/lockstep-time/lockstep/source"
)

// port is one PTP port of the configuration, and the source that is seen through it.
type port struct {
	tracked
	engine  *Engine
	index   int
	cfg     configs.Port
	core    *ptp.Port // nil while the interface is not there
	info    PortInfo
	err     error // why it is not
	why     string
	time    wire.TimeProperties
	parent  ptp.Parent
	has     bool // a parent
	stepped bool // its clock, since the last message was received
	rank    int  // among the ports, by the best master clock algorithm
	sync    time.Duration
	origin  string // of TAI − UTC, if it is stated by this source
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

func (e *Engine) addPort(i int) {
	c := e.cfg.PTP.Ports[i]
	id := e.unused("ptp:"+c.Interface, fmt.Sprintf("ptp:%s/%s/%d", c.Interface, c.Transport, c.Domain),
		fmt.Sprintf("ptp:%s/%s/%d/%#x", c.Interface, c.Transport, c.Domain, c.SdoID))
	p := &port{engine: e, index: i, cfg: c}
	p.tracked = tracked{id: id, kind: source.PTP, name: c.Interface,
		options: source.Options{Prefer: c.Prefer, Trust: c.Trust, NoSelect: c.NoSelect, Unconfigured: e.cfg.Discovered}}
	p.origin = "source " + string(id)
	e.ports = append(e.ports, p)
	e.sources = append(e.sources, &p.tracked)
}

// OpenPort tells that the interface of port n is there and that messages can be sent and received by it.
func (e *Engine) OpenPort(now clock.Mono, n int, info PortInfo) {
	e.now = now
	p := e.ports[n]
	p.info, p.clock, p.err = info, info.Clock, nil
	p.reset()
	p.backward.valid, p.has = false, false
	rng, first := e.chance()
	p.core = ptp.NewPort(ptp.Config{Identity: info.Identity, Clock: info.Clock, Domain: p.cfg.Domain, SdoID: p.cfg.SdoID,
		Masters: p.cfg.MasterIDs(), FirstSequenceID: first, MinorVersion: 1, AnnounceReceiptTimeout: int(p.cfg.AnnounceReceiptTimeout),
		LogDelayReqInterval: p.cfg.LogDelayRequestInterval(), DelayAsymmetry: p.cfg.DelayAsymmetry,
		DelayFilter: p.cfg.DelayFilter, DelayTolerance: delayTolerance(info.Hardware)},
		rng, p)
	if at, ppb, ok := e.tree.Frequency(now, info.Clock); ok {
		p.core.Steered(at, ppb)
	}
	if !info.LinkUp {
		p.core.LinkChanged(now, false)
	}
	e.soon(now)
}

func delayTolerance(hardware bool) time.Duration {
	if hardware {
		return time.Microsecond
	}
	return 50 * time.Microsecond
}

// ClosePort tells that the interface of port n is gone or of no use, and why.
func (e *Engine) ClosePort(now clock.Mono, n int, err error) {
	e.now = now
	p := e.ports[n]
	p.core, p.err, p.why, p.has, p.info.LinkUp = nil, err, "", false, false
	if err != nil {
		p.why = err.Error()
	}
	p.reset()
	e.soon(now)
}

// PTPReceived hands over a datagram that was sent to the group of port n; ts is when it came, zero if that is not known;
// from is zero for transports without addresses.
func (e *Engine) PTPReceived(now clock.Mono, n int, b []byte, ts clock.Timestamp, from ptp.Address) {
	e.now = now
	if p := e.ports[n]; p.core != nil {
		if p.stepped { // the step took its time: what has come in meanwhile is of nobody knows which time
			p.stepped = false
			p.core.Stepped(now, 0)
		}
		p.core.Receive(now, b, ts, from)
	}
}

// PTPUnicast hands over a general message that was sent to this host alone, and came in by port n.
func (e *Engine) PTPUnicast(now clock.Mono, n int, b []byte, from ptp.Address) {
	e.now = now
	if p := e.ports[n]; p.core != nil {
		p.core.ReceiveUnicast(now, b, from)
	}
}

// PTPTransmitted tells when the event message left by port n for which SendEvent returned id.
func (e *Engine) PTPTransmitted(now clock.Mono, n int, id uint32, ts clock.Timestamp) {
	e.now = now
	if p := e.ports[n]; p.core != nil {
		p.core.Transmitted(now, id, ts)
	}
}

// PortLink tells that the link of port n went up or down.
func (e *Engine) PortLink(now clock.Mono, n int, up bool, speed uint64) {
	e.now = now
	p := e.ports[n]
	p.info.LinkUp, p.info.Speed = up, speed
	if !up { // another cable may be plugged in
		p.forgetPath()
	}
	if p.core != nil {
		p.core.LinkChanged(now, up)
	}
}

// SendEvent implements ptp.Output.
func (p *port) SendEvent(b []byte) (uint32, error) { return p.engine.driver.SendEvent(p.index, b) }

// StateChanged implements ptp.Output.
func (p *port) StateChanged(old, new ptp.State, why string) {
	e := p.engine
	e.note(e.now, fmt.Sprintf("port %s: %v to %v: %s", p.cfg.Interface, old, new, why))
	e.soon(e.now)
}

// Conflict implements ptp.Output.
func (p *port) Conflict(what string) {
	p.engine.note(p.engine.now, fmt.Sprintf("port %s: %v speaks with two voices: %s", p.cfg.Interface, p.parent.Port, what))
}

// ParentChanged implements ptp.Output.
func (p *port) ParentChanged(parent *ptp.Parent) {
	e := p.engine
	if parent == nil {
		p.has = false
		e.soon(e.now)
		return
	}
	if parent.Port != p.parent.Port || parent.Address != p.parent.Address || parent.Grandmaster != p.parent.Grandmaster {
		p.forgetPath()
	}
	if p.has && parent.Grandmaster != p.parent.Grandmaster {
		p.n, p.suspect = 0, false
		p.spread.Forget()
		p.renew()
	}
	if p.has && parent.Time.PTPTimescale != p.time.PTPTimescale {
		p.reset()
	}
	p.has, p.parent, p.time = true, *parent, parent.Time
	p.arbitrary = !p.time.PTPTimescale
	e.findUTCOffset(e.now)
	e.soon(e.now)
}

// Measured implements ptp.Output.
func (p *port) Measured(m *ptp.Measurement) {
	e := p.engine
	p.sync = m.Interval
	if m.HasBackward {
		p.backward.valid, p.backward.span, p.backward.at, p.backward.off = true, m.Backward, m.BackwardAt, 0
	}
	if !m.DelayKnown || !p.usableScale() {
		return
	}
	r := p.read(m)
	p.delay = clock.Nanoseconds(r.delay)
	r.whole += p.toClockScale(m.At.Clock())
	e.take(e.now, &p.tracked, discipline.Measurement{At: m.At, Offset: r.whole, OffsetFraction: r.fraction,
		Variance: r.alike, DelayVariance: r.own, MaxError: clock.Sum(p.accuracy(), clock.Nanoseconds(r.open)), Even: clock.Nanoseconds(r.even),
		Interval: m.Interval.Seconds(), OneWay: r.oneWay})
}

// Standard deviations of timestamps apart from the path, ns.
const (
	hardwareResolution = 4
	kernelResolution   = 2000
)

// usableScale reports whether the master's time says anything to the clock that it is measured by: an arbitrary
// timescale can only be kept by a PHC.
func (p *port) usableScale() bool {
	if p.clock != clock.System {
		return true
	}
	_, known := p.engine.utcFor(p)
	return p.time.PTPTimescale && known
}

// toClockScale returns what has to be added to an offset on the master's scale, in ns.
func (p *port) toClockScale(id clock.ID) int64 {
	if id != clock.System {
		return 0
	}
	seconds, _ := p.engine.utcFor(p)
	return int64(seconds) * int64(time.Second)
}

// standing says whether the source can be judged, and if not, why.
func (p *port) standing(now clock.Mono) (source.State, source.Reason) {
	switch {
	case p.core == nil:
		return source.Unreachable, source.Reason{Code: source.NoPort, Word: p.why}
	case !p.info.LinkUp:
		return source.Unreachable, source.Reason{Code: source.LinkDown}
	case !p.engine.tree.Has(p.clock):
		return source.Unreachable, source.Reason{Code: source.NoClock}
	case !p.has && p.core.HearsOthers(now):
		return source.Unreachable, source.Reason{Code: source.NotAllowed}
	case !p.has:
		return source.Unreachable, source.Reason{Code: source.NoMaster}
	case p.samples == 0:
		return source.WarmingUp, source.Reason{Code: source.DelayUnknown}
	case p.age(now) > max(staleAfter, 5*p.sync):
		return source.Unreachable, source.Reason{Code: source.Stale, A: p.age(now)}
	}
	return source.Usable, source.Reason{}
}

// staleAfter is the age of the last sample at which a PTP source is not usable any more.
const staleAfter = 4 * time.Second
