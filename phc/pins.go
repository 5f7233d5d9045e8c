// SPDX-License-Identifier: Apache-2.0

package phc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/internal/plain"
)

// PinFunction is what a programmable pin does (enum ptp_pin_function).
type PinFunction uint32

// The functions of pins.
const (
	PinNone    PinFunction = unix.PTP_PF_NONE
	PinExtTS   PinFunction = unix.PTP_PF_EXTTS
	PinPerOut  PinFunction = unix.PTP_PF_PEROUT
	PinPhySync PinFunction = unix.PTP_PF_PHYSYNC
)

func pinFunctions() []string { return []string{"none", "extts", "perout", "physync"} }

// String returns "none", "extts", "perout" or "physync".
func (f PinFunction) String() string {
	if names := pinFunctions(); int(f) < len(names) {
		return names[f]
	}
	return strconv.Itoa(int(f))
}

// MarshalText makes JSON show the name.
func (f PinFunction) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// ParsePinFunction is the inverse of String.
func ParsePinFunction(s string) (PinFunction, error) {
	for i, name := range pinFunctions() {
		if s == name {
			return PinFunction(i), nil
		}
	}
	return 0, fmt.Errorf("pin function %q is none of %s", s, strings.Join(pinFunctions(), ", "))
}

// Pin is one programmable pin.
type Pin struct {
	Index int `json:"index"`
	// Name is what the driver calls it: "SDP0".
	Name     string      `json:"name"`
	Function PinFunction `json:"function"`
	// Channel of the function: that of external timestamps or of periodic outputs.
	Channel int `json:"channel"`
}

// Pin returns the configuration of one pin (PTP_PIN_GETFUNC).
func (d *Device) Pin(index int) (Pin, error) {
	if err := d.inRange("get pin", "pin", index, d.caps.Pins); err != nil {
		return Pin{}, err
	}
	p := unix.PtpPinDesc{Index: uint32(index)}
	if err := d.lockedIoctl(unix.PTP_PIN_GETFUNC, unsafe.Pointer(&p)); err != nil {
		return Pin{}, d.optional(fmt.Sprintf("get pin %d", index), "3.15", err)
	}
	name, _, _ := bytes.Cut(p.Name[:], []byte{0})
	return Pin{Index: index, Name: plain.Short(string(name)), Function: PinFunction(p.Func), Channel: int(p.Chan)}, nil
}

// Pins returns the configuration of all pins.
func (d *Device) Pins() ([]Pin, error) {
	pins := make([]Pin, 0, d.caps.Pins)
	for i := range d.caps.Pins {
		p, err := d.Pin(i)
		if err != nil {
			return pins, err
		}
		pins = append(pins, p)
	}
	return pins, nil
}

// SetPin gives a pin a function and its channel (PTP_PIN_SETFUNC). The kernel takes the function from the pin that had it.
func (d *Device) SetPin(index int, f PinFunction, channel int) error {
	if err := d.inRange("set pin", "pin", index, d.caps.Pins); err != nil {
		return err
	}
	channels := map[PinFunction]int{PinExtTS: d.caps.ExtTS, PinPerOut: d.caps.PerOut}
	if n, ok := channels[f]; ok {
		if err := d.inRange("set pin", f.String()+" channel", channel, n); err != nil {
			return err
		}
	}
	p := unix.PtpPinDesc{Index: uint32(index), Func: uint32(f), Chan: uint32(channel)}
	op := fmt.Sprintf("set pin %d to %v channel %d", index, f, channel)
	return d.optional(op, "3.15", d.lockedIoctl(unix.PTP_PIN_SETFUNC, unsafe.Pointer(&p)))
}

// inRange refuses an index that the clock does not have.
func (d *Device) inRange(op, what string, index, n int) error {
	if n == 0 {
		e := d.unsupported(op, "")
		e.Detail = "the clock has no " + what
		return e
	}
	if index < 0 || index >= n {
		return &Error{Op: op, Device: d.name, Driver: d.driver, Kind: clock.ErrRange,
			Detail: fmt.Sprintf("%s %d is not within 0 to %d", what, index, n-1)}
	}
	return nil
}

// Edge selects the edges of a signal that are stamped.
type Edge uint32

// The edges.
const (
	Rising  Edge = unix.PTP_RISING_EDGE
	Falling Edge = unix.PTP_FALLING_EDGE
	Both    Edge = Rising | Falling
)

// Event is one external timestamp, or one measurement of a signal's offset.
type Event struct {
	Channel int
	// At is what the clock read at the edge; the zero Timestamp where IsOffset.
	At clock.Timestamp
	// Offset is how far the signal is from the clock's own, where IsOffset.
	Offset time.Duration
	// Flags of the kernel (PTP_EXTTS_EVENT_VALID, PTP_EXT_OFFSET); 0 from older ones.
	Flags uint32
}

// IsOffset tells whether the event is an offset instead of a timestamp; see [Device.RequestExtOffset].
func (e Event) IsOffset() bool { return e.Flags&unix.PTP_EXT_OFFSET != 0 }

// RequestExtTS has the edges of a channel stamped. It asks for strict flags first, by which the driver either does exactly
// that or refuses, and falls back to the older request, by which it may stamp other edges; strict tells which it was.
func (d *Device) RequestExtTS(channel int, edges Edge) (strict bool, err error) {
	if err := d.inRange("request external timestamps", "external timestamp channel", channel, d.caps.ExtTS); err != nil {
		return false, err
	}
	op := fmt.Sprintf("request external timestamps of channel %d", channel)
	r := unix.PtpExttsRequest{Index: uint32(channel), Flags: unix.PTP_ENABLE_FEATURE | uint32(edges) | unix.PTP_STRICT_FLAGS}
	err = d.lockedIoctl(unix.PTP_EXTTS_REQUEST2, unsafe.Pointer(&r))
	if !oneOf(err, unix.ENOTTY, unix.EINVAL, unix.EOPNOTSUPP) {
		return true, d.signalling(op, "", PinExtTS, channel, err)
	}
	r.Flags &^= unix.PTP_STRICT_FLAGS
	return false, d.signalling(op, "", PinExtTS, channel, d.lockedIoctl(unix.PTP_EXTTS_REQUEST, unsafe.Pointer(&r)))
}

// RequestExtOffset has the phase of a channel's signal measured against the clock's own (PTP_EXT_OFFSET, since Linux 6.9);
// few drivers can. [Device.StopExtTS] ends it.
func (d *Device) RequestExtOffset(channel int) error {
	op := fmt.Sprintf("request offsets of channel %d", channel)
	if err := d.inRange(op, "external timestamp channel", channel, d.caps.ExtTS); err != nil {
		return err
	}
	// The edge is of no meaning here, but the kernel wants one.
	r := unix.PtpExttsRequest{Index: uint32(channel),
		Flags: unix.PTP_ENABLE_FEATURE | unix.PTP_EXT_OFFSET | unix.PTP_RISING_EDGE}
	return d.signalling(op, "6.9", PinExtTS, channel, d.lockedIoctl(unix.PTP_EXTTS_REQUEST2, unsafe.Pointer(&r)))
}

// StopExtTS ends the stamping of a channel, for everybody who reads it.
func (d *Device) StopExtTS(channel int) error {
	r := unix.PtpExttsRequest{Index: uint32(channel)}
	op := fmt.Sprintf("stop external timestamps of channel %d", channel)
	return d.optional(op, "", d.lockedIoctl(unix.PTP_EXTTS_REQUEST, unsafe.Pointer(&r)))
}

// SelectChannels has [Device.ReadEvents] return the events of these channels only, whatever others ask of the device
// (PTP_MASK_CLEAR_ALL, PTP_MASK_EN_SINGLE; since Linux 6.7). Without it, all channels' events are returned.
func (d *Device) SelectChannels(channels ...int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range channels {
		if err := d.inRange("select channels", "external timestamp channel", c, d.caps.ExtTS); err != nil {
			return err
		}
	}
	err := d.retry(func(k Kernel) error { return k.IoctlValue(unix.PTP_MASK_CLEAR_ALL, 0) })
	for i := 0; err == nil && i < len(channels); i++ {
		mask := uint32(channels[i])
		err = d.ioctl(unix.PTP_MASK_EN_SINGLE, unsafe.Pointer(&mask))
	}
	return d.optional("select channels", "6.7", err)
}

// Output is a periodic signal.
type Output struct {
	// Period of the signal. Positive.
	Period time.Duration
	// Phase against whole multiples of the period on the clock; it needs UsePhase and Linux 5.9. Without UsePhase the
	// signal begins at Start, in nanoseconds of the clock.
	UsePhase bool
	Phase    time.Duration
	Start    int64
	// On is how long the signal is high in each period (Linux 5.9); 0 leaves it to the driver, which mostly makes it half.
	On time.Duration
	// OneShot: a single pulse instead of a periodic signal.
	OneShot bool
}

// SetOutput starts a periodic output (PTP_PEROUT_REQUEST2, or the older request where nothing newer is asked of it).
func (d *Device) SetOutput(channel int, o Output) error {
	if err := d.inRange("set periodic output", "periodic output", channel, d.caps.PerOut); err != nil {
		return err
	}
	op := fmt.Sprintf("set periodic output %d", channel)
	if o.Period <= 0 || o.On < 0 || o.On >= o.Period || o.Phase < 0 || o.Phase >= o.Period {
		return &Error{Op: op, Device: d.name, Driver: d.driver, Kind: clock.ErrRange,
			Detail: "the period must be positive, phase and time on at least 0 and shorter than it"}
	}
	r := unix.PtpPeroutRequest{Index: uint32(channel), Period: clockTime(int64(o.Period)), StartOrPhase: clockTime(o.Start)}
	if o.UsePhase {
		r.Flags |= unix.PTP_PEROUT_PHASE
		r.StartOrPhase = clockTime(int64(o.Phase))
	}
	if o.On > 0 {
		r.Flags |= unix.PTP_PEROUT_DUTY_CYCLE
		r.On = clockTime(int64(o.On))
	}
	if o.OneShot {
		r.Flags |= unix.PTP_PEROUT_ONE_SHOT
	}
	if r.Flags == 0 {
		return d.signalling(op, "", PinPerOut, channel, d.lockedIoctl(unix.PTP_PEROUT_REQUEST, unsafe.Pointer(&r)))
	}
	err := d.lockedIoctl(unix.PTP_PEROUT_REQUEST2, unsafe.Pointer(&r))
	return d.signalling(op+" with phase, duty cycle or one shot", "5.9", PinPerOut, channel, err)
}

// StopOutput ends a periodic output.
func (d *Device) StopOutput(channel int) error {
	if err := d.inRange("stop periodic output", "periodic output", channel, d.caps.PerOut); err != nil {
		return err
	}
	r := unix.PtpPeroutRequest{Index: uint32(channel)}
	op := fmt.Sprintf("stop periodic output %d", channel)
	return d.optional(op, "", d.lockedIoctl(unix.PTP_PEROUT_REQUEST, unsafe.Pointer(&r)))
}

// EnablePPS switches the clock's pulse per second to the kernel's PPS subsystem on or off (PTP_ENABLE_PPS).
// It needs CAP_SYS_TIME.
func (d *Device) EnablePPS(on bool) error {
	if !d.caps.PPS {
		return d.unsupported("enable PPS", "")
	}
	var v uintptr
	if on {
		v = 1
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.optional("enable PPS", "", d.retry(func(k Kernel) error { return k.IoctlValue(unix.PTP_ENABLE_PPS, v) }))
}

// VirtualClocks returns how many virtual clocks run on top of the clock, and how many there may be. It fails with
// [clock.ErrNotSupported] where the clock or the kernel (before Linux 5.14) has none.
func (d *Device) VirtualClocks() (n, limit int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, limit, err = d.kernel.VirtualClocks()
	return n, limit, d.vclockError("count virtual clocks", err)
}

// SetVirtualClocks sets how many virtual clocks run on top of the clock; with more than none, the clock itself runs free
// and cannot be steered ([ErrBusy]).
func (d *Device) SetVirtualClocks(n int) error {
	op := fmt.Sprintf("set %d virtual clocks", n)
	_, limit, err := d.VirtualClocks()
	if err != nil {
		return err
	}
	if n < 0 || n > limit {
		return &Error{Op: op, Device: d.name, Driver: d.driver, Kind: clock.ErrRange,
			Detail: fmt.Sprintf("not within 0 to %d", limit)}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.vclockError(op, d.kernel.SetVirtualClocks(n))
}

// vclockError tells a missing attribute from other failures.
func (d *Device) vclockError(op string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return d.unsupported(op, "5.14")
	}
	return d.fail(op, err)
}
