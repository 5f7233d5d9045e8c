// SPDX-License-Identifier: Apache-2.0

package phc_test

import (
	"fmt"
	"time"

	"github.com/lockstep-time/lockstep/phc"
	"github.com/lockstep-time/lockstep/phc/phctest"
)

// A clock is stepped by what it is ahead of the system clock, and its frequency is corrected. With a NIC, phc.Open takes the
// place of phctest.New.
func ExampleDevice() {
	now := int64(1_700_000_000e9)
	fake := phctest.New(phctest.Config{Now: func() int64 { return now }, Start: 3 * time.Second, Frequency: 500})
	device := fake.Device

	crossing, err := device.Compare(phc.MaxReadings)
	if err != nil {
		fmt.Println(err)
		return
	}
	ahead := time.Duration(crossing.A.Nanoseconds() - crossing.B.Nanoseconds())
	fmt.Println("ahead by", ahead)
	if err := device.Step(-ahead); err != nil {
		fmt.Println(err)
	}
	if err := device.SetFrequency(-500); err != nil {
		fmt.Println(err)
	}
	now += int64(10 * time.Second)
	fmt.Println("after 10 s off by", fake.Error().Round(time.Microsecond))
	// Output:
	// ahead by 3s
	// after 10 s off by 0s
}
