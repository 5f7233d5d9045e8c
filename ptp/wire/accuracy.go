// SPDX-License-Identifier: Apache-2.0

package wire

import "time"

// ClockAccuracy is the enumeration of IEEE 1588-2019 table 5.
type ClockAccuracy uint8

// AccuracyUnknown says that nothing is known of the accuracy.
const AccuracyUnknown ClockAccuracy = 0xfe

const (
	accuracyPicosecond ClockAccuracy = 0x17
	accuracy10Seconds  ClockAccuracy = 0x30
)

// Bound returns the time within which the clock claims to be accurate, rounded up to a nanosecond. Not ok if it claims
// nothing: unknown, reserved, or worse than 10 s.
func (a ClockAccuracy) Bound() (bound time.Duration, ok bool) {
	if a < accuracyPicosecond || a > accuracy10Seconds {
		return 0, false
	}
	if a == accuracy10Seconds {
		return 10 * time.Second, true
	}
	// 1, 2.5, 10, 25, 100 … ps
	step := int(a - accuracyPicosecond)
	femtoseconds := int64(1000)
	if step%2 != 0 {
		femtoseconds = 2500
	}
	for range step / 2 {
		femtoseconds *= 10
	}
	return time.Duration((femtoseconds-1)/1_000_000 + 1), true
}
