// SPDX-License-Identifier: Apache-2.0

package timescale

import (
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
