// SPDX-License-Identifier: Apache-2.0

package servo_test

import (
	"fmt"
	"math"

	"github.com/lockstep-time/lockstep/servo"
)

// A clock is 10 µs ahead, and its oscillator 5000 ppb fast. A PI controller is told its offset once a second.
func ExampleNew() {
	law := servo.New(servo.NamePI, true)
	law.SetLimit(100_000)
	offset, correction := 10_000.0, 0.0
	for second := range 21 {
		interval := 1.0
		if second == 0 {
			interval = 0
		}
		offset += (5000 + correction) * interval
		correction = law.Update(servo.Input{Interval: interval, Offset: offset})
		switch second {
		case 1, 5, 20:
			fmt.Printf("after %d s %.0f ns ahead, corrected by %.0f ppb\n", second, math.Abs(offset), correction)
		}
	}
	// Output:
	// after 1 s 15000 ns ahead, corrected by -5000 ppb
	// after 5 s 4500 ns ahead, corrected by -3650 ppb
	// after 20 s 1 ns ahead, corrected by -5000 ppb
}
