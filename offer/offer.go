// SPDX-License-Identifier: Apache-2.0

// Package offer is what the time of this host is worth to others: the kernel, the status, and whoever is served. An Offer is
// made by the engine and never changed, so that any goroutine can use it without the engine.
package offer

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/timescale"
)

// Offer is what is known of this host's time from Made until Until. After that it says nothing: the engine has stopped.
type Offer struct {
	Made, Until clock.Mono
	// Synchronized: the clocks follow a source, or hold over within the configured limit.
	Synchronized bool
	// UTCOffset is TAI − UTC; Leap is the leap second at the end of this UTC day.
	UTCOffset timescale.Offset
	Leap      clock.Leap
	// Lines of the clocks of which the offset to true time is known.
	Lines []Line
}

// Line is where one clock is beside true time on the clock's own scale: what is served is the time that this tells, not what
// the clock reads.
type Line struct {
	Clock clock.ID
	// Epoch counts how often the clock was stepped or set. A reading of another epoch is not on the line.
	Epoch uint64
	// At is what the clock read when the offer was made.
	At clock.Timestamp
	// Offset is the clock less true time at At, in ns; Rate is by how many ns it grows per second of the clock.
	Offset, Rate float64
	// Sigma is the standard deviation of Offset, in ns.
	Sigma float64
	// MaxError bounds the clock's error at At; Growth is by how many ns it grows per second at most, until the offer ends.
	MaxError time.Duration
	Growth   float64
}

// Line returns the line of a clock, if there is one.
func (o *Offer) Line(id clock.ID) (Line, bool) {
	if o != nil {
		for _, l := range o.Lines {
			if l.Clock == id {
				return l, true
			}
		}
	}
	return Line{}, false
}

// Valid reports whether the offer may be used at now.
func (o *Offer) Valid(now clock.Mono) bool { return o != nil && o.Made <= now && now < o.Until }

// Error returns what the clock is off when it reads at, and the bound of that. It is not ok for a reading of another clock.
func (l Line) Error(at clock.Timestamp) (offset, bound time.Duration, ok bool) {
	since, ok := at.Sub(l.At)
	if !ok {
		return 0, 0, false
	}
	seconds := since.Seconds()
	growth := clock.Nanoseconds(l.Growth * math.Abs(seconds))
	return clock.Nanoseconds(l.Offset + l.Rate*seconds), clock.Sum(l.MaxError, growth), true
}

// True returns true time on the clock's scale at the instant at which the clock reads at, in ns since 1970. It is not ok for
// a reading of another clock.
func (l Line) True(at clock.Timestamp) (ns int64, ok bool) {
	off, _, ok := l.Error(at)
	return at.Nanoseconds() - int64(off), ok
}
