// SPDX-License-Identifier: Apache-2.0

package phc

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
)

// Errors that a caller decides on, beside those of package clock and [fs.ErrPermission].
var (
	// ErrNotPHC: the name is of something that is no PTP hardware clock, or has none.
	ErrNotPHC = errors.New("no PTP hardware clock")
	// ErrAmbiguous: the name stands for several clocks.
	ErrAmbiguous = errors.New("ambiguous name")
	// ErrBusy: the driver was busy at every attempt; a clock with virtual clocks on it says so to whoever steers it.
	ErrBusy = errors.New("device busy")
)

// Error is a failed operation on a device. It matches, by errors.Is, the system's error and one of
// [clock.ErrGone], [clock.ErrNotSupported], [clock.ErrRange], [ErrBusy], [ErrNotPHC] where that is what it means.
type Error struct {
	// Op is what was tried: "set frequency".
	Op string
	// Device is what it was tried on: "/dev/ptp0"; Driver the name of its driver, if known.
	Device, Driver string
	// Kind is the sentinel, nil if none fits.
	Kind error
	// Detail says more: a range, a kernel version, what to do. It may be empty.
	Detail string
	// Err is the cause, nil if the library itself refused.
	Err error
}

// Error returns one line that names the operation, the device and its driver, and the cause.
func (e *Error) Error() string {
	s := e.Op + ": " + e.Device
	if e.Driver != "" {
		s += " (" + e.Driver + ")"
	}
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			s += ": " + err.Error()
		}
	}
	if e.Detail != "" {
		s += "; " + e.Detail
	}
	return s
}

// Unwrap returns the sentinel and the cause.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// kindOf returns the sentinel that the system's error stands for on an open device.
func kindOf(err error) error {
	switch {
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return clock.ErrGone
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOTTY), errors.Is(err, unix.ENOSYS):
		return clock.ErrNotSupported
	case errors.Is(err, unix.ERANGE):
		return clock.ErrRange
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EAGAIN):
		return ErrBusy
	}
	return nil
}

// fail wraps the cause of a failed operation on d; a nil cause stays nil.
func (d *Device) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: op, Device: d.name, Driver: d.driver, Kind: kindOf(err), Err: err}
	switch {
	case errors.Is(err, fs.ErrPermission):
		e.Detail = "needs write access to the device"
	case errors.Is(e.Kind, ErrBusy):
		e.Detail = "a clock with virtual clocks on it runs free"
	}
	return e
}

// unsupported says that the driver cannot do op, or the kernel is older than since.
func (d *Device) unsupported(op, since string) error {
	e := &Error{Op: op, Device: d.name, Driver: d.driver, Kind: clock.ErrNotSupported}
	e.Detail = fmt.Sprintf("driver %s cannot do it", d.driver)
	if since != "" {
		e.Detail += ", or it needs Linux ≥ " + since
	}
	return e
}

// optional is fail for a request that a driver or kernel may not know.
func (d *Device) optional(op, since string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(kindOf(err), clock.ErrNotSupported) {
		e := d.unsupported(op, since).(*Error)
		e.Err = err
		return e
	}
	return d.fail(op, err)
}
