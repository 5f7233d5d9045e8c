// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

const (
	// firstDelayReq bounds the random time from the first Sync of a parent to the first Delay_Req, so that the delay is
	// known with the second Sync, and many clients do not ask at once.
	firstDelayReq = 40 * time.Millisecond
	// exchangeTimeout is how long a Delay_Req waits for its transmit timestamp and its Delay_Resp.
	exchangeTimeout = 3 * time.Second
	maxPathDelay    = wire.TimeInterval(time.Second) << 16
	// perSync is how many Delay_Req messages are sent per Sync, on average, at most: each waits for the next Sync to be of
	// use, and those beyond the slots would be sent in vain.
	perSync      = 8
	delayReqSize = 44
	// maxLogGranted is the longest interval that a master can impose, 17 min: the delay is to be known at some time.
	maxLogGranted int8 = 10
)

// exchange is a Delay_Req on its way: transmit timestamp and response come in either order.
type exchange struct {
	used, sent, answered bool
	seq                  uint16
	id                   uint32
	since                clock.Mono
	t3, t4               int64
	correction           wire.TimeInterval
}

// delayMechanism is the delay request-response mechanism (IEEE 1588-2019 §11.3).
type delayMechanism struct {
	slot [32]exchange
	turn int
	open int
	seq  uint16
	buf  [delayReqSize]byte

	// next is when the next Delay_Req is due, last when the latest was sent, interval the mean of their distance that
	// the master grants.
	next, last clock.Mono
	interval   time.Duration

	filter median
	// latest is the path delay measured last, with the backward difference it was made of and the correction taken off
	// that; fresh until handed out.
	latest             wire.TimeInterval
	backward           Span
	backwardCorrection wire.TimeInterval
	backwardAt         int64
	fresh              bool
	// bounded: the backward difference is one that Syncs can be held against. contradictions counts the path delays since
	// that the corrections made negative.
	bounded        bool
	contradictions int
}

// reset prepares for a new parent. sequenceIds go on.
func (d *delayMechanism) reset(cfg *PortConfig) {
	*d = delayMechanism{
		seq:      d.seq,
		next:     clock.Never,
		interval: logInterval(cfg.LogDelayReqInterval, minLogDelayReq, maxLogDelayReq),
	}
	d.filter.reset(cfg.DelayFilter)
}

// abandon gives up all exchanges and what Syncs are held against.
func (d *delayMechanism) abandon() {
	d.bounded = false
	for i := range d.slot {
		d.slot[i].used = false
	}
	d.open = 0
}

func (d *delayMechanism) release(e *exchange) {
	e.used = false
	d.open--
}

// step moves what was stamped by ns, and gives up what was sent and not yet stamped.
func (d *delayMechanism) step(ns int64) {
	d.backwardAt += ns
	d.backward, _ = d.backward.Sub(Span{ns: ns})
	for i := range d.slot {
		e := &d.slot[i]
		if e.used && !e.sent {
			d.release(e)
		}
		e.t3 += ns
	}
}

// deviation is 0 as long as there are too few delays for one.
func (d *delayMechanism) deviation() time.Duration {
	if d.filter.n < 3 {
		return 0
	}
	return d.filter.deviation.Duration()
}

// startDelay schedules the first Delay_Req for a parent whose Sync messages have begun.
func (p *Port) startDelay(now clock.Mono) {
	if p.delay.next == clock.Never {
		p.delay.next = now.Add(time.Duration(p.rng.Int64N(int64(firstDelayReq))))
	}
}

// pause is the random time between two Delay_Req messages: uniform from 0 to twice the mean (IEEE 1588-2019 §9.5.11.2).
func (p *Port) pause() time.Duration {
	return time.Duration(p.rng.Int64N(2 * int64(p.delayReqInterval())))
}

// delayReqInterval is the mean time between two Delay_Req messages: what the master grants, or what Sync messages make
// use of if that is longer.
func (p *Port) delayReqInterval() time.Duration { return max(p.delay.interval, p.syncInterval/perSync) }

func (p *Port) sendDelayReq(now clock.Mono) {
	d := &p.delay
	d.last, d.next = now, now.Add(p.pause())
	seq := d.seq
	d.seq++
	m := wire.DelayReq{Header: wire.Header{
		SdoID:        p.instance.cfg.SdoID,
		MinorVersion: p.cfg.MinorVersion,
		Domain:       p.instance.cfg.Domain,
		Source:       p.identity,
		SequenceID:   seq,
		LogInterval:  wire.NoLogInterval,
	}}
	b, err := m.Append(d.buf[:0])
	if err != nil {
		p.reject(ReasonSendFailed)
		return
	}
	id, err := p.out.SendEvent(b)
	if err != nil {
		p.reject(ReasonSendFailed)
		return
	}
	p.counters.Sent[wire.MessageDelayReq]++
	e := &d.slot[d.turn]
	d.turn = (d.turn + 1) % len(d.slot)
	if e.used {
		p.giveUp(e)
	}
	*e = exchange{used: true, seq: seq, id: id, since: now}
	d.open++
}

// giveUp frees an exchange that did not come to its end, and counts what was missing.
func (p *Port) giveUp(e *exchange) {
	p.delay.release(e)
	switch {
	case !e.answered:
		p.reject(ReasonNoResponse)
	case !e.sent:
		p.reject(ReasonNoTransmitStamp)
	default:
		p.reject(ReasonNoSync)
	}
}

func (p *Port) expireExchanges(now clock.Mono) {
	if p.delay.open == 0 {
		return
	}
	for i := range p.delay.slot {
		e := &p.delay.slot[i]
		if e.used && !(e.sent && e.answered) && now.Sub(e.since) > exchangeTimeout {
			p.giveUp(e)
		}
	}
}

// Transmitted tells when the event message left for which SendEvent returned id. The zero Timestamp says that this will
// never be known.
func (p *Port) Transmitted(_ clock.Mono, id uint32, ts clock.Timestamp) {
	for i := range p.delay.slot {
		e := &p.delay.slot[i]
		if !e.used || e.sent || e.id != id {
			continue
		}
		if r := p.stamp(ts); r != accepted {
			if r == ReasonUnstamped {
				r = ReasonNoTransmitStamp
			}
			p.delay.release(e)
			p.reject(r)
			return
		}
		e.t3, e.sent = ts.Nanoseconds(), true
		p.resolve()
		return
	}
}

func (p *Port) onDelayResp(now clock.Mono, b []byte) Reason {
	var m wire.DelayResp
	if err := m.Parse(b); err != nil {
		return reasonOf(err)
	}
	if m.Requesting != p.identity {
		return ReasonNotUsed
	}
	e := p.exchange(m.SequenceID)
	if e == nil {
		return ReasonUnmatched
	}
	if e.answered {
		return p.answeredTwice(now, e, &m)
	}
	if !p.limit.take(now, parentEach, parentBurst) {
		return ReasonRate
	}
	t4, err := m.Receive.Int64()
	if err != nil {
		return reasonOf(err)
	}
	if !p.residence(m.Correction) {
		return ReasonCorrection
	}
	p.granted(now, m.LogInterval)
	e.t4, e.correction, e.answered = t4, m.Correction, true
	p.resolve()
	return accepted
}

// answeredTwice gives up a Delay_Req that has two answers which differ by more than a network takes to deliver it to the
// parent twice: nobody can tell which one is the parent's.
func (p *Port) answeredTwice(now clock.Mono, e *exchange, m *wire.DelayResp) Reason {
	if t4, err := m.Receive.Int64(); err == nil && time.Duration(t4-e.t4).Abs() > doubled {
		p.conflicting(now, ConflictContent, Address{})
		p.delay.release(e)
	}
	return ReasonDuplicate
}

func (p *Port) exchange(seq uint16) *exchange {
	for i := range p.delay.slot {
		if e := &p.delay.slot[i]; e.used && e.seq == seq {
			return e
		}
	}
	return nil
}

// granted takes over the interval that the master allows: none shorter may be used (logMinDelayReqInterval, IEEE 1588-2019
// §7.7.2.4). A longer one is approached by doubling.
func (p *Port) granted(now clock.Mono, log int8) {
	if log == wire.NoLogInterval {
		return
	}
	d := &p.delay
	interval := logInterval(log, minLogDelayReq, maxLogGranted)
	if interval > d.interval {
		// One answer that is forged must not silence the port: not before it has measured a delay, nor for long afterwards.
		if d.filter.n == 0 {
			return
		}
		interval = min(interval, 2*d.interval)
	}
	if interval == d.interval {
		return
	}
	d.interval = interval
	d.next = max(now, d.last.Add(p.pause()))
}

// resolve makes path delays of the exchanges that are complete and lie between two Syncs.
func (p *Port) resolve() {
	if p.delay.open == 0 {
		return
	}
	for i := range p.delay.slot {
		e := &p.delay.slot[i]
		if !e.used || !e.sent || !e.answered {
			continue
		}
		sync, where, ok := p.track.forwardAt(e.t3, &p.steering)
		if where == tooLate {
			continue
		}
		p.delay.release(e)
		switch {
		case where == tooEarly:
			p.reject(ReasonNoSync)
		case !ok:
			p.reject(ReasonRange)
		default:
			p.reject(p.pathDelay(e, sync))
		}
	}
}

// pathDelay handles a complete exchange, given the Sync interpolated to its instant: <meanPathDelay> is half of
// (t2 − t1) + (t4 − t3) less corrections.
func (p *Port) pathDelay(e *exchange, sync point) Reason {
	d := &p.delay
	backward, ok := p.difference(e.t4, e.t3, e.correction, 0, Span{ns: -int64(p.cfg.DelayAsymmetry)})
	if !ok {
		return ReasonRange
	}
	sum, ok1 := sync.forward.Add(backward)
	both, ok2 := sum.Interval()
	if !ok1 || !ok2 || both/2 >= maxPathDelay || both/2 <= -maxPathDelay {
		return ReasonLongDelay
	}
	delay := both / 2
	if delay.Duration() < -p.cfg.DelayTolerance {
		if delay+(sync.correction+e.correction)/2 >= 0 {
			return d.contradiction(&sync)
		}
		return ReasonNegativeDelay
	}
	if sync.mixed {
		return ReasonCorrection
	}
	d.filter.add(delay)
	d.latest, d.backward, d.backwardAt, d.fresh = delay, backward, e.t3, true
	d.backwardCorrection, d.bounded, d.contradictions = e.correction, true, 0
	p.counters.Delays++
	return accepted
}
