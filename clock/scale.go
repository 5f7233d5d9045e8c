// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"time"
)

// Scale is a time scale. TAI and UTC differ by a whole number of seconds that changes with leap seconds.
type Scale uint8

const (
	// UnknownScale: nobody said which.
	UnknownScale Scale = iota
	// UTC counts POSIX seconds: leap seconds have no count of their own.
	UTC
	// TAI counts every second; the PTP timescale (IEEE 1588-2019 §7.2.1).
	TAI
	// Arbitrary has an epoch of its own (the ARB timescale of IEEE 1588-2019 §7.2.1) and tells nothing of UTC or TAI.
	Arbitrary
)

// String returns the name of the scale.
func (s Scale) String() string {
	switch s {
	case UTC:
		return "UTC"
	case TAI:
		return "TAI"
	case Arbitrary:
		return "ARB"
	}
	return "unknown"
}

// MarshalText makes JSON show the name.
func (s Scale) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Instant is a point in time that carries its scale: nanoseconds since 1970-01-01 00:00:00 of that scale.
type Instant struct {
	Nanoseconds int64
	Scale       Scale
}

// TAIFromUTC returns a UTC instant on the TAI scale, given TAI − UTC in seconds. Not ok if it is not a UTC instant.
func (i Instant) TAIFromUTC(offset int) (Instant, bool) {
	return Instant{i.Nanoseconds + int64(offset)*int64(time.Second), TAI}, i.Scale == UTC
}

// UTCFromTAI returns a TAI instant on the UTC scale, given TAI − UTC in seconds. Not ok if it is not a TAI instant.
func (i Instant) UTCFromTAI(offset int) (Instant, bool) {
	return Instant{i.Nanoseconds - int64(offset)*int64(time.Second), UTC}, i.Scale == TAI
}

// Leap is an announced leap second at the end of the UTC day.
type Leap int8

const (
	// NoLeap: the day has 86400 seconds.
	NoLeap Leap = 0
	// LeapInsert: the last minute has 61 seconds.
	LeapInsert Leap = 1
	// LeapDelete: the last minute has 59 seconds.
	LeapDelete Leap = -1
)
