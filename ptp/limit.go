// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
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
type sequence struct {
	started bool
	last    uint16
	// at is when last was accepted; gap is the longest recent time between two that were.
	at           clock.Mono
	gap          time.Duration
	restart      uint16
	restartCount int
}

const (
	// restartAfter is how many messages in order, all older than the latest, show that their sender began anew.
	restartAfter = 3
	// restartSilence is how long a sender that begins anew has been silent at least.
	restartSilence = time.Second
)

// accept returns accepted, ReasonDuplicate or ReasonStale. A sender that was restarted counts from anywhere; so do
// replayed messages, but those have to come in order, and when the sender has been silent for longer than it is wont to.
func (s *sequence) accept(now clock.Mono, id uint16) Reason {
	switch d := int16(id - s.last); {
	case !s.started:
		*s = sequence{started: true, last: id, at: now}
		return accepted
	case d > 0:
		*s = sequence{started: true, last: id, at: now, gap: max(now.Sub(s.at), s.gap-s.gap/8)}
		return accepted
	case d == 0:
		return ReasonDuplicate
	case now.Sub(s.at) <= max(2*s.gap, restartSilence):
		return ReasonStale
	}
	if s.restartCount > 0 && id == s.restart {
		return ReasonDuplicate
	}
	if s.restartCount > 0 && int16(id-s.restart) > 0 {
		s.restartCount++
	} else {
		s.restartCount = 1
	}
	s.restart = id
	if s.restartCount < restartAfter {
		return ReasonStale
	}
	*s = sequence{started: true, last: id, at: now, gap: s.gap}
	return accepted
}

// seen reports whether a message with this or a later sequenceId has been accepted.
func (s *sequence) seen(id uint16) bool { return s.started && int16(id-s.last) <= 0 }

// statedInterval is logInterval of a logMessageInterval, 1 s if that states none.
func statedInterval(log, low, high int8) time.Duration {
	if log == NoLogInterval {
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
