// SPDX-License-Identifier: Apache-2.0

package phc

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
)

// MaxReadings is the largest number of readings that the kernel takes in one request.
const MaxReadings = unix.PTP_MAX_SAMPLES

// Reading is one reading of a device between two of the clock that it is compared with, all in nanoseconds.
type Reading struct {
	Before, Device, After int64
}

// Window returns After − Before.
func (r Reading) Window() int64 { return r.After - r.Before }

// crosser keeps what crossings need from one to the next.
type crosser struct {
	// first is the best method that has not turned out to be unsupported; 0 before any has been tried.
	first    clock.Method
	readings [MaxReadings]Reading
	precise  unix.PtpSysOffsetPrecise
	extended unix.PtpSysOffsetExtended
	basic    unix.PtpSysOffset
}

// Compare measures the clock against the system clock, CLOCK_REALTIME: of n readings, 1 to [MaxReadings], the tightest are
// averaged. A of the crossing is the device's mean, B the system clock's, and Uncertainty half of the mean of their windows,
// which [clock.Precise] does not have: there it is 1 ns, the unit of the readings, for the kernel states no bound.
// It uses the first of PTP_SYS_OFFSET_PRECISE, EXTENDED and BASIC that the driver and the kernel have, which the
// first call finds out. It allocates nothing.
func (d *Device) Compare(n int) (clock.Crossing, error) {
	if n < 1 || n > MaxReadings {
		return clock.Crossing{}, &Error{Op: "compare", Device: d.name, Driver: d.driver, Kind: clock.ErrRange,
			Detail: fmt.Sprintf("%d readings are not 1 to %d", n, MaxReadings)}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	method := max(d.cross.first, clock.Precise)
	if method == clock.Precise && d.cross.first == 0 && !d.caps.CrossTimestamp {
		method = clock.Extended
	}
	d.cross.first = method
	for {
		readings, err := d.readBy(method, unix.CLOCK_REALTIME, n)
		if err == nil {
			return d.crossing(readings, method)
		}
		if method == clock.Basic || !another(method, err) {
			return clock.Crossing{}, d.fail("compare by "+method.String(), err)
		}
		if d.cross.first == method && lacking(method, err) {
			d.cross.first = method + 1
		}
		method++
	}
}

// another tells whether it makes sense to try the next method now.
func another(m clock.Method, err error) bool { return m == clock.Precise || lacking(m, err) }

// lacking tells whether err means that the method will never work.
func lacking(m clock.Method, err error) bool {
	// ENODEV is also the answer to PRECISE while the system's clock source is not the counter that the hardware latches.
	return oneOf(err, unix.EOPNOTSUPP, unix.ENOTTY, unix.EINVAL, unix.ENOSYS) || m == clock.Precise && oneOf(err, unix.ENODEV)
}

// readBy takes n readings by one method. The lock is held; the readings are valid until it is released.
func (d *Device) readBy(m clock.Method, clockID int32, n int) ([]Reading, error) {
	c := &d.cross
	switch m {
	case clock.Precise:
		c.precise = unix.PtpSysOffsetPrecise{}
		if err := d.ioctl(unix.PTP_SYS_OFFSET_PRECISE, unsafe.Pointer(&c.precise)); err != nil {
			return nil, err
		}
		sys := nanoseconds(c.precise.Realtime)
		if clockID == unix.CLOCK_MONOTONIC_RAW {
			sys = nanoseconds(c.precise.Monoraw)
		}
		c.readings[0] = Reading{Before: sys, Device: nanoseconds(c.precise.Device), After: sys}
		return c.readings[:1], nil
	case clock.Extended:
		c.extended.Samples, c.extended.Clockid, c.extended.Rsv = uint32(n), clockID, [2]uint32{}
		if err := d.ioctl(unix.PTP_SYS_OFFSET_EXTENDED, unsafe.Pointer(&c.extended)); err != nil {
			return nil, err
		}
		for i := range n {
			t := &c.extended.Ts[i]
			c.readings[i] = Reading{nanoseconds(t[0]), nanoseconds(t[1]), nanoseconds(t[2])}
		}
	default:
		c.basic.Samples, c.basic.Rsv = uint32(n), [3]uint32{}
		if err := d.ioctl(unix.PTP_SYS_OFFSET, unsafe.Pointer(&c.basic)); err != nil {
			return nil, err
		}
		for i := range n {
			t := c.basic.Ts[2*i : 2*i+3]
			c.readings[i] = Reading{nanoseconds(t[0]), nanoseconds(t[1]), nanoseconds(t[2])}
		}
	}
	return c.readings[:n], nil
}

var errNoWindow = errors.New("the system clock was set back during each reading")

// crossing makes one of the readings.
func (d *Device) crossing(readings []Reading, m clock.Method) (clock.Crossing, error) {
	device, system, uncertainty, ok := Reduce(readings)
	if !ok {
		return clock.Crossing{}, d.fail("compare by "+m.String(), errNoWindow)
	}
	return clock.Crossing{
		A: clock.At(d.ID(), device), B: clock.At(clock.System, system), Uncertainty: uncertainty, Method: m,
	}, nil
}

// alike is the part of the narrowest window by which those may exceed it that are averaged with it.
const alike = 32

// Reduce averages the tightest readings, those whose window exceeds the narrowest by no more than 1/32: readings
// shift with the width of their window, so wide ones are not merely noisier but wrong in one direction. It returns the mean
// of the device, that of the middle of the windows, to the nanosecond, and half of their mean window, by which the mean may
// be off if all of them were read at one end; at least 1 ns. It is not ok if no reading has a window, its clock having been
// set back in all of them.
func Reduce(readings []Reading) (device, other int64, uncertainty time.Duration, ok bool) {
	narrowest := int64(-1)
	for _, r := range readings {
		if w := r.Window(); w >= 0 && (narrowest < 0 || w < narrowest) {
			narrowest = w
		}
	}
	if narrowest < 0 {
		return 0, 0, 0, false
	}
	var first Reading
	var n, devices, middles int64 // sums of the differences to first; middles in half nanoseconds
	var excess int64              // of the windows over the narrowest
	for _, r := range readings {
		if w := r.Window(); w < 0 || w-narrowest > narrowest/alike {
			continue
		}
		if n == 0 {
			first = r
		}
		n++
		excess += r.Window() - narrowest
		devices += r.Device - first.Device
		middles += (r.Before - first.Before) + (r.After - first.Before)
	}
	middle := roundDiv(middles, 2*n)
	// The offset is rounded once, not as the difference of two rounded means.
	offset := roundDiv(2*devices-middles, 2*n)
	window := narrowest + (excess+n-1)/n
	return first.Device + middle + offset, first.Before + middle, time.Duration(max(1, window/2+window%2)), true
}

// roundDiv returns a/b, rounded to the nearest integer, for positive b.
func roundDiv(a, b int64) int64 {
	if a < 0 {
		return -((-a + b/2) / b)
	}
	return (a + b/2) / b
}

// Readings takes as many readings as fit into dst, at most [MaxReadings], against the clock clockID: unix.CLOCK_REALTIME,
// or CLOCK_MONOTONIC or CLOCK_MONOTONIC_RAW, which need Linux 6.12. It uses PTP_SYS_OFFSET_EXTENDED.
func (d *Device) Readings(clockID int32, dst []Reading) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(dst), MaxReadings)
	if n == 0 {
		return 0, nil
	}
	readings, err := d.readBy(clock.Extended, clockID, n)
	if oneOf(err, unix.EINVAL) && clockID != unix.CLOCK_REALTIME {
		return 0, d.unsupported("compare with another clock than the system clock", "6.12")
	}
	if err != nil {
		return 0, d.optional("compare by extended", "5.0", err)
	}
	return copy(dst, readings), nil
}

// MethodProbe tells how one method of comparing does on a device.
type MethodProbe struct {
	Method clock.Method
	// Window is the narrowest of several readings' windows; 0 for Precise, which has none.
	Window time.Duration
	// Err is nil if the method works.
	Err error
}

// ProbeMethods tries every method of comparing, best first.
func (d *Device) ProbeMethods() []MethodProbe {
	d.mu.Lock()
	defer d.mu.Unlock()
	since := map[clock.Method]string{clock.Precise: "4.6", clock.Extended: "5.0", clock.Basic: "3.8"}
	var probes []MethodProbe
	for m := clock.Precise; m <= clock.Basic; m++ {
		p := MethodProbe{Method: m}
		readings, err := d.readBy(m, unix.CLOCK_REALTIME, MaxReadings)
		switch {
		case err == nil:
			p.Window = narrowest(readings)
		case m == clock.Precise && oneOf(err, unix.ENODEV):
			p.Err = &Error{Op: "compare by precise", Device: d.name, Driver: d.driver, Kind: clock.ErrNotSupported, Err: err,
				Detail: "the system's clocksource is not the one that the hardware latches"}
		case lacking(m, err):
			p.Err = d.unsupported("compare by "+m.String(), since[m])
		default:
			p.Err = d.fail("compare by "+m.String(), err)
		}
		probes = append(probes, p)
	}
	return probes
}

// narrowest returns the width of the narrowest window.
func narrowest(readings []Reading) time.Duration {
	w := readings[0].Window()
	for _, r := range readings[1:] {
		w = min(w, r.Window())
	}
	return time.Duration(w)
}

// Between returns a less b, two clocks of this host, by way of the system clock: a, b and a again are compared with it,
// and a is interpolated to the instant of b, so that neither's frequency error counts. The uncertainty covers all
// three comparisons, and the method is the worst of them. The readings are those at the instant of b.
func Between(a, b Clock, n int) (clock.Crossing, error) {
	a1, err := a.Compare(n)
	if err != nil {
		return clock.Crossing{}, err
	}
	mid, err := b.Compare(n)
	if err != nil {
		return clock.Crossing{}, err
	}
	a2, err := a.Compare(n)
	if err != nil {
		return clock.Crossing{}, err
	}
	part, whole := mid.B.Nanoseconds()-a1.B.Nanoseconds(), a2.B.Nanoseconds()-a1.B.Nanoseconds()
	advance := a2.A.Nanoseconds() - a1.A.Nanoseconds()
	at := a1.A.Nanoseconds() + part
	if whole > 0 {
		at = clock.Sum(at, clock.Int64(float64(part)/float64(whole)*float64(advance-whole)))
	}
	return clock.Crossing{
		A: clock.At(a.ID(), at), B: mid.A,
		Uncertainty: max(a1.Uncertainty, a2.Uncertainty) + mid.Uncertainty,
		Method:      max(a1.Method, mid.Method, a2.Method),
	}, nil
}
