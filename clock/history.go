// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"sort"
	"time"

	"github.com/lockstep-time/lockstep/clock/internal/fixed"
)

// The frequencies that a History takes, in parts per billion. Others are taken for the nearest of these.
const (
	historyMinPPB = -499_999_999
	historyMaxPPB = 999_999_999
)

// History is the record of what steering did to one clock, so that an estimator can work in the time of the clock's
// free-running oscillator: while the disciplined clock counts dt at a frequency correction f, its oscillator counts
// dt/(1 + f), and the correction grows by dt·f/(1 + f). Steps add to the correction as they are.
//
// It is told what was done in the order in which it was done, and forgets the oldest when it is full.
// After a step back the clock reads a second time what it read before the step. Such a reading is understood as one
// of after the step: the latest stretch that can have it wins. After a step forward, readings that were left out are
// understood as ones from before the step, had it not been.
//
// It allocates only when made, and takes no lock: one goroutine at a time may use it.
type History struct {
	clock ID
	// ring holds the latest stretches, count of them, the oldest at first. Their starts increase strictly, since what
	// begins at or after the start of a later one can never win.
	ring         []steered
	first, count int
}

// steered is a stretch of one frequency. When the clock read start, the correction was whole + fraction.
type steered struct {
	start, whole int64
	fraction     uint64 // in 2^-62 ns
	rate         int64  // f/(1 + f), in 2^-62
}

// at returns the correction when the clock reads ns.
func (s steered) at(ns int64) (whole int64, fraction uint64) {
	more, fraction := fixed.Multiply(ns-s.start, s.rate, s.fraction)
	return s.whole + more, fraction
}

// NewHistory returns an empty record of the clock id that remembers the latest capacity changes, at least 1.
func NewHistory(id ID, capacity int) *History {
	return &History{clock: id, ring: make([]steered, max(capacity, 1))}
}

// SetFrequency records that since the clock read at, it has been running ppb parts per billion faster than its
// oscillator. The same frequency again is no change. A timestamp of another clock is ignored.
func (h *History) SetFrequency(at Timestamp, ppb float64) {
	if at.clock != h.clock || ppb != ppb {
		return
	}
	ppb = min(max(ppb, historyMinPPB), historyMaxPPB)
	s := h.next(at.ns)
	s.rate = fixed.Rate(ppb / (1e9 + ppb))
	if h.count > 0 && s.rate == h.latest().rate {
		return
	}
	h.push(s)
}

// Step records that when the clock read at, d was added to it: it went on from at + d, with the same frequency.
// Before the first SetFrequency that is 0. A timestamp of another clock is ignored.
func (h *History) Step(at Timestamp, d time.Duration) {
	if at.clock != h.clock {
		return
	}
	s := h.next(at.ns)
	if h.count == 0 {
		h.push(s)
	}
	s.start += int64(d)
	s.whole += int64(d)
	h.push(s)
}

// Correction returns how far steering had moved the clock, since the first record, when the clock read at: nanoseconds
// and a fraction of one, 0 ≤ fraction < 1. The oscillator, had it been let run free since the first record, would have
// read at − whole − fraction. It is not ok if at is of another clock, or is from before the first record or what is
// remembered.
func (h *History) Correction(at Timestamp) (whole time.Duration, fraction float64, ok bool) {
	if at.clock != h.clock {
		return 0, 0, false
	}
	later := sort.Search(h.count, func(i int) bool { return h.entry(i).start > at.ns })
	if later == 0 {
		return 0, 0, false
	}
	ns, rest := h.entry(later - 1).at(at.ns)
	return time.Duration(ns), fixed.Float(rest), true
}

// next returns the latest stretch as if it began when the clock read ns; the very first one has no correction.
func (h *History) next(ns int64) steered {
	if h.count == 0 {
		return steered{start: ns}
	}
	s := *h.latest()
	s.whole, s.fraction = s.at(ns)
	s.start = ns
	return s
}

func (h *History) push(s steered) {
	for h.count > 0 && h.latest().start >= s.start {
		h.count--
	}
	if h.count == len(h.ring) {
		h.first = (h.first + 1) % len(h.ring)
		h.count--
	}
	h.count++
	*h.latest() = s
}

func (h *History) latest() *steered { return h.entry(h.count - 1) }

// entry returns the i-th stretch, the oldest being 0.
func (h *History) entry(i int) *steered { return &h.ring[(h.first+i)%len(h.ring)] }
