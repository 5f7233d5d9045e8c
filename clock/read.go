// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// A Reader reads a clock in nanoseconds since its epoch. It may be called from any goroutine.
type Reader func() (int64, error)

// Monotonic reads CLOCK_MONOTONIC, which counts from about the start of the machine and not while it is suspended.
// It may be called from any goroutine, and panics where the kernel forbids a program to read clocks.
func Monotonic() Mono {
	ns, err := gettime(unix.CLOCK_MONOTONIC)
	if err != nil {
		panic(fmt.Sprintf("clock: read CLOCK_MONOTONIC: %v", err))
	}
	return Mono(ns)
}

func readRealtime() (int64, error) { return gettime(unix.CLOCK_REALTIME) }

func readMonotonicRaw() (int64, error) { return gettime(unix.CLOCK_MONOTONIC_RAW) }

func gettime(id int32) (int64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		return 0, err
	}
	return ts.Nano(), nil
}
