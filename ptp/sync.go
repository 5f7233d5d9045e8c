// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

const (
	// firstUse is how long after it was chosen a parent may take until a Sync of it can be used: longer than any interval.
	firstUsable = 20 * time.Second
	// Longer intervals than 16 s would have the end of the Sync messages go unnoticed for minutes.
	minLogSync, maxLogSync int8 = -7, 4
	// minPairTimeout and pairIntervals bound how long a Sync and its Follow_Up wait for each other.
	minPairTimeout = time.Second
	pairIntervals  = 2
	// maxUnpaired is how many Syncs, and how many Follow_Ups, may wait: those of 125 ms at the shortest interval.
	maxUnpaired = 16
)

// unpaired is a Sync that waits for its Follow_Up, or a Follow_Up that came first. Event and general messages are read from
// different sockets, so both happen.
type unpaired struct {
	used       bool
	seq        uint16
	ns         int64 // t2 of a Sync, t1 of a Follow_Up
	correction wire.TimeInterval
	since      clock.Mono
}

type unpairedRing struct {
	slot [maxUnpaired]unpaired
	next int
	used int
}

// put keeps h in place of the oldest and reports whether that was still waiting.
func (s *unpairedRing) put(h unpaired) (lost bool) {
	e := &s.slot[s.next]
	s.next = (s.next + 1) % len(s.slot)
	lost = e.used
	if !lost {
		s.used++
	}
	*e = h
	return lost
}

func (s *unpairedRing) take(seq uint16) (h unpaired, ok bool) {
	for i := range s.slot {
		if e := &s.slot[i]; e.used && e.seq == seq {
			e.used = false
			s.used--
			return *e, true
		}
	}
	return unpaired{}, false
}

// use calls f for each message with the sequenceId, oldest first, until f uses one. Then none of them waits any more.
func (s *unpairedRing) use(seq uint16, f func(unpaired) (Reason, bool)) (r Reason, used bool) {
	for i := range s.slot {
		e := &s.slot[(s.next+i)%len(s.slot)]
		if !e.used || e.seq != seq {
			continue
		}
		if r, used = f(*e); used {
			s.drop(seq)
			break
		}
	}
	return r, used
}

// drop removes each message with the sequenceId.
func (s *unpairedRing) drop(seq uint16) {
	for i := range s.slot {
		if e := &s.slot[i]; e.used && e.seq == seq {
			e.used = false
			s.used--
		}
	}
}

func (s *unpairedRing) has(seq uint16) bool {
	for i := range s.slot {
		if s.slot[i].used && s.slot[i].seq == seq {
			return true
		}
	}
	return false
}

func (s *unpairedRing) expire(before clock.Mono) (n uint64) {
	if s.used == 0 {
		return 0
	}
	for i := range s.slot {
		if e := &s.slot[i]; e.used && e.since < before {
			e.used = false
			s.used--
			n++
		}
	}
	return n
}

// syncs pairs the Sync and Follow_Up messages of the parent.
type syncs struct {
	sequence sequence
	// waiting Syncs, and early Follow_Ups.
	waiting, early unpairedRing
	// said is what the latest Syncs said, by sequenceId, followUp what the latest Follow_Up did.
	said     [maxUnpaired]statement
	followUp statement
}

// contradicted reports whether a Sync that was not accepted shows that there are two senders: the one that was accepted with
// its sequenceId said something else, or came so much earlier that this is no copy of it. since is when that one came.
func (s *syncs) contradicted(said statement) (since clock.Timestamp, yes bool) {
	o := s.of(said.seq)
	if o == nil {
		return since, false
	}
	d, ok := said.arrived.Sub(o.arrived)
	return o.arrived, o.contradicts(said) || ok && d > doubled
}

// of returns what the Sync with the sequenceId said, nil if none of the latest has it.
func (s *syncs) of(seq uint16) *statement {
	if o := &s.said[seq%uint16(len(s.said))]; o.made && o.seq == seq {
		return o
	}
	return nil
}

// statement is what a master said of a Sync. Transparent clocks change the correctionField and the twoStepFlag, but not
// this.
type statement struct {
	made    bool
	seq     uint16
	origin  wire.Timestamp
	arrived clock.Timestamp // of a Sync
}

// contradicts reports whether two statements of the same Sync differ.
func (s *statement) contradicts(o statement) bool {
	return s.made && s.seq == o.seq && s.origin != o.origin
}

func (s *syncs) step(d int64) {
	for i := range s.waiting.slot {
		s.waiting.slot[i].ns += d
	}
	for i := range s.said {
		if at := &s.said[i].arrived; !at.IsZero() {
			*at = at.Add(time.Duration(d))
		}
	}
}

func (p *Port) onSync(now clock.Mono, b []byte, ts clock.Timestamp) Reason {
	var m wire.Sync
	if err := m.Parse(b); err != nil {
		return reasonOf(err)
	}
	said := statement{true, m.SequenceID, m.Origin, ts}
	if r := p.inOrder(now, &m, said); r != accepted {
		return r
	}
	if !p.limit.take(now, parentEach, parentBurst) {
		return ReasonRate
	}
	if r := p.stamp(ts); r != accepted {
		return r
	}
	if now < p.stampsValidFrom {
		return ReasonSettling
	}
	if !plausible(m.Correction) {
		return ReasonCorrection
	}
	p.syncSeen(now, m.LogInterval)
	s := unpaired{true, m.SequenceID, ts.Nanoseconds(), m.Correction, now}
	if !m.Flags.Has(wire.FlagTwoStep) {
		return p.oneStep(now, s, m.Origin)
	}
	if r, used := p.pairEarly(now, s); used {
		return r
	}
	p.expireSyncs(now)
	if p.syncs.waiting.put(s) {
		return ReasonNoFollowUp
	}
	return accepted
}

// inOrder accepts each Sync once and in order; while it is contested who the parent is, each that may be the next one.
func (p *Port) inOrder(now clock.Mono, m *wire.Sync, said statement) Reason {
	if p.contested(now) {
		return p.candidate(now, m.SequenceID)
	}
	r, forked := p.syncs.sequence.accept(now, m.SequenceID, statedInterval(m.LogInterval, minLogSync, maxLogSync))
	if forked {
		p.conflicting(now, ConflictSequence, Address{})
	}
	if r == accepted {
		p.syncs.said[said.seq%uint16(len(p.syncs.said))] = said
		return accepted
	}
	if since, yes := p.syncs.contradicted(said); yes {
		p.contest(now, since)
		return p.candidate(now, m.SequenceID)
	}
	return r
}

func (p *Port) oneStep(now clock.Mono, s unpaired, origin wire.Timestamp) Reason {
	t1, err := origin.Int64()
	if err != nil {
		return reasonOf(err)
	}
	r, _ := p.pair(now, s, unpaired{ns: t1})
	return r
}

// pairEarly uses a Sync with a Follow_Up that came before it.
func (p *Port) pairEarly(now clock.Mono, s unpaired) (r Reason, used bool) {
	return p.syncs.early.use(s.seq, func(f unpaired) (Reason, bool) { return p.pair(now, s, f) })
}

func (p *Port) onFollowUp(now clock.Mono, b []byte) Reason {
	var m wire.FollowUp
	if err := m.Parse(b); err != nil {
		return reasonOf(err)
	}
	said := statement{made: true, seq: m.SequenceID, origin: m.PreciseOrigin}
	waiting := p.syncs.waiting.has(m.SequenceID)
	if !waiting && p.syncs.sequence.seen(m.SequenceID) {
		p.compareFollowUp(now, said)
		return ReasonUnmatched
	}
	if p.contested(now) && !p.conflict.followUps.take(m.SequenceID) {
		return ReasonContested
	}
	if !p.limit.take(now, parentEach, parentBurst) {
		return ReasonRate
	}
	t1, err := m.PreciseOrigin.Int64()
	if err != nil {
		return reasonOf(err)
	}
	if !plausible(m.Correction) {
		return ReasonCorrection
	}
	f := unpaired{true, m.SequenceID, t1, m.Correction, now}
	p.expireSyncs(now)
	p.compareFollowUp(now, said)
	expired := waiting && !p.syncs.waiting.has(m.SequenceID)
	r, used := p.syncs.waiting.use(m.SequenceID, func(s unpaired) (Reason, bool) { return p.pair(now, s, f) })
	if used {
		p.syncs.followUp = said
		return r
	}
	if expired {
		return ReasonUnmatched
	}
	p.syncs.followUp = said
	if p.contested(now) { // that of the other sender may be there already
		p.syncs.early.put(f)
		return accepted
	}
	if _, twice := p.syncs.early.take(m.SequenceID); twice {
		p.syncs.early.put(f)
		return ReasonDuplicate
	}
	if p.syncs.early.put(f) {
		return ReasonUnmatched
	}
	return accepted
}

// syncSeen takes note of the Sync interval and starts what depends on Sync messages coming.
func (p *Port) syncSeen(now clock.Mono, log int8) {
	p.syncInterval = statedInterval(log, minLogSync, maxLogSync)
	if gap := p.syncs.sequence.gap; gap > 0 { // or one forged message could have the end of the true ones go unnoticed
		p.syncInterval = min(p.syncInterval, 2*gap)
	}
	p.syncBy = now.Add(p.syncPatience())
	if p.usableBy == clock.Never {
		p.usableBy = now.Add(firstUsable)
	}
	p.startDelay(now)
}

// syncPatience is how long Sync messages may be missing.
func (p *Port) syncPatience() time.Duration {
	return max(syncTimeoutIntervals*p.syncInterval, minSyncTimeout)
}

func (p *Port) syncTimeout() {
	p.syncBy = clock.Never
	p.delay.next = clock.Never
	p.setState(Uncalibrated, "no Sync messages")
}

// unusableTimeout: Sync messages come, but each lacks something.
func (p *Port) unusableTimeout() {
	p.usableBy = clock.Never
	p.masters.setUnusable(p.parent)
	if p.conflict.starved {
		p.track.clear() // nobody continues it: the parent's time has changed
	}
	p.syncs.sequence = p.trusted() // it may follow somebody who forges Sync messages
	p.conflict.starved = p.conflict.contested != 0 && !p.conflict.starved
	p.setState(Uncalibrated, "no usable Sync messages")
}

func (p *Port) expireSyncs(now clock.Mono) {
	before := now - clock.Mono(max(pairIntervals*p.syncInterval, minPairTimeout))
	p.counters.Rejected[ReasonNoFollowUp] += p.syncs.waiting.expire(before)
	p.counters.Rejected[ReasonUnmatched] += p.syncs.early.expire(before)
}

// synced handles a Sync s whose origin f is known (IEEE 1588-2019 §11.2).
func (p *Port) synced(now clock.Mono, s, f unpaired) Reason {
	correction := s.correction + f.correction
	if !p.residence(correction) {
		return ReasonCorrection
	}
	forward, ok := p.difference(s.ns, f.ns, s.correction, f.correction, Span{ns: int64(p.cfg.DelayAsymmetry)})
	if !ok {
		return ReasonRange
	}
	if p.track.n > 0 && s.ns <= p.track.point(0).t2 {
		if int16(s.seq-p.track.point(0).seq) <= 0 {
			return ReasonStale
		}
		// The clock was set back, and Stepped was not called.
		p.track.clear()
		p.steering.forget()
		p.delay.abandon()
	}
	// A doubtful Sync is kept all the same: it is for the next path delay to say who is right.
	doubtful := p.overcorrected(s.ns, forward, correction)
	p.track.add(point{t2: s.ns, forward: forward, correction: correction, seq: s.seq, at: now, doubtful: doubtful})
	p.resolve()
	p.expireExchanges(now)
	if doubtful {
		return ReasonCorrection
	}
	p.usableBy = now.Add(p.syncPatience())
	p.masters.rows[p.parent].unusable, p.conflict.starved = false, false
	p.measured(s.ns, forward)
	return accepted
}

// difference returns a − b − c1 − c2 − asymmetry.
func (p *Port) difference(a, b int64, c1, c2 wire.TimeInterval, asymmetry Span) (Span, bool) {
	ns, ok := subInt64(a, b)
	d, ok1 := Span{ns: ns}.Sub(intervalSpan(c1))
	d, ok2 := d.Sub(intervalSpan(c2))
	d, ok3 := d.Sub(asymmetry)
	return d, ok && ok1 && ok2 && ok3 && d.ns > math.MinInt64/2 && d.ns < math.MaxInt64/2
}

// measured hands out the measurement of the Sync that arrived at t2.
func (p *Port) measured(t2 int64, forward Span) {
	m := &p.measurement
	m.At = clock.At(p.clock, t2)
	m.Forward = forward
	m.DelayKnown = p.delay.filter.n > 0
	m.MeanPathDelay = p.delay.filter.value
	m.DelayDeviation = p.delay.deviation()
	m.Exact, _ = forward.Sub(intervalSpan(m.MeanPathDelay))
	m.Offset = m.Exact.Duration()
	m.HasBackward, p.delay.fresh = p.delay.fresh, false
	m.Backward, m.PathDelay = p.delay.backward, p.delay.latest
	m.BackwardAt = clock.At(p.clock, p.delay.backwardAt)
	m.Interval = p.syncInterval
	m.Parent = p.masters.rows[p.parent].announce
	p.counters.Measurements++
	if m.DelayKnown {
		p.setState(Slave, "path delay measured")
	}
	p.out.Measured(m)
}
