// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"math/rand/v2"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

const (
	// The parent sends at most 128 Sync, 128 Follow_Up and 128 Delay_Resp to this port per second.
	parentEach, parentBurst = time.Second / 1024, 256
	// settleTime is how long after a step event messages are not used: they may have waited with an old timestamp.
	settleTime = 50 * time.Millisecond
	// An expiry noticed later than lateWake means that the process was kept from running, and that what arrived
	// meanwhile may still wait to be read: grace is given for it once.
	lateWake, grace = 50 * time.Millisecond, 100 * time.Millisecond
	// Sync messages are missed after this many intervals, and not before minSyncTimeout.
	syncTimeoutIntervals = 10
	minSyncTimeout       = 3 * time.Second
)

// Port is a client port of an Instance, multicast with the delay request-response mechanism. It measures one clock against
// the best master that it hears in its domain. Instance.AddPort makes one.
type Port struct {
	instance *Instance
	identity wire.PortIdentity
	cfg      PortConfig
	rng      *rand.Rand
	out      Output
	state    State
	// clock is that of the timestamps, learned if not configured.
	clock clock.ID

	masters foreignTable
	former  formerParents
	// parent is the row of the parent, -1 for none; announceBy when its silence is too long.
	parent     int
	announceBy clock.Mono
	graceUsed  bool
	limit      limiter
	conflict   conflict
	refused    clock.Mono // when a master that is not allowed announced itself last, 0 if never

	// stampsValidFrom is when settleTime after the latest step ends.
	stampsValidFrom clock.Mono
	// syncBy is when Sync messages have been missing for too long, usableBy when usable ones have.
	syncBy       clock.Mono
	usableBy     clock.Mono
	syncInterval time.Duration
	syncs        syncs
	track        track
	steering     steering
	delay        delayMechanism

	measurement Measurement
	counters    Counters
}

func newPort(i *Instance, number uint16, cfg PortConfig, rng *rand.Rand, out Output) *Port {
	p := &Port{instance: i, identity: wire.PortIdentity{Clock: i.cfg.Identity, Port: number}, cfg: cfg.complete(), rng: rng,
		out: out, state: Listening, parent: -1}
	p.clock = p.cfg.Clock
	p.forgetMaster()
	p.delay.seq = p.cfg.FirstSequenceID
	return p
}

// Receive handles a datagram that was sent to the group of all ports. ts is when it arrived by the NIC or the kernel; the
// zero Timestamp if that is not known, and for general messages, which need none. from is the sender's address, the zero
// Address where the transport has none. Messages with the parent's identity from other addresses are refused.
func (p *Port) Receive(now clock.Mono, b []byte, ts clock.Timestamp, from Address) {
	p.reject(p.receive(now, b, ts, from, false))
}

// ReceiveUnicast handles a datagram that was sent to this host alone. It uses only Delay_Resp messages of the parent that
// answer a request under way: masters in hybrid mode send them by unicast (RFC 9760).
func (p *Port) ReceiveUnicast(now clock.Mono, b []byte, from Address) {
	p.reject(p.receive(now, b, clock.Timestamp{}, from, true))
}

func (p *Port) reject(r Reason) {
	if r != accepted {
		p.counters.Rejected[r]++
	}
}

func (p *Port) receive(now clock.Mono, b []byte, ts clock.Timestamp, from Address, unicast bool) Reason {
	if p.down() {
		return ReasonPortDown
	}
	var h wire.Header
	if err := h.Parse(b); err != nil {
		return reasonOf(err)
	}
	p.counters.Received[h.Type]++
	if r := p.checkHeader(&h); r != accepted {
		return r
	}
	switch h.Type {
	case wire.MessageAnnounce, wire.MessageSync, wire.MessageFollowUp:
		if unicast {
			return ReasonUnicast
		}
	case wire.MessageDelayResp:
	default:
		return ReasonNotUsed
	}
	if h.Type == wire.MessageAnnounce {
		return p.onAnnounce(now, b, from)
	}
	if p.parent < 0 || h.Source != p.masters.rows[p.parent].announce.Port {
		return ReasonNotParent
	}
	if from != p.masters.rows[p.parent].announce.Address {
		if unicast { // hosts on other networks can send it too: it says nothing about the parent
			return ReasonAddress
		}
		if h.Type == wire.MessageSync {
			p.masters.syncFrom(h.Source, from)
		}
		return p.refuseAddress(now, from)
	}
	// Messages that were had before, and those for other ports, must not use up the parent's budget.
	switch h.Type {
	case wire.MessageSync:
		return p.onSync(now, b, ts)
	case wire.MessageFollowUp:
		return p.onFollowUp(now, b)
	}
	return p.onDelayResp(now, b)
}

// checkHeader checks that a message is of the instance's domain, not its own, and of a port that there can be (IEEE
// 1588-2019 §9.5.1, §7.1.4, §7.5.2.3).
func (p *Port) checkHeader(h *wire.Header) Reason {
	of := &p.instance.cfg
	sdo := of.SdoID
	if h.MinorVersion == 0 {
		// What is minorSdoId now was reserved in IEEE 1588-2008.
		sdo = sdo&^0xff | h.SdoID&0xff
	}
	switch {
	case h.Domain != of.Domain:
		return ReasonDomain
	case h.SdoID != sdo:
		return ReasonSdoID
	case h.Source.Clock == of.Identity:
		return ReasonOwn
	case h.Source.Port == 0 || h.Source.Port > maxPortNumber:
		return ReasonIdentity
	}
	return accepted
}

// stamp checks the timestamp of an event message.
func (p *Port) stamp(ts clock.Timestamp) Reason {
	switch {
	case ts.IsZero() || ts.Clock() == 0:
		return ReasonUnstamped
	case p.clock == 0:
		p.clock = ts.Clock()
	case ts.Clock() != p.clock:
		return ReasonOtherClock
	}
	return accepted
}

// Wake handles what is due. It may be called at any time, and late.
func (p *Port) Wake(now clock.Mono) {
	if p.down() || p.parent < 0 {
		return
	}
	if now >= p.announceBy {
		p.announceTimeout(now)
	}
	if now >= p.syncBy {
		p.syncTimeout()
	}
	if now >= p.usableBy {
		p.unusableTimeout()
	}
	if now >= p.delay.next {
		p.sendDelayReq(now)
	}
	p.expireSyncs(now)
	p.expireExchanges(now)
}

// NextWake returns when Wake is to be called next, clock.Never if not before another event.
func (p *Port) NextWake() clock.Mono {
	return min(p.announceBy, p.syncBy, p.usableBy, p.delay.next)
}

// LinkChanged tells that the link went down or came up. A port starts with its link taken to be up. Going down ends the
// port in Faulty; coming up it listens anew.
func (p *Port) LinkChanged(_ clock.Mono, up bool) {
	switch {
	case p.state == Disabled:
	case !up && p.state != Faulty:
		p.stop(Faulty, "link down")
	case up && p.state == Faulty:
		p.setState(Listening, "link up")
	}
}

// Disable switches the port off (DESIGNATED_DISABLED, IEEE 1588-2019 §9.2.6.5).
func (p *Port) Disable() {
	if p.state != Disabled {
		p.stop(Disabled, "disabled")
	}
}

// Enable ends Disable (DESIGNATED_ENABLED, IEEE 1588-2019 §9.2.6.4). The link is taken to be up.
func (p *Port) Enable() {
	if p.state == Disabled {
		p.setState(Listening, "enabled")
	}
}

func (p *Port) down() bool { return p.state == Faulty || p.state == Disabled }

func (p *Port) stop(s State, why string) {
	had := p.parent >= 0
	p.masters = foreignTable{}
	p.parent = -1
	p.clock = p.cfg.Clock
	p.forgetMaster()
	if had {
		p.out.ParentChanged(nil)
	}
	p.setState(s, why)
}

// forgetMaster drops all that was measured against the parent.
func (p *Port) forgetMaster() {
	p.announceBy, p.syncBy, p.usableBy, p.graceUsed = clock.Never, clock.Never, clock.Never, false
	p.syncInterval = 0
	p.syncs = syncs{}
	p.conflict = conflict{}
	p.track.clear()
	p.measurement = Measurement{}
	p.delay.reset(&p.cfg)
}

func (p *Port) setState(s State, why string) {
	if old := p.state; old != s {
		p.state = s
		if s == Slave {
			p.former.remember(&p.masters.rows[p.parent].announce)
		}
		p.out.StateChanged(old, s, why)
	}
}

// Steered tells that from reading at on the measured clock runs with a frequency correction of ppb parts per billion.
// Told of all of them, at first of the one in force at the start, the port keeps path delays right while the clock is
// being steered.
func (p *Port) Steered(at clock.Timestamp, ppb float64) {
	if p.clock == 0 {
		p.clock = at.Clock()
	}
	if at.Clock() == p.clock {
		p.steering.change(at.Nanoseconds(), ppb)
	}
}

// Stepped tells that the measured clock was stepped by d just before now. What was measured goes over to the clock's new
// time. Delay_Req messages on their way without a transmit timestamp are given up, as are event messages received in the
// next 50 ms: they may have been stamped before the step or after it. The path delay stays, and is soon measured again.
func (p *Port) Stepped(now clock.Mono, d time.Duration) {
	p.stampsValidFrom = now.Add(settleTime)
	p.syncs.step(int64(d))
	p.track.step(int64(d))
	p.steering.step(int64(d))
	p.delay.step(int64(d))
	if p.delay.next != clock.Never {
		p.delay.next = p.stampsValidFrom.Add(time.Duration(p.rng.Int64N(int64(firstDelayReq))))
	}
}

// Status returns what there is to show, masters qualified at now counted.
func (p *Port) Status(now clock.Mono) Status {
	s := Status{
		State:            p.state,
		HasParent:        p.parent >= 0,
		DelayKnown:       p.delay.filter.n > 0,
		MeanPathDelay:    p.delay.filter.value.Duration(),
		DelayDeviation:   p.delay.deviation(),
		SyncInterval:     p.syncInterval,
		DelayReqInterval: p.delayReqInterval(),
		Counters:         p.counters,
	}
	for i := range p.masters.rows {
		f := &p.masters.rows[i]
		if i == p.parent || f.used && f.qualified(now) {
			s.Masters++
		}
	}
	if s.HasParent {
		s.Parent = p.masters.rows[p.parent].announce
		s.Conflict = p.conflict.shown(now)
	}
	return s
}

// HearsOthers reports whether masters are heard that PortConfig.Masters does not allow.
func (p *Port) HearsOthers(now clock.Mono) bool {
	return p.refused != 0 && now.Sub(p.refused) <= longestAnnounce
}

// Counters returns what has been counted so far. It is valid until the next call of a method.
func (p *Port) Counters() *Counters { return &p.counters }
