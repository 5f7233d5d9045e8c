// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

// Conflict is a way in which it shows that two senders speak as the parent: somebody forges its messages, or two devices
// have the same clock identity.
type Conflict uint8

const (
	// ConflictAddress: messages with its identity come from another address.
	ConflictAddress Conflict = iota
	// ConflictSequence: messages come whose sequenceIds are far ahead, and those that continue the latest come as well.
	ConflictSequence
	// ConflictContent: two messages with the same sequenceId say different things.
	ConflictContent

	// Conflicts is the number of ways.
	Conflicts
)

// String returns the name as metrics show it: "address", "sequence" or "content".
func (c Conflict) String() string {
	switch c {
	case ConflictAddress:
		return "address"
	case ConflictSequence:
		return "sequence"
	case ConflictContent:
		return "content"
	}
	return "unknown"
}

const (
	// conflictShown is how long a conflict is shown in Status: longer than any sender pauses, so that one that lasts is
	// always seen.
	conflictShown = time.Minute
	// conflictPause is how often one that lasts is reported: seldom enough to leave room for other events, of which 32 are
	// kept.
	conflictPause = 10 * time.Minute
	// doubled is within what time a network delivers the copies of a message that it doubles: redundant networks (IEC
	// 62439-3) do so within their delay, loops of bridges within milliseconds.
	doubled = 10 * time.Millisecond
	// contestedNear is how far the sequenceId of a Sync may be from the latest one while two senders speak as the parent.
	// With more, forged ones would fill the ring of Syncs that wait.
	contestedNear = maxUnpaired / 2
	// contestedSlack, contestedSigmas and contestedRate bound what counts as a continuation: the noise of kernel timestamps
	// on a busy host, standard deviations of the path delay, and the frequency error (one part in contestedRate) that a
	// clock may have while it is slewed.
	contestedSlack  = time.Millisecond
	contestedSigmas = 4
	contestedRate   = 1000
)

// conflict is the latest one with the present parent.
type conflict struct {
	seen bool
	kind Conflict
	from Address // of ConflictAddress
	at   clock.Mono
	// reported is when Output.Conflict was called last, 0 if never.
	reported clock.Mono
	// contested is until when Syncs are used only if they continue the former ones; starved: none has, for long.
	contested clock.Mono
	starved   bool
	// syncs and followUps are those that were looked at since.
	syncs, followUps attempts
}

// shown returns what there is to show at now.
func (c *conflict) shown(now clock.Mono) string {
	if !c.seen || now.Sub(c.at) > conflictShown {
		return ""
	}
	return c.text()
}

func (c *conflict) text() string {
	switch c.kind {
	case ConflictAddress:
		return "messages with its identity come from " + c.from.String() + " as well"
	case ConflictSequence:
		return "its messages have two courses of sequenceIds"
	}
	return "two of its messages with one sequenceId differ"
}

// contest counts two messages of two senders. The Sync of the first one arrived at since, zero if that is not known. It and
// all later ones may be forged. If the port did not know of two senders yet, it may have measured by them: contest drops
// them as track.distrust says, and the Delay_Req exchanges under way. From then on a Sync is in order if it follows one that
// was used.
func (p *Port) contest(now clock.Mono, since clock.Timestamp) {
	if !p.contested(now) {
		p.conflict.syncs, p.conflict.followUps = attempts{}, attempts{}
		if !since.IsZero() {
			p.track.distrust(since.Nanoseconds())
			p.delay.abandon()
			p.syncs.sequence = p.trusted()
		}
	}
	p.conflict.contested = now.Add(conflictShown)
	p.conflicting(now, ConflictContent, Address{})
}

// trusted returns the sequence of the Syncs that were used, the zero sequence if there is none.
func (p *Port) trusted() (s sequence) {
	if p.track.n > 0 {
		last := p.track.point(0)
		s.advance(last.at, last.seq, p.syncInterval)
	}
	return s
}

// compareFollowUp starts or prolongs a contest if a Follow_Up contradicts the previous one with its sequenceId.
func (p *Port) compareFollowUp(now clock.Mono, said statement) {
	if !p.syncs.followUp.contradicts(said) {
		return
	}
	var since clock.Timestamp
	if o := p.syncs.of(said.seq); o != nil {
		since = o.arrived
	}
	p.contest(now, since)
}

// candidate accepts a Sync that may be the next one while two senders speak as the parent.
func (p *Port) candidate(now clock.Mono, id uint16) Reason {
	switch {
	case p.track.has(id):
		return ReasonDuplicate
	case !p.syncs.sequence.near(id, now):
		return ReasonStale
	case !p.conflict.syncs.take(id):
		return ReasonContested
	}
	return accepted
}

// attempts counts the messages of one type that were looked at while two senders speak as the parent, by sequenceId:
// messages that are sent again and again must not use up the parent's rate, and keep the port from its true ones. It has
// room for all Syncs within contestedNear of the latest one.
type attempts [2 * maxUnpaired]struct {
	seq uint16
	n   uint8
}

// take reports whether one more with the sequenceId is to be looked at: as many as may wait.
func (a *attempts) take(seq uint16) bool {
	e := &a[seq%uint16(len(a))]
	if e.seq != seq {
		e.seq, e.n = seq, 0
	}
	if e.n == maxUnpaired {
		return false
	}
	e.n++
	return true
}

// contested reports whether messages with the parent's identity and address lately came from two senders.
func (p *Port) contested(now clock.Mono) bool { return now < p.conflict.contested }

// pair makes a measurement of a Sync and its Follow_Up. While two senders speak as the parent it uses only pairs that
// continue the former measurements. It counts the others and reports used = false: both parts stay, since the right other
// part may still come.
func (p *Port) pair(now clock.Mono, s, f unpaired) (r Reason, used bool) {
	if p.contested(now) {
		forward, ok := p.difference(s.ns, f.ns, s.correction, f.correction, Span{ns: int64(p.cfg.DelayAsymmetry)})
		if !ok || !p.track.continues(s.ns, forward, contestedSlack+contestedSigmas*p.delay.deviation()) {
			p.contest(now, clock.Timestamp{})
			p.reject(ReasonContested)
			return accepted, false
		}
		p.syncs.sequence.advance(now, s.seq, p.syncInterval)
	}
	return p.synced(now, s, f), true
}

// continues reports whether a Sync that arrived at reading t2 fits minAgreeing of the latest five Syncs, or all if there are
// fewer than minAgreeing.
func (t *track) continues(t2 int64, forward Span, slack time.Duration) bool {
	const looked = 5
	fits := 0
	for i := range min(t.n, looked) {
		q := t.point(i)
		gap, ok := forward.Sub(q.forward)
		if ok && gap.Duration().Abs() <= slack+time.Duration(t2-q.t2).Abs()/contestedRate {
			fits++
		}
	}
	return fits >= min(t.n, minAgreeing)
}

// conflicting counts a conflict, and tells of it unless that was done lately. from is the other address of
// ConflictAddress.
func (p *Port) conflicting(now clock.Mono, kind Conflict, from Address) {
	p.counters.Conflicts[kind]++
	c := &p.conflict
	c.seen, c.kind, c.from, c.at = true, kind, from, now
	if c.reported == 0 || now.Sub(c.reported) >= conflictPause {
		c.reported = now
		p.out.Conflict(c.text())
	}
}
