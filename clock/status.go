// SPDX-License-Identifier: Apache-2.0

package clock

import "time"

// Status is what the kernel tells the programs of this host about CLOCK_REALTIME (ntp_adjtime(3), adjtimex(2)).
type Status struct {
	// Synchronized clears STA_UNSYNC.
	Synchronized bool
	// MaxError bounds the clock's error, EstError is what it is expected to be. The kernel keeps whole microseconds up
	// to 16 s; it adds 500 µs to MaxError every second, and takes the clock for unsynchronised at 16 s.
	MaxError, EstError time.Duration
	// TAIOffset is TAI − UTC in seconds as it is now, 0 to 100000, and is valid only if TAIOffsetValid.
	// It is the offset of CLOCK_TAI, to which the kernel itself adds a leap second that is armed.
	TAIOffset      int
	TAIOffsetValid bool
	// Leap is the leap second armed for the end of the UTC day.
	Leap Leap
}
