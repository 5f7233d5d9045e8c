// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
)

// alarm is a timer of the kernel that the loop waits for as for a socket. For each timer of the Go runtime that expires a
// second thread is woken, the runtime's monitor, and goes on waking up until the program sleeps again.
type alarm struct {
	file *os.File
	raw  syscall.RawConn
	rang chan struct{}

	at   clock.Mono // that it is set to; 0 if it is not known
	arm  func(fd uintptr)
	spec unix.ItimerSpec
	err  error // of arm
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	a := &alarm{file: os.NewFile(uintptr(fd), "timer"), rang: make(chan struct{}, 1)}
	if a.raw, err = a.file.SyscallConn(); err != nil {
		a.file.Close()
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	a.arm = func(fd uintptr) { a.err = unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME, &a.spec, nil) }
	return a, nil
}

// set has the alarm ring at an instant, at once if that has passed, and not at all at clock.Never. A ring that was due
// before may still come.
func (a *alarm) set(at clock.Mono) error {
	if at == a.at {
		return nil
	}
	a.at, a.spec = at, unix.ItimerSpec{}
	if at != clock.Never {
		a.spec.Value = unix.NsecToTimespec(max(1, int64(at))) // 0 would stop it
	}
	err := a.raw.Control(a.arm)
	if err == nil {
		err = a.err
	}
	if err != nil {
		return fmt.Errorf("set a timer: %w", err)
	}
	return nil
}

// rings holds one ring at most.
func (a *alarm) rings() <-chan struct{} { return a.rang }

// heard is to be called after each ring: the alarm is set no more.
func (a *alarm) heard() { a.at = 0 }

// wait passes each ring on until the alarm is closed, and a first one that nothing has caused. Nothing is read: to be set
// anew is enough for the timer to be waited for again.
func (a *alarm) wait() {
	_ = a.raw.Read(func(uintptr) (done bool) { // it ends by close only
		select {
		case a.rang <- struct{}{}:
		default:
		}
		return false
	})
}

func (a *alarm) close() { a.file.Close() }
