// SPDX-License-Identifier: Apache-2.0

// Package phc is for PTP hardware clocks, /dev/ptpN: what they can do, reading, stepping and slewing them, comparing
// them with the system clock, their pins, external timestamps, periodic outputs, PPS, and virtual clocks.
//
// It implements the interface that the kernel's Documentation/driver-api/ptp.rst describes, up to Linux 6.12.
// Package phctest has clocks without a device, for tests.
package phc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
)

// Clock is a PTP hardware clock, such as a [Device]. Its methods may be called from any goroutine.
type Clock interface {
	clock.Clock
	// Driver returns the name of the clock's driver.
	Driver() string
	// Caps returns what the clock can do.
	Caps() Caps
	// Set makes the clock read ns nanoseconds since the epoch of its scale.
	Set(ns int64) error
	// Phase has the driver's own servo work off d (ADJ_OFFSET). It fails with [clock.ErrNotSupported] where the driver has
	// none and with [clock.ErrRange] beyond ±Caps().MaxPhase.
	Phase(d time.Duration) error
	// Compare measures the clock against the system clock with n readings, 1 to [MaxReadings].
	Compare(n int) (clock.Crossing, error)
	// Close ends the use of the clock, which runs on as it is.
	Close() error
}

// Caps is what a clock can do (PTP_CLOCK_GETCAPS).
type Caps struct {
	// MaxAdjust is the largest magnitude of a frequency adjustment in parts per billion.
	MaxAdjust int64 `json:"max_adjust_ppb"`
	// Alarms, ExtTS, PerOut and Pins count programmable alarms, external timestamp channels, periodic outputs and pins.
	Alarms int `json:"alarms"`
	ExtTS  int `json:"external_timestamps"`
	PerOut int `json:"periodic_outputs"`
	Pins   int `json:"pins"`
	// PPS: the clock can give the kernel a pulse per second.
	PPS bool `json:"pps"`
	// CrossTimestamp: the hardware can latch both clocks at once.
	CrossTimestamp bool `json:"cross_timestamping"`
	// AdjustPhase: the driver has a servo of its own that takes ADJ_OFFSET.
	AdjustPhase bool `json:"adjust_phase"`
	// MaxPhase is the largest magnitude of such an offset; 0 where the kernel does not say (before Linux 6.5).
	MaxPhase time.Duration `json:"max_phase_ns"`
}

// Device is an open /dev/ptpN. Its methods may be called from any goroutine; a second call waits for the first,
// but for [Device.ReadEvents].
type Device struct {
	index  int
	name   string
	driver string
	caps   Caps

	mu     sync.Mutex
	kernel Kernel
	closed bool
	cross  crosser
	// Arguments of the calls made most often, kept so that those allocate nothing.
	timex    unix.Timex
	timespec unix.Timespec
}

var _ Clock = (*Device)(nil)

// Open opens the clock that name stands for: "/dev/ptpN", "ptpN" or "N"; see [Resolve]. It wants write access; where only
// reading is allowed, the changing methods fail with [os.ErrPermission]. It fails with [ErrNotPHC], [os.ErrPermission] or
// [os.ErrNotExist].
func Open(name string) (*Device, error) {
	index, err := Resolve(name)
	if err != nil {
		return nil, err
	}
	return OpenIndex(index)
}

// OpenRead is Open for reading only: others see from the open file that nothing will be changed ([Holder]). The changing
// methods fail with [os.ErrPermission]; so does [Device.Frequency] on a kernel that wants write access for it, if there is
// none.
func OpenRead(name string) (*Device, error) {
	index, err := Resolve(name)
	if err != nil {
		return nil, err
	}
	return openIndex(index, os.O_RDONLY)
}

// OpenIndex opens /dev/ptpN.
func OpenIndex(index int) (*Device, error) { return openIndex(index, os.O_RDWR) }

func openIndex(index, flag int) (*Device, error) {
	path := fmt.Sprintf("/dev/ptp%d", index)
	k, err := openDevice(path, index, flag)
	if err != nil {
		e := &Error{Op: "open", Device: path, Driver: driverName(sysRoot, index), Kind: openKind(err), Err: err}
		if errors.Is(err, fs.ErrPermission) {
			e.Detail = "be root, or have a udev rule grant access to the device"
		}
		return nil, e
	}
	d, err := NewDevice(k, index, driverName(sysRoot, index))
	if err != nil {
		k.Close()
		return nil, err
	}
	return d, nil
}

// openKind differs from kindOf: what cannot be opened for want of a device was never there.
func openKind(err error) error {
	if oneOf(err, unix.ENODEV, unix.ENXIO, unix.ENOENT, unix.ENOTDIR) {
		return ErrNotPHC
	}
	return nil
}

// NewDevice returns the Device /dev/ptpN of a kernel; driver is the name of the clock's driver, empty if unknown. It asks
// the clock for its capabilities, which tells a PHC from anything else, and fails with [ErrNotPHC]; then k stays open.
func NewDevice(k Kernel, index int, driver string) (*Device, error) {
	d := &Device{index: index, name: fmt.Sprintf("/dev/ptp%d", index), driver: driver, kernel: k}
	var c unix.PtpClockCaps
	if err := d.ioctl(unix.PTP_CLOCK_GETCAPS, unsafe.Pointer(&c)); err != nil {
		return nil, &Error{Op: "get capabilities", Device: d.name, Driver: driver, Kind: ErrNotPHC, Err: err}
	}
	d.caps = Caps{
		MaxAdjust: int64(c.Max_adj),
		Alarms:    int(c.N_alarm), ExtTS: int(c.N_ext_ts), PerOut: int(c.N_per_out), Pins: int(c.N_pins),
		PPS: c.Pps != 0, CrossTimestamp: c.Cross_timestamping != 0, AdjustPhase: c.Adjust_phase != 0,
		MaxPhase: time.Duration(c.Max_phase_adj),
	}
	return d, nil
}

// ID returns clock.PHC(N).
func (d *Device) ID() clock.ID { return clock.PHC(d.index) }

// Index returns the N of /dev/ptpN.
func (d *Device) Index() int { return d.index }

// Name returns "/dev/ptpN".
func (d *Device) Name() string { return d.name }

// Driver returns the name of the kernel's driver, "igb", or what that calls the clock (clock_name in sysfs) where the device
// has no driver of its own; empty if sysfs does not tell.
func (d *Device) Driver() string { return d.driver }

// Scale returns TAI, which a PHC keeps by convention.
func (d *Device) Scale() clock.Scale { return clock.TAI }

// Caps returns what the clock could do when it was opened.
func (d *Device) Caps() Caps { return d.caps }

// Close closes the device and ends a [Device.ReadEvents] in progress. The clock runs on as it is.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return d.fail("close", os.ErrClosed)
	}
	d.closed = true
	return d.fail("close", d.kernel.Close())
}

// Now reads the clock.
func (d *Device) Now() (clock.Timestamp, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.retry(d.getTime); err != nil {
		return clock.Timestamp{}, d.fail("read", err)
	}
	return clock.At(d.ID(), d.timespec.Nano()), nil
}

// Resolution returns the unit of the clock's readings as the kernel states it, which for a PHC is always 1 ns.
func (d *Device) Resolution() (time.Duration, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.retry(func(k Kernel) error { return k.GetRes(&d.timespec) }); err != nil {
		return 0, d.fail("get resolution", err)
	}
	return time.Duration(d.timespec.Nano()), nil
}

// Set makes the clock read ns nanoseconds since the epoch of its scale (clock_settime). The kernel takes no negative time.
func (d *Device) Set(ns int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ns < 0 {
		return &Error{Op: "set", Device: d.name, Driver: d.driver, Kind: clock.ErrRange, Detail: "no time before 1970-01-01"}
	}
	d.timespec = unix.NsecToTimespec(ns)
	if d.timespec.Nano() != ns {
		return d.tooWide("set", fmt.Sprintf("%d ns since the epoch", ns))
	}
	return d.steering("set", d.retry(func(k Kernel) error { return k.SetTime(&d.timespec) }))
}

// Step adds delta to the clock at once, exact to the nanosecond (ADJ_SETOFFSET). It fails with [clock.ErrRange] beyond
// 2^31 s where the kernel's interface is of 32 bits.
func (d *Device) Step(delta time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, ns := int64(delta)/1e9, int64(delta)%1e9
	if ns < 0 {
		s, ns = s-1, ns+1e9
	}
	d.timex = unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO}
	assign(&d.timex.Time.Usec, ns) // nanoseconds, by ADJ_NANO
	if !assign(&d.timex.Time.Sec, s) {
		return d.tooWide("step", delta.String())
	}
	return d.steering("step", d.retry(d.adjust))
}

// perPPB is the number of the kernel's units of frequency, 2^-16 ppm, in a part per billion.
const perPPB = 65.536

// SetFrequency has the clock run ppb parts per billion faster than its oscillator, rounded to the kernel's unit of
// 2^-16 ppm and by the hardware to its own. It fails with [clock.ErrRange] beyond ±MaxFrequency.
func (d *Device) SetFrequency(ppb float64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !(math.Abs(ppb) <= d.MaxFrequency()) {
		return &Error{Op: "set frequency", Device: d.name, Driver: d.driver, Kind: clock.ErrRange,
			Detail: fmt.Sprintf("%s ppb is not within ±%.0f ppb", strconv.FormatFloat(ppb, 'f', -1, 64), d.MaxFrequency())}
	}
	d.timex = unix.Timex{Modes: unix.ADJ_FREQUENCY}
	assign(&d.timex.Freq, int64(math.Round(ppb*perPPB))) // in range: MaxFrequency at most
	return d.steering("set frequency", d.retry(d.adjust))
}

// Frequency returns what was last set, by anybody, in parts per billion. On some kernels it fails with [ErrBusy] while there
// are virtual clocks on top of the clock.
func (d *Device) Frequency() (float64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.timex = unix.Timex{}
	if err := d.retry(d.adjust); err != nil {
		return 0, d.steering("get frequency", err)
	}
	return float64(d.timex.Freq) / perPPB, nil
}

// MaxFrequency returns the largest magnitude that SetFrequency takes, in parts per billion: what the driver takes, as far
// as the kernel's interface has room for it.
func (d *Device) MaxFrequency() float64 {
	return min(float64(d.caps.MaxAdjust), widest(unix.Timex{}.Freq))
}

// widest returns the largest frequency, in whole parts per billion, that a field of this type has room for.
func widest[T ~int32 | ~int64](field T) float64 {
	return math.Floor(float64(uint64(1)<<(8*unsafe.Sizeof(field)-1)-1) / perPPB)
}

// Phase has the driver's own servo work off delta (ADJ_OFFSET, since Linux 5.8).
func (d *Device) Phase(delta time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.caps.AdjustPhase {
		return d.unsupported("adjust phase", "5.8")
	}
	if m := d.caps.MaxPhase; (m > 0 && delta.Abs() > m) || int64(delta) != int64(int32(delta)) {
		if m == 0 {
			m = math.MaxInt32
		}
		return &Error{Op: "adjust phase", Device: d.name, Driver: d.driver, Kind: clock.ErrRange,
			Detail: fmt.Sprintf("%d ns is not within ±%d ns", delta, int64(m))}
	}
	d.timex = unix.Timex{Modes: unix.ADJ_OFFSET | unix.ADJ_NANO}
	assign(&d.timex.Offset, int64(delta))
	return d.steering("adjust phase", d.retry(d.adjust))
}

func (d *Device) getTime(k Kernel) error { return k.GetTime(&d.timespec) }
func (d *Device) adjust(k Kernel) error  { return k.AdjTime(&d.timex) }

// assign stores v in a field whose width depends on the machine. It is not ok if v does not fit.
func assign[T ~int32 | ~int64](field *T, v int64) (ok bool) {
	*field = T(v)
	return int64(*field) == v
}

// tooWide is the error of a value that has no room in the kernel's interface, where that is of 32 bits.
func (d *Device) tooWide(op, value string) error {
	return &Error{Op: op, Device: d.name, Driver: d.driver, Kind: clock.ErrRange,
		Detail: value + " has no room in the kernel's interface of this machine; a 64-bit build has"}
}

// attempts bounds how often a call is repeated that a signal or a busy driver cut short.
const attempts = 8

// retry does call until it neither was interrupted nor found the driver busy. The lock is held, or nobody else has d yet.
func (d *Device) retry(call func(Kernel) error) error {
	if d.closed {
		return os.ErrClosed
	}
	var err error
	for range attempts {
		if err = call(d.kernel); !oneOf(err, unix.EINTR, unix.EBUSY, unix.EAGAIN) {
			break
		}
	}
	return err
}

// ioctl does a request as retry does a call.
func (d *Device) ioctl(req uint, arg unsafe.Pointer) error {
	return d.retry(func(k Kernel) error { return k.Ioctl(req, arg) })
}

// lockedIoctl is ioctl for callers without the lock.
func (d *Device) lockedIoctl(req uint, arg unsafe.Pointer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ioctl(req, arg)
}

// ReadEvents waits for external timestamps of the channels asked for with [Device.RequestExtTS] and returns as many as
// are there and fit into events, at least one. It ends with ctx.Err() when ctx ends, with [os.ErrClosed] when the device
// is closed, and with [clock.ErrGone] when it vanishes. One call at a time.
func (d *Device) ReadEvents(ctx context.Context, events []Event) (int, error) {
	var raw [32]unix.PtpExttsEvent
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	n, err := d.kernel.Read(ctx, raw[:min(len(events), len(raw))])
	if err != nil {
		if ctx.Err() != nil {
			return 0, err
		}
		return 0, d.fail("read events", d.cause(err))
	}
	for i := range n {
		events[i] = Event{Channel: int(raw[i].Index), Flags: raw[i].Flags}
		if t := nanoseconds(raw[i].T); raw[i].Flags&unix.PTP_EXT_OFFSET != 0 {
			events[i].Offset = time.Duration(t)
		} else {
			events[i].At = clock.At(d.ID(), t)
		}
	}
	return n, nil
}

// cause tells why waiting for events ended: the poller's own errors do not say whether the device was closed or vanished.
func (d *Device) cause(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if rerr := d.retry(d.getTime); rerr != nil {
		return rerr
	}
	return err
}

// nanoseconds converts the kernel's pair. The sign of the seconds is of the whole value; nanoseconds only add.
func nanoseconds(t unix.PtpClockTime) int64 { return t.Sec*1e9 + int64(t.Nsec) }

// clockTime is the inverse of nanoseconds.
func clockTime(ns int64) unix.PtpClockTime {
	s, r := ns/1e9, ns%1e9
	if r < 0 {
		s, r = s-1, r+1e9
	}
	return unix.PtpClockTime{Sec: s, Nsec: uint32(r)}
}
