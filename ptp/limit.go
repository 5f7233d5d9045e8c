// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

// limiter is a token bucket kept as one instant: the one at which it is full again.
type limiter struct{ full clock.Mono }

// take reports whether one more is allowed, given the time that one token takes and how many fit.
func (l *limiter) take(now clock.Mono, each time.Duration, burst int) bool {
	if l.full < now {
		l.full = now
	}
	if l.full.Sub(now) > each*time.Duration(burst-1) {
		return false
	}
	l.full = l.full.Add(each)
	return true
}

// sequence accepts the sequenceIds of one sender and message type, each once and in order.
//
// It refuses a message whose sequenceId is further ahead than the time since the latest one explains. Otherwise a single
// forged message would make all true ones stale. A sender that begins anew counts from anywhere. It is accepted once it has
// sent several messages in order, and no message has continued the former course for longer than usual.
type sequence struct {
	started bool
	last    uint16
	// at is when last was accepted; gap is the longest recent time between two that were; interval is the stated one.
	at            clock.Mono
	gap, interval time.Duration
	// ahead is the latest one that was refused as being too far ahead, if isAhead.
	isAhead      bool
	ahead        uint16
	restart      uint16
	restartCount int
}

const (
	// restartAfter is how many messages in order, with none of the former course between them, show that their sender began
	// anew, or that the time since the latest one was longer than it seemed, as when the host was paused. The third one comes
	// before the receipt of Announce messages times out, after three intervals.
	restartAfter = 3
	// restartSilence is how long the former course has ended at least. Replayed messages come in order too, but between
	// true ones.
	restartSilence = time.Second
	// queued is how long messages may wait to be read. They then come at once, and some of them may be lost. A process on a
	// busy host is rarely kept from running for longer; if it is, restartAfter applies.
	queued = 250 * time.Millisecond
)

// accept returns accepted, ReasonDuplicate, ReasonStale or ReasonAhead. interval is the one that the sender states. forked
// says that one that was ReasonAhead is followed by one that continues what came before: there are two senders.
func (s *sequence) accept(now clock.Mono, id uint16, interval time.Duration) (r Reason, forked bool) {
	d := int16(id - s.last)
	switch {
	case !s.started:
		*s = sequence{started: true, last: id, at: now, interval: interval}
		return accepted, false
	case d == 0:
		return ReasonDuplicate, false
	case d > 0 && s.continues(d, now):
		forked = s.isAhead && int16(id-s.ahead) < 0
		*s = sequence{started: true, last: id, at: now, gap: max(now.Sub(s.at), s.gap-s.gap/8), interval: interval}
		return accepted, forked
	}
	r = ReasonStale
	if d > 0 {
		r, s.isAhead, s.ahead = ReasonAhead, true, id
	}
	if s.restartCount > 0 && id == s.restart {
		return ReasonDuplicate, false
	}
	if s.restartCount > 0 && int16(id-s.restart) > 0 {
		s.restartCount++
	} else {
		s.restartCount = 1
	}
	s.restart = id
	if s.restartCount < restartAfter || now.Sub(s.at) <= max(2*s.gap, restartSilence) {
		return r, false
	}
	*s = sequence{started: true, last: id, at: now, gap: s.gap, interval: interval}
	return accepted, false
}

// continues reports whether d messages, d > 0, can have been sent since the latest one: all but one of them got lost.
func (s *sequence) continues(d int16, now clock.Mono) bool {
	pace := s.interval
	if s.gap > 0 {
		pace = min(pace, s.gap) // it sends more often than it states
	}
	return d == 1 || time.Duration(d-1)*pace <= now.Sub(s.at)+queued
}

// near reports whether the sequenceId is one around the latest, or as far ahead as the time since explains.
func (s *sequence) near(id uint16, now clock.Mono) bool {
	d := int16(id - s.last)
	return !s.started || -contestedNear <= d && d <= contestedNear || d > 0 && s.continues(d, now)
}

// advance has a sequenceId be the latest, unless a later one is.
func (s *sequence) advance(now clock.Mono, id uint16, interval time.Duration) {
	if !s.started || int16(id-s.last) > 0 {
		*s = sequence{started: true, last: id, at: now, gap: s.gap, interval: interval}
	}
}

// seen reports whether a message with this or a later sequenceId has been accepted.
func (s *sequence) seen(id uint16) bool { return s.started && int16(id-s.last) <= 0 }

// statedInterval is logInterval of a logMessageInterval, 1 s if that states none.
func statedInterval(log, low, high int8) time.Duration {
	if log == wire.NoLogInterval {
		log = 0
	}
	return logInterval(log, low, high)
}

// logInterval returns 2^log seconds, with log kept within bounds.
func logInterval(log, low, high int8) time.Duration {
	log = min(max(log, low), high)
	if log < 0 {
		return time.Second >> -log
	}
	return time.Second << log
}
