// SPDX-License-Identifier: Apache-2.0

package sysclock

import (
	"fmt"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"golang.org/x/sys/unix"
)

// KernelState is what the kernel says of CLOCK_REALTIME.
type KernelState struct {
	// Status as the kernel has it. TAIOffsetValid is false for the offset 0, which means that nobody has set it. Leap is
	// one to come: one that the kernel has carried out is NoLeap, though its flag stays until somebody clears it, unless the
	// clock is unsynchronised, when the kernel does not tell the two apart.
	clock.Status
	// Frequency correction in force in parts per billion.
	Frequency float64
	// Flags are the STA_ bits of adjtimex(2).
	Flags int32
}

// SetStatus informs the kernel: one system call, and a second one only when flags change.
//
// Maximum and estimated error are rounded up. Where TAIOffsetValid is false the kernel keeps the offset it has; an offset
// that it does not take is clock.ErrRange. A Leap is armed. NoLeap takes back the leap second that this Realtime armed, or
// one that the kernel has carried out; what another program armed stays. The kernel's own control loops, which would steer
// as well, are switched off. All other flags stay as they are.
func (r *Realtime) SetStatus(s clock.Status) error {
	if s.TAIOffsetValid && (s.TAIOffset < 0 || s.TAIOffset > timexMaxTAI) {
		return fmt.Errorf("clock: set TAI offset of %s to %d s: %w", realtimeName, s.TAIOffset, clock.ErrRange)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tx = unix.Timex{Modes: unix.ADJ_MAXERROR | unix.ADJ_ESTERROR}
	set(&r.tx.Maxerror, timexError(s.MaxError))
	set(&r.tx.Esterror, timexError(s.EstError))
	if s.TAIOffsetValid {
		r.tx.Modes |= unix.ADJ_TAI
		set(&r.tx.Constant, int64(s.TAIOffset))
	}
	state, err := r.kernel.adjtime(&r.tx)
	if err != nil {
		return fmt.Errorf("clock: set errors of %s: %w", realtimeName, err)
	}
	if err := r.setFlags(r.flags(s, state)); err != nil {
		return fmt.Errorf("clock: set status of %s: %w", realtimeName, err)
	}
	r.armed = s.Leap
	return nil
}

// flags returns those that say what s says, starting from those of the last system call, which returned state.
func (r *Realtime) flags(s clock.Status, state int) int32 {
	flags := r.tx.Status &^ (kernelLoops | unix.STA_UNSYNC)
	if !s.Synchronized {
		flags |= unix.STA_UNSYNC
	}
	if s.Leap != clock.NoLeap || r.armed != clock.NoLeap || state == unix.TIME_WAIT {
		flags = flags&^leapBits | leapFlags(s.Leap)
	}
	return flags
}

// setFlags makes flags the status, if they are not what the last system call has read.
func (r *Realtime) setFlags(flags int32) error {
	if flags == r.tx.Status {
		return nil
	}
	modes := uint32(unix.ADJ_STATUS)
	if flags&unix.STA_NANO != 0 {
		modes |= unix.ADJ_NANO // read-only in the status, and lost when STA_PLL is cleared
	}
	r.tx = unix.Timex{Modes: modes, Status: flags}
	_, err := r.kernel.adjtime(&r.tx)
	return err
}

// ReadKernel returns what the kernel says now. It needs no privilege.
func (r *Realtime) ReadKernel() (KernelState, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tx = unix.Timex{}
	state, err := r.kernel.adjtime(&r.tx)
	if err != nil {
		return KernelState{}, fmt.Errorf("clock: read state of %s: %w", realtimeName, err)
	}
	leap := flagsLeap(r.tx.Status)
	if state == unix.TIME_OOP || state == unix.TIME_WAIT {
		leap = clock.NoLeap
	}
	return KernelState{
		Status: clock.Status{
			Synchronized:   r.tx.Status&unix.STA_UNSYNC == 0,
			MaxError:       time.Duration(r.tx.Maxerror) * time.Microsecond,
			EstError:       time.Duration(r.tx.Esterror) * time.Microsecond,
			TAIOffset:      int(r.tx.Tai),
			TAIOffsetValid: r.tx.Tai != 0,
			Leap:           leap,
		},
		Frequency: timexPPB(int64(r.tx.Tick), int64(r.tx.Freq)),
		Flags:     r.tx.Status,
	}, nil
}
