// SPDX-License-Identifier: Apache-2.0

package sysclock

import (
	"math"
	"time"
	"unsafe"

	"github.com/lockstep-time/lockstep/clock"
	"golang.org/x/sys/unix"
)

// What the kernel's timex takes (linux/timex.h, kernel/time/ntp.c).
const (
	nominalTick      = 10_000     // microseconds per tick of USER_HZ
	ppbPerTick       = 100_000    // one microsecond in a tick
	timexMaxPPB      = 500_000    // MAXFREQ: as much as ADJ_FREQUENCY takes
	timexUnitsPerPPM = 1 << 16    // the unit of ADJ_FREQUENCY is 2^-16 ppm
	timexMaxError    = 16_000_000 // NTP_PHASE_LIMIT in microseconds
	timexMaxTAI      = 100_000    // MAX_TAI_OFFSET in seconds
)

const (
	leapBits = unix.STA_INS | unix.STA_DEL
	// kernelLoops have the kernel itself change the frequency, or the phase, behind the back of whoever steers.
	kernelLoops = unix.STA_PLL | unix.STA_FLL | unix.STA_PPSFREQ | unix.STA_PPSTIME
)

// kernel is the clock CLOCK_REALTIME as its system calls show it.
type kernel interface {
	// adjtime is clock_adjtime(2). It may change all of tx.
	adjtime(tx *unix.Timex) (state int, err error)
	gettime() (int64, error)
}

type linux struct{}

// adjtime does not wait, as gettime does not.
func (linux) adjtime(tx *unix.Timex) (int, error) {
	state, _, errno := unix.RawSyscall(unix.SYS_CLOCK_ADJTIME, unix.CLOCK_REALTIME, uintptr(unsafe.Pointer(tx)), 0)
	if errno != 0 {
		return 0, errno
	}
	return int(state), nil
}

func (linux) gettime() (int64, error) { return readRealtime() }

// set stores into a field of a timex or a timeval, which is of 32 or 64 bits. Not ok if v does not fit.
func set[T int32 | int64](field *T, v int64) (ok bool) {
	*field = T(v)
	return int64(*field) == v
}

// timexFrequency returns ppb as a tick in microseconds and the remaining frequency in 2^-16 ppm.
func timexFrequency(ppb float64) (tick, freq int64) {
	tick = nominalTick
	if math.Abs(ppb) > timexMaxPPB {
		n := math.Round(ppb / ppbPerTick)
		tick += int64(n) // in range: of frequencies below 10 %
		ppb -= n * ppbPerTick
	}
	return tick, int64(math.Round(ppb * timexUnitsPerPPM / 1000)) // in range: timexMaxPPB at most
}

// timexPPB is the reverse of timexFrequency.
func timexPPB(tick, freq int64) float64 {
	return float64(tick-nominalTick)*ppbPerTick + float64(freq)*1000/timexUnitsPerPPM
}

// timexError returns a bound in microseconds, rounded up, at least 0 and at most what the kernel keeps.
func timexError(d time.Duration) int64 {
	us := int64(d / time.Microsecond)
	if d%time.Microsecond > 0 {
		us++
	}
	return min(max(us, 0), timexMaxError)
}

func leapFlags(l clock.Leap) int32 {
	switch l {
	case clock.LeapInsert:
		return unix.STA_INS
	case clock.LeapDelete:
		return unix.STA_DEL
	}
	return 0
}

func flagsLeap(flags int32) clock.Leap {
	switch {
	case flags&unix.STA_INS != 0:
		return clock.LeapInsert
	case flags&unix.STA_DEL != 0:
		return clock.LeapDelete
	}
	return clock.NoLeap
}
