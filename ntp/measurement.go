// SPDX-License-Identifier: Apache-2.0

package ntp

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

// Measurement is what one exchange with a server told (RFC 5905 §8).
type Measurement struct {
	// At is what the clock read in the middle of the exchange, the instant that Offset holds for.
	At clock.Timestamp
	// Offset is the clock less the server, positive when the clock is ahead.
	Offset time.Duration
	// Delay is what the way there and back took, without the time at the server.
	Delay time.Duration
	// Uncertainty is the standard deviation to be expected of Offset from the exchange alone. Positive.
	Uncertainty time.Duration
	// MaxError bounds |Offset less the true one|, provided that the server tells the truth about itself: half the delay, root
	// delay and root dispersion, the precision of both clocks.
	MaxError time.Duration
	// Leap is the leap second that the server announces for the end of the day.
	Leap clock.Leap
	// Stratum is the server's distance to a primary reference: 1 for a server that has one.
	Stratum int
}
