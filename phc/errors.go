// SPDX-License-Identifier: Apache-2.0

package phc

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
)

// Errors that a caller decides on, beside those of package clock and [fs.ErrPermission].
var (
	// ErrNotPHC: the name is of something that is no PTP hardware clock.
	ErrNotPHC = errors.New("no PTP hardware clock")
	// ErrBusy: the driver was busy at every attempt. A clock with virtual clocks on it says so to whoever steers it, and some
	// drivers do to who asks for a channel that no pin is assigned to.
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
	// Since is the version of Linux that the operation needs, empty if any will do. It is told where Kind is
	// [clock.ErrNotSupported].
	Since string
	// Detail says more: a range, what to do. It may be empty.
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
	return s + ": " + e.Reason()
}

// Reason is Error without the operation and the device: "not supported by igb (or needs Linux ≥ 5.8)".
func (e *Error) Reason() string {
	var parts []string
	if errors.Is(e.Kind, clock.ErrNotSupported) {
		parts = append(parts, e.lack()) // the system's error would say the same once more
	} else {
		for _, err := range []error{e.Kind, e.Err} {
			if err != nil {
				parts = append(parts, err.Error())
			}
		}
	}
	s := strings.Join(parts, ": ")
	switch {
	case e.Detail == "":
		return s
	case s == "":
		return e.Detail
	}
	return s + "; " + e.Detail
}

// lack says what cannot be done by whom.
func (e *Error) lack() string {
	s := e.Kind.Error()
	if e.Driver != "" {
		s += " by " + e.Driver
	}
	if e.Since != "" {
		s += " (or needs Linux ≥ " + e.Since + ")"
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

// oneOf reports whether the kernel's answer is one of some errors.
func oneOf(err error, errnos ...unix.Errno) bool {
	errno, ok := errors.AsType[unix.Errno](err)
	return ok && slices.Contains(errnos, errno)
}

// fail wraps the cause of a failed operation on d; a nil cause stays nil.
func (d *Device) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: op, Device: d.name, Driver: d.driver, Kind: kindOf(err), Err: err}
	switch {
	case errors.Is(err, fs.ErrPermission):
		e.Detail = "needs write access to the device: be root, or have a udev rule grant it"
	case errors.Is(e.Kind, clock.ErrGone):
		e.Detail = "the NIC was removed, or its driver unloaded or reset"
	case errors.Is(e.Kind, clock.ErrRange):
		e.Detail = "the driver does not go that far; ask for less, or for a longer period"
	case errors.Is(err, unix.EINVAL):
		e.Detail = "the driver or the kernel does not take these values"
	}
	return e
}

// steering is fail for what a clock refuses while virtual clocks run on top of it. The lock is held.
func (d *Device) steering(op string, err error) error {
	err = d.optional(op, "", err)
	if e, ok := errors.AsType[*Error](err); ok && errors.Is(e.Kind, ErrBusy) {
		e.Detail = "the driver is busy; try again"
		if n, _, verr := d.kernel.VirtualClocks(); verr == nil && n > 0 {
			e.Detail = fmt.Sprintf("it runs free while there are %d virtual clocks on it: steer those, or remove them", n)
		}
	}
	return err
}

// signalling is optional for a channel of external timestamps or of periodic outputs, which wants a pin. The kernel's answer
// to what it is too old for is that to invalid values.
func (d *Device) signalling(op, since string, f PinFunction, channel int, err error) error {
	err = d.optional(op, since, err)
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	invalid := errors.Is(err, unix.EINVAL)
	if d.caps.Pins > 0 && (errors.Is(e.Kind, ErrBusy) || invalid) {
		e.Detail = fmt.Sprintf("is a pin set to %v channel %d?", f, channel)
	}
	if invalid && since != "" {
		e.Detail = "it needs Linux ≥ " + since + "; " + e.Detail
	}
	return err
}

// unsupported says that the driver cannot do op, or the kernel is older than since.
func (d *Device) unsupported(op, since string) *Error {
	return &Error{Op: op, Device: d.name, Driver: d.driver, Kind: clock.ErrNotSupported, Since: since}
}

// optional is fail for a request that a driver or kernel may not know.
func (d *Device) optional(op, since string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(kindOf(err), clock.ErrNotSupported) {
		e := d.unsupported(op, since)
		e.Err = err
		return e
	}
	return d.fail(op, err)
}
