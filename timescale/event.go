// SPDX-License-Identifier: Apache-2.0

package timescale

import (
	"fmt"

	"github.com/lockstep-time/lockstep/clock"
)

// EventKind says what has changed.
type EventKind uint8

// The kinds of events, and the fields of Event that each uses.
const (
	// OffsetChanged: TAI − UTC is Offset now.
	OffsetChanged EventKind = iota + 1
	// OffsetDisputed: Offset is stated in place of Former, and not believed yet.
	OffsetDisputed
	// LeapDoubted: Advice says why an announced leap second is not armed.
	LeapDoubted
	// LeapArmed: Leap is armed, or none any more, because of Advice.
	LeapArmed
	// LeapTakenOver: Leap was armed in the kernel before.
	LeapTakenOver
	// LeapCarriedOut: the kernel has carried out Leap, and TAI − UTC is Offset now.
	LeapCarriedOut
	// LeapConfirmed by Advice.Votes of Advice.Voters sources.
	LeapConfirmed
	// LeapUndone: the sources have not had Leap.
	LeapUndone
)

// Event is something that has changed.
type Event struct {
	Kind           EventKind
	Offset, Former Offset
	Leap           clock.Leap
	Advice         Advice
}

// String returns a sentence without a full stop.
func (e Event) String() string {
	switch e.Kind {
	case OffsetChanged:
		if !e.Offset.Known {
			return "TAI−UTC is unknown"
		}
		return fmt.Sprintf("TAI−UTC is %d s, by %v", e.Offset.Seconds, e.Offset.Origin)
	case OffsetDisputed:
		return fmt.Sprintf("%v says that TAI−UTC is %d s, not %d s: that is not believed yet", e.Offset.Origin, e.Offset.Seconds,
			e.Former.Seconds)
	case LeapDoubted:
		return e.Advice.Doubt()
	case LeapArmed:
		if e.Leap == clock.NoLeap {
			return fmt.Sprintf("the leap second is not armed any more: %v", e.Advice)
		}
		return fmt.Sprintf("a leap second is armed for the end of the UTC day: %v", e.Advice)
	case LeapTakenOver:
		return "a leap second was armed in the kernel already; it stays until the sources say otherwise"
	case LeapCarriedOut:
		if e.Offset.Known {
			return fmt.Sprintf("leap second: TAI−UTC is %d s from now on", e.Offset.Seconds)
		}
		return "leap second"
	case LeapConfirmed:
		return fmt.Sprintf("the leap second is confirmed by %d of %d sources", e.Advice.Votes, e.Advice.Voters)
	case LeapUndone:
		return "the sources have had no leap second: the system clock is a second off"
	}
	return "unknown event"
}
