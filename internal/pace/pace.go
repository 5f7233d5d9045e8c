// SPDX-License-Identifier: Apache-2.0

// Package pace tells whether something that may wait is done at once: whoever calls a driver that answers at once may do
// without another thread.
package pace

import (
	"sync/atomic"
	"time"
)

const (
	// atOnce is what a call may take: 40 such calls in a second keep others waiting for 4 % of the time. Drivers that read a
	// register answer within 0.1 ms, and those that have to ask firmware or another bus take several.
	atOnce = time.Millisecond
	// hung is what no call takes that is only interrupted, on all but the busiest machines.
	hung = 10 * time.Millisecond
	// A call that was done at once counts one, up to most, and one that was not takes penalty away. From enough on the next
	// one may be expected to be done at once: where fewer than one in five is not, the machine is busy, not the driver slow.
	enough  = 16
	most    = 32
	penalty = 4
)

// Pace is that of one kind of call. The zero value expects nothing. It may be used from several goroutines.
type Pace struct{ score atomic.Int32 }

// AtOnce reports whether the next call may be expected to be done at once.
func (p *Pace) AtOnce() bool { return p.score.Load() >= enough }

// Took takes in how long a call took. Calls of several goroutines at a time may be counted as one.
func (p *Pace) Took(d time.Duration) {
	switch score := p.score.Load(); {
	case d > hung:
		p.Reset()
	case d > atOnce:
		p.score.Store(max(0, score-penalty))
	default:
		p.score.Store(min(most, score+1))
	}
}

// Reset forgets what has been seen.
func (p *Pace) Reset() { p.score.Store(0) }
