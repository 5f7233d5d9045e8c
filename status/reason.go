// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/source"
)

// ReasonCode says of what kind the reason of a state is.
type ReasonCode uint8

// The reasons, and the fields of Reason that each uses.
const (
	// JustStarted: no source has been judged yet.
	JustStarted ReasonCode = iota
	// Following Source; Approaching its time.
	Following
	Approaching
	// ArbitraryScale of Source, NoUTCOffset for it: only the PHC is steered.
	ArbitraryScale
	NoUTCOffset
	// HoldingOver: the clocks keep their learned frequencies.
	HoldingOver
	// ErrorTooLarge: the maximum error A exceeds B. SilentTooLong: no source for A.
	ErrorTooLarge
	SilentTooLong
	// NeverUsable: no source has been usable since the start. NoneUsable: none is now.
	NeverUsable
	NoneUsable
	// NoneFollowed: no source is followed, because of Why.
	NoneFollowed
	// PanicThreshold: Clock is off by A.
	PanicThreshold
	// Resumed on request, after a panic.
	Resumed
)

// String returns the name that JSON has for the code.
func (c ReasonCode) String() string {
	switch c {
	case JustStarted:
		return "just-started"
	case Following:
		return "following"
	case Approaching:
		return "approaching"
	case ArbitraryScale:
		return "arbitrary-timescale"
	case NoUTCOffset:
		return "no-utc-offset"
	case HoldingOver:
		return "holding-over"
	case ErrorTooLarge:
		return "error-too-large"
	case SilentTooLong:
		return "silent-too-long"
	case NeverUsable:
		return "never-usable"
	case NoneUsable:
		return "none-usable"
	case NoneFollowed:
		return "none-followed"
	case PanicThreshold:
		return "panic-threshold"
	case Resumed:
		return "resumed"
	}
	return "unknown"
}

// Reason of the host's state. Two reasons are the same if they are equal.
type Reason struct {
	Code   ReasonCode
	Source source.ID
	Clock  clock.ID
	A, B   time.Duration
	Why    source.Reason
}

// String returns a sentence without a full stop.
func (r Reason) String() string {
	switch r.Code {
	case JustStarted:
		return "the daemon has just started"
	case Following:
		return "following " + string(r.Source)
	case Approaching:
		return "on the way to " + string(r.Source)
	case ArbitraryScale:
		return fmt.Sprintf("the timescale of %s is arbitrary: only the PHC is steered", r.Source)
	case NoUTCOffset:
		return fmt.Sprintf("the UTC offset is unknown: only the PHC is steered, by %s", r.Source)
	case HoldingOver:
		return "no usable source; the learned frequencies are kept"
	case ErrorTooLarge:
		return fmt.Sprintf("maximum error %v without a source exceeds %v", r.A, r.B)
	case SilentTooLong:
		return fmt.Sprintf("no source for %v", r.A)
	case NeverUsable:
		return "no source has been usable since the start"
	case NoneUsable:
		return "no source is usable"
	case NoneFollowed:
		return "no source is followed: " + r.Why.String()
	case PanicThreshold:
		return fmt.Sprintf("%v is %v off, more than the panic threshold: nothing is steered until told to resume", r.Clock, r.A)
	case Resumed:
		return "steering resumed on request"
	}
	return "unknown reason"
}
