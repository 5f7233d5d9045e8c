// SPDX-License-Identifier: Apache-2.0

// Package source is where samples of every kind come together: what each source says of the time, which sources tell
// the truth, and which one leads.
package source

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

// ID names a source for as long as the configuration that made it: "ptp:eth0", "ntp:192.0.2.1".
type ID string

// Kind is the protocol that a source speaks.
type Kind uint8

const (
	// PTP: a grandmaster seen through a port of this host.
	PTP Kind = iota + 1
	// NTP: a server asked over NTP.
	NTP
	// PPS: a pulse per second.
	PPS
)

// String returns the name of the protocol in lower case.
func (k Kind) String() string {
	switch k {
	case PTP:
		return "ptp"
	case NTP:
		return "ntp"
	case PPS:
		return "pps"
	}
	return "unknown"
}

// Sample is one measurement: at one instant, a clock of this host differed from a source by Offset.
type Sample struct {
	// At is what the measured clock read at the instant that Offset holds for.
	At clock.Timestamp
	// Offset is the clock less the source: positive when the clock is ahead. Both are taken on the source's scale, so
	// Offset includes TAI − UTC when a clock that keeps UTC is measured by a source that keeps TAI.
	Offset time.Duration
	// Delay is what the way there and back took, without the time at the other end. 0 for a source with no way back.
	Delay time.Duration
	// Uncertainty is the standard deviation to be expected of Offset from the measurement alone. Positive.
	Uncertainty time.Duration
	// MaxError bounds |Offset less the true one|, provided that the source tells the truth about itself:
	// half the delay, root delay and root dispersion, the granularity of the stamps.
	MaxError time.Duration
	// Scale is the time scale of the source.
	Scale clock.Scale
	// UTCOffset is TAI − UTC in seconds as the source states it, and is valid only if UTCOffsetValid.
	UTCOffset      int
	UTCOffsetValid bool
	// Leap is the leap second that the source announces for the end of the day.
	Leap clock.Leap
	// Stratum is the distance to a primary reference: 1 for a server that has one. PTP uses stepsRemoved + 1.
	Stratum int
}
