// SPDX-License-Identifier: Apache-2.0

package sysclock

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"golang.org/x/sys/unix"
)

const realtimeName = "CLOCK_REALTIME"

// maxPPB is the largest frequency correction of the system clock: a tick of 9 or 11 ms.
const maxPPB = 100e6

// Realtime is the system clock, CLOCK_REALTIME, steered by clock_adjtime(2). All that changes it needs CAP_SYS_TIME.
// Its methods may be called from any goroutine. A call allocates only when it fails.
type Realtime struct {
	kernel kernel

	mu    sync.Mutex
	tx    unix.Timex
	armed clock.Leap // by this Realtime, and not taken back since
}

var _ clock.Clock = (*Realtime)(nil)

// NewRealtime returns the system clock. Nothing is read or changed yet.
func NewRealtime() *Realtime { return &Realtime{kernel: linux{}} }

// ID returns System.
func (r *Realtime) ID() clock.ID { return clock.System }

// Name returns "CLOCK_REALTIME".
func (r *Realtime) Name() string { return realtimeName }

// Scale returns UTC.
func (r *Realtime) Scale() clock.Scale { return clock.UTC }

// MaxFrequency returns 100e6: 10 %.
func (r *Realtime) MaxFrequency() float64 { return maxPPB }

// Now reads the clock.
func (r *Realtime) Now() (clock.Timestamp, error) {
	ns, err := r.kernel.gettime()
	if err != nil {
		return clock.Timestamp{}, fmt.Errorf("clock: read %s: %w", realtimeName, err)
	}
	return clock.At(clock.System, ns), nil
}

// Step adds d to the clock at once, exact to the nanosecond; 0 does nothing. A time that the kernel cannot keep is
// clock.ErrRange. The kernel takes a stepped clock for unsynchronised until it is told otherwise by SetStatus.
func (r *Realtime) Step(d time.Duration) error {
	if d == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	sec, ns := int64(d/time.Second), int64(d%time.Second)
	if ns < 0 {
		sec, ns = sec-1, ns+int64(time.Second)
	}
	r.tx = unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO}
	fits := set(&r.tx.Time.Sec, sec)
	set(&r.tx.Time.Usec, ns) // nanoseconds, by ADJ_NANO
	if !fits {
		return fmt.Errorf("clock: step %s by %v: %w", realtimeName, d, clock.ErrRange)
	}
	if _, err := r.kernel.adjtime(&r.tx); err != nil {
		if errors.Is(err, unix.EINVAL) {
			err = fmt.Errorf("%w: %w", clock.ErrRange, err)
		}
		return fmt.Errorf("clock: step %s by %v: %w", realtimeName, d, err)
	}
	return nil
}

// SetFrequency has the clock run ppb parts per billion faster than its oscillator. The kernel keeps it in units of
// 0.015 ppb. Up to 500 ppm the tick is the nominal one; beyond, the tick carries the multiples of 100 ppm.
func (r *Realtime) SetFrequency(ppb float64) error {
	if !(math.Abs(ppb) <= maxPPB) {
		return fmt.Errorf("clock: set frequency of %s to %g ppb: %w", realtimeName, ppb, clock.ErrRange)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	tick, freq := timexFrequency(ppb)
	r.tx = unix.Timex{Modes: unix.ADJ_FREQUENCY | unix.ADJ_TICK}
	set(&r.tx.Tick, tick)
	set(&r.tx.Freq, freq)
	if _, err := r.kernel.adjtime(&r.tx); err != nil {
		return fmt.Errorf("clock: set frequency of %s to %g ppb: %w", realtimeName, ppb, err)
	}
	return nil
}

// Frequency returns the correction in force, by whomever set, in parts per billion.
func (r *Realtime) Frequency() (float64, error) {
	k, err := r.ReadKernel()
	return k.Frequency, err
}
