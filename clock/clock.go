// SPDX-License-Identifier: Apache-2.0

// Package clock says what a clock of this host is: something that can be read, stepped and slewed. It has the
// time scales, the leap seconds that join two of them, and the history of what steering did to a clock. It makes no system
// call: the clocks themselves are in clock/sysclock and phc.
package clock

import (
	"errors"
	"strconv"
	"time"
)

// ID names a clock of this host. The zero ID is no clock.
type ID uint16

// System is the clock that the host's programs read, CLOCK_REALTIME, or the virtual clock that stands for it.
const System ID = 1

const firstPHC ID = 2

// PHC returns the ID of the PTP hardware clock /dev/ptpN. N is at most 65533.
func PHC(index int) ID { return firstPHC + ID(index) }

// PHCIndex returns the N of /dev/ptpN, and whether id is a PHC at all.
func (id ID) PHCIndex() (index int, ok bool) { return int(id) - int(firstPHC), id >= firstPHC }

// String returns "system", "ptpN", or "none" for the zero ID.
func (id ID) String() string {
	switch {
	case id == 0:
		return "none"
	case id == System:
		return "system"
	}
	return "ptp" + strconv.Itoa(int(id-firstPHC))
}

// Timestamp is what one clock read. Timestamps of different clocks cannot be subtracted from each other.
// The zero Timestamp is no reading.
type Timestamp struct {
	clock ID
	ns    int64
}

// At returns the Timestamp at which the clock reads ns nanoseconds since the epoch 1970-01-01 00:00:00 of its scale.
func At(id ID, ns int64) Timestamp { return Timestamp{id, ns} }

// Clock returns the clock that the reading is of.
func (t Timestamp) Clock() ID { return t.clock }

// Nanoseconds returns the reading in nanoseconds since the epoch of the clock's scale.
func (t Timestamp) Nanoseconds() int64 { return t.ns }

// IsZero reports whether t is no reading at all.
func (t Timestamp) IsZero() bool { return t == Timestamp{} }

// Add returns the reading d later by the same clock.
func (t Timestamp) Add(d time.Duration) Timestamp { return Timestamp{t.clock, t.ns + int64(d)} }

// Sub returns t − u. It is not ok, and the difference 0, if they are readings of different clocks.
func (t Timestamp) Sub(u Timestamp) (d time.Duration, ok bool) {
	if t.clock != u.clock || t.clock == 0 {
		return 0, false
	}
	return time.Duration(t.ns - u.ns), true
}

// Mono is an instant of the event loop: nanoseconds of CLOCK_MONOTONIC, or of virtual time in a simulation.
// It says when things happen, never what time it is.
type Mono int64

// Never is later than any instant.
const Never Mono = 1<<63 - 1

// Add returns the instant d later, Never at most.
func (m Mono) Add(d time.Duration) Mono {
	if d > 0 && m > Never-Mono(d) {
		return Never
	}
	return m + Mono(d)
}

// Sub returns m − n.
func (m Mono) Sub(n Mono) time.Duration { return time.Duration(m - n) }

// Errors that a caller decides on.
var (
	// ErrGone: the clock's device has vanished; it has to be opened again.
	ErrGone = errors.New("clock device is gone")
	// ErrNotSupported: the clock or its driver cannot do this.
	ErrNotSupported = errors.New("not supported")
	// ErrRange: the value is beyond what the clock takes.
	ErrRange = errors.New("out of range")
)

// Clock is read, stepped and slewed. Its methods may be called from any goroutine.
// Errors name the operation and the clock, and wrap the kernel's error or one of this package's.
type Clock interface {
	// ID returns the clock's identity.
	ID() ID
	// Name returns what people call the clock: "CLOCK_REALTIME", "/dev/ptp0", "virtual".
	Name() string
	// Scale returns the time scale that the clock keeps by convention.
	Scale() Scale
	// Now reads the clock.
	Now() (Timestamp, error)
	// Step adds d to the clock at once, exact to the nanosecond.
	Step(d time.Duration) error
	// SetFrequency has the clock run ppb parts per billion faster than its oscillator (slower if negative).
	// It fails with ErrRange beyond ±MaxFrequency.
	SetFrequency(ppb float64) error
	// Frequency returns what was last set, by anybody, in parts per billion.
	Frequency() (ppb float64, err error)
	// MaxFrequency returns the largest magnitude that SetFrequency takes, in parts per billion.
	MaxFrequency() float64
}

// Method is the way in which two clocks were read at once, best first.
type Method uint8

const (
	// Precise: the hardware latched both clocks at once (PTP_SYS_OFFSET_PRECISE).
	Precise Method = iota + 1
	// Extended: the driver read the system clock right before and after the device's register (PTP_SYS_OFFSET_EXTENDED).
	Extended
	// Basic: the kernel read the system clock before and after it called the driver (PTP_SYS_OFFSET).
	Basic
	// Software: the clocks were read one after the other in user space.
	Software
)

// String returns the name in lower case.
func (m Method) String() string {
	switch m {
	case Precise:
		return "precise"
	case Extended:
		return "extended"
	case Basic:
		return "basic"
	case Software:
		return "software"
	}
	return "none"
}

// Crossing is one measurement between two clocks of this host: at one instant one read A and the other B.
type Crossing struct {
	// A and B are the readings; by convention A is a PHC and B the system clock.
	A, B Timestamp
	// Uncertainty bounds the error of A − B: half of the window in which both were read.
	Uncertainty time.Duration
	// Method is how it was done.
	Method Method
}
