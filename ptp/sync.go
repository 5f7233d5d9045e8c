// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

const (
	// firstUse is how long after it was chosen a parent may take until a Sync of it can be used: longer than any interval.
	firstUse = 20 * time.Second
	// Longer intervals than 16 s would have the end of the Sync messages go unnoticed for minutes.
	minLogSync, maxLogSync int8 = -7, 4
	// minPairTimeout and pairIntervals bound how long a Sync and its Follow_Up wait for each other.
	minPairTimeout = time.Second
	pairIntervals  = 2
)

// half is a Sync that waits for its Follow_Up, or a Follow_Up that came first. Event and general messages are read from
// different sockets, so both happen.
type half struct {
	used       bool
	seq        uint16
	ns         int64 // t2 of a Sync, t1 of a Follow_Up
	correction TimeInterval
	since      clock.Mono
}

type halves struct {
	slot [16]half
	next int
	used int
}

// put keeps h in place of the oldest and reports whether that was still waiting.
func (s *halves) put(h half) (lost bool) {
	e := &s.slot[s.next]
	s.next = (s.next + 1) % len(s.slot)
	lost = e.used
	if !lost {
		s.used++
	}
	*e = h
	return lost
}

func (s *halves) take(seq uint16) (h half, ok bool) {
	for i := range s.slot {
		if e := &s.slot[i]; e.used && e.seq == seq {
			e.used = false
			s.used--
			return *e, true
		}
	}
	return half{}, false
}

// use calls f for each half with the sequenceId, oldest first, until f uses one. Then none of them waits any more.
func (s *halves) use(seq uint16, f func(half) (Reason, bool)) (r Reason, used bool) {
	for i := range s.slot {
		e := &s.slot[(s.next+i)%len(s.slot)]
		if !e.used || e.seq != seq {
			continue
		}
		h := *e
		if r, used = f(h); used {
			break
		}
	}
	if used {
		for _, more := s.take(seq); more; _, more = s.take(seq) {
		}
	}
	return r, used
}

func (s *halves) has(seq uint16) bool {
	for i := range s.slot {
		if s.slot[i].used && s.slot[i].seq == seq {
			return true
		}
	}
	return false
}

func (s *halves) expire(before clock.Mono) (n uint64) {
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
	waiting, early halves
	// sync and followUp are what the latest of each said, arrived when the Sync came.
	sync, followUp statement
	arrived        clock.Timestamp
}

// late reports whether a Sync comes so long after the latest one that it is no copy of that, and was not overtaken by it.
func (s *syncs) late(ts clock.Timestamp) bool {
	d, ok := ts.Sub(s.arrived)
	return ok && d > doubled
}

// statement is what a master said of a Sync. What is on the way may change the correctionField, but not this.
type statement struct {
	made   bool
	seq    uint16
	flags  Flags
	origin Timestamp
}

func statementOf(h *Header, origin Timestamp) statement {
	return statement{true, h.SequenceID, h.Flags, origin}
}

// contradicts reports whether two statements of the same Sync differ.
func (s *statement) contradicts(o statement) bool { return s.made && s.seq == o.seq && *s != o }

func (s *syncs) step(d int64) {
	for i := range s.waiting.slot {
		s.waiting.slot[i].ns += d
	}
}

func (p *Port) onSync(now clock.Mono, b []byte, ts clock.Timestamp) Reason {
	var m Sync
	if err := m.Parse(b); err != nil {
		return reasonOf(err)
	}
	interval := statedInterval(m.LogInterval, minLogSync, maxLogSync)
	r, forked := p.syncs.sequence.accept(now, m.SequenceID, interval)
	if forked {
		p.conflicting(now, conflictSequence, Address{})
	}
	said := statementOf(&m.Header, m.Origin)
	late := p.syncs.late(ts)
	switch {
	case r == ReasonDuplicate && (p.syncs.sync.contradicts(said) || late):
		p.conflicting(now, conflictContent, Address{})
	case r == ReasonStale && late && p.syncs.sequence.overtaken(m.SequenceID):
		p.conflicting(now, conflictSequence, Address{})
	}
	switch {
	case r == accepted:
		p.syncs.sync, p.syncs.arrived = said, ts
	case !p.contested(now) || !p.syncs.sequence.near(m.SequenceID):
		return r
	}
	if !p.limit.take(now, parentEach, parentBurst) {
		return ReasonRate
	}
	if r := p.stamp(ts); r != accepted {
		return r
	}
	if now < p.settled {
		return ReasonSettling
	}
	if !plausible(m.Correction) {
		return ReasonCorrection
	}
	p.syncSeen(now, m.LogInterval)
	s := half{true, m.SequenceID, ts.Nanoseconds(), m.Correction, now}
	if !m.Flags.Has(FlagTwoStep) {
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

func (p *Port) oneStep(now clock.Mono, s half, origin Timestamp) Reason {
	t1, err := origin.Int64()
	if err != nil {
		return reasonOf(err)
	}
	r, _ := p.pair(now, s, half{ns: t1})
	return r
}

// pairEarly uses a Sync with a Follow_Up that came before it.
func (p *Port) pairEarly(now clock.Mono, s half) (r Reason, used bool) {
	return p.syncs.early.use(s.seq, func(f half) (Reason, bool) { return p.pair(now, s, f) })
}

func (p *Port) onFollowUp(now clock.Mono, b []byte) Reason {
	var m FollowUp
	if err := m.Parse(b); err != nil {
		return reasonOf(err)
	}
	said := statementOf(&m.Header, m.PreciseOrigin)
	waiting := p.syncs.waiting.has(m.SequenceID)
	if !waiting && p.syncs.sequence.seen(m.SequenceID) {
		if p.syncs.followUp.contradicts(said) {
			p.conflicting(now, conflictContent, Address{})
		}
		return ReasonUnmatched
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
	f := half{true, m.SequenceID, t1, m.Correction, now}
	p.expireSyncs(now)
	if p.syncs.followUp.contradicts(said) {
		p.conflicting(now, conflictContent, Address{})
	}
	expired := waiting && !p.syncs.waiting.has(m.SequenceID)
	r, used := p.syncs.waiting.use(m.SequenceID, func(s half) (Reason, bool) { return p.pair(now, s, f) })
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
	p.syncBy = now.Add(p.syncPatience())
	if p.usedBy == clock.Never {
		p.usedBy = now.Add(firstUse)
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

// useTimeout: Sync messages come, but each lacks something.
func (p *Port) useTimeout() {
	p.usedBy = clock.Never
	p.masters.rows[p.parent].useless = true
	p.syncs.sequence = sequence{} // it may follow somebody who forges Sync messages
	if p.conflict.contested != 0 {
		p.track.clear() // or the parent's time has changed meanwhile
	}
	p.setState(Uncalibrated, "no usable Sync messages")
}

func (p *Port) expireSyncs(now clock.Mono) {
	before := now - clock.Mono(max(pairIntervals*p.syncInterval, minPairTimeout))
	p.counters.Rejected[ReasonNoFollowUp] += p.syncs.waiting.expire(before)
	p.counters.Rejected[ReasonUnmatched] += p.syncs.early.expire(before)
}

// synced handles a Sync s whose origin f is known (IEEE 1588-2019 §11.2).
func (p *Port) synced(now clock.Mono, s, f half) Reason {
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
		// The clock was set back, and nobody told.
		p.track.clear()
		p.steering.forget()
		p.delay.abandon()
	}
	// A doubtful Sync is kept all the same: it is for the next path delay to say who is right.
	doubtful := p.overcorrected(s.ns, forward, correction)
	p.track.add(point{t2: s.ns, forward: forward, correction: correction, seq: s.seq, doubtful: doubtful})
	p.resolve()
	p.expireExchanges(now)
	if doubtful {
		return ReasonCorrection
	}
	p.usedBy = now.Add(p.syncPatience())
	p.masters.rows[p.parent].useless = false
	p.measured(s.ns, forward)
	return accepted
}

// difference returns a − b − c1 − c2 − asymmetry.
func (p *Port) difference(a, b int64, c1, c2 TimeInterval, asymmetry Span) (Span, bool) {
	ns, ok := subInt64(a, b)
	d, ok1 := Span{ns: ns}.Sub(c1.span())
	d, ok2 := d.Sub(c2.span())
	d, ok3 := d.Sub(asymmetry)
	return d, ok && ok1 && ok2 && ok3 && d.ns > math.MinInt64/2 && d.ns < math.MaxInt64/2
}

// measured hands out what the Sync that arrived at t2 told.
func (p *Port) measured(t2 int64, forward Span) {
	m := &p.measurement
	m.At = clock.At(p.clock, t2)
	m.Forward = forward
	m.DelayKnown = p.delay.filter.n > 0
	m.MeanPathDelay = p.delay.filter.value
	m.DelayDeviation = p.delay.deviation()
	m.Exact, _ = forward.Sub(m.MeanPathDelay.span())
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
