// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"sort"
	"time"
)

// MaxLeapFile bounds the bytes of a leap-seconds.list, which has some 5 to 11 kB.
const MaxLeapFile = 256 << 10

// LeapTable is a leap-seconds.list: the history of TAI − UTC since 1972, and the next leap second once it is
// announced. It is never changed once made.
type LeapTable struct {
	entries          []leapEntry // in the order of time, at least one
	updated, expires int64       // Unix seconds
}

// leapEntry says that TAI − UTC is offset seconds since the UTC midnight at which UTC reads utc, in Unix seconds.
type leapEntry struct {
	utc    int64
	offset int
}

// start returns the first instant of the entry, in nanoseconds of the scale UTC or TAI.
// On TAI an inserted second comes before it.
func (e leapEntry) start(s Scale) int64 {
	if s == TAI {
		return (e.utc + int64(e.offset)) * int64(time.Second)
	}
	return e.utc * int64(time.Second)
}

// Updated returns when the list was last changed, on UTC.
func (t *LeapTable) Updated() Instant { return unixUTC(t.updated) }

// Expires returns, on UTC, the instant from which on the list does not know whether there has been a leap second.
func (t *LeapTable) Expires() Instant { return unixUTC(t.expires) }

func unixUTC(sec int64) Instant { return Instant{sec * int64(time.Second), UTC} }

// TAIOffset returns TAI − UTC in seconds at an instant of UTC or TAI; it is not ok on other scales, and before 1972.
// An inserted second still has the offset from before it. After Expires it is the last offset known.
func (t *LeapTable) TAIOffset(at Instant) (seconds int, ok bool) {
	next, ok := t.next(at)
	if !ok || next == 0 {
		return 0, false
	}
	return t.entries[next-1].offset, true
}

// NextLeap returns the first leap second that ends after the instant at, of UTC or TAI, if it does so within the
// duration: its kind, and the UTC midnight from which on the new offset holds. It is NoLeap if there is none.
func (t *LeapTable) NextLeap(at Instant, within time.Duration) (Leap, Instant) {
	next, ok := t.next(at)
	next = max(next, 1) // the first entry is where UTC begins
	if !ok || next == len(t.entries) {
		return NoLeap, Instant{}
	}
	e := t.entries[next]
	// As unsigned number the difference of two instants cannot overflow.
	if within < 0 || uint64(e.start(at.Scale))-uint64(at.Nanoseconds) > uint64(within) {
		return NoLeap, Instant{}
	}
	return Leap(e.offset - t.entries[next-1].offset), unixUTC(e.utc)
}

// next returns the index of the first entry that starts after at, and whether at is of a scale that can tell.
func (t *LeapTable) next(at Instant) (i int, ok bool) {
	i = sort.Search(len(t.entries), func(i int) bool { return t.entries[i].start(at.Scale) > at.Nanoseconds })
	return i, at.Scale == UTC || at.Scale == TAI
}
