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
	started      bool
	last         uint16
	restart      uint16
	restartCount int
}

// restartAfter is how many messages in order, all older than the latest, show that their sender began anew.
const restartAfter = 3

// accept returns accepted, ReasonDuplicate or ReasonStale. A sender that was restarted counts from anywhere; so do
// replayed messages, but those have to come in order and without the sender's true ones between them.
func (s *sequence) accept(id uint16) Reason {
	switch d := int16(id - s.last); {
	case !s.started, d > 0:
		*s = sequence{started: true, last: id}
		return accepted
	case d == 0:
		return ReasonDuplicate
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
	*s = sequence{started: true, last: id}
	return accepted
}

// seen reports whether a message with this or a later sequenceId has been accepted.
func (s *sequence) seen(id uint16) bool { return s.started && int16(id-s.last) <= 0 }

// logInterval returns 2^log seconds, with log kept within bounds.
func logInterval(log, low, high int8) time.Duration {
	log = min(max(log, low), high)
	if log < 0 {
		return time.Second >> -log
	}
	return time.Second << log
}
