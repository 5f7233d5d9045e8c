// SPDX-License-Identifier: Apache-2.0

package sysclock

import (
	"fmt"
	"sync"
	"time"
	"unsafe"

	"github.com/lockstep-time/lockstep/clock"
	"golang.org/x/sys/unix"
)

// A Reader reads a clock in nanoseconds since its epoch. It may be called from any goroutine.
type Reader func() (int64, error)

// Monotonic reads CLOCK_MONOTONIC, which counts from about the start of the machine and not while it is suspended.
// It may be called from any goroutine, and panics where the kernel forbids a program to read clocks.
func Monotonic() clock.Mono {
	o := origin()
	return o.mono + clock.Mono(time.Since(o.at))
}

// instant is one as package time knows it, which reads the clock without a system call, and as the kernel does.
type instant struct {
	at   time.Time
	mono clock.Mono
}

var origin = sync.OnceValue(func() instant {
	at := time.Now()
	ns, err := gettime(unix.CLOCK_MONOTONIC)
	if err != nil {
		panic(fmt.Sprintf("clock: read CLOCK_MONOTONIC: %v", err))
	}
	return instant{at, clock.Mono(ns)}
})

// readRealtime reads CLOCK_REALTIME, by package time since that takes no system call.
func readRealtime() (int64, error) { return time.Now().UnixNano(), nil }

func readMonotonicRaw() (int64, error) { return gettime(unix.CLOCK_MONOTONIC_RAW) }

// gettime reads a clock. It does not wait, so the Go runtime is not told of the system call: for that it wakes its
// monitor, a thread of its own.
func gettime(id int32) (int64, error) {
	var ts unix.Timespec
	if _, _, errno := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, uintptr(id), uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0, errno
	}
	return ts.Nano(), nil
}
