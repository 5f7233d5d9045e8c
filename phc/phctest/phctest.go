// SPDX-License-Identifier: Apache-2.0

// Package phctest has PTP hardware clocks without hardware, whose oscillators, readings and signals are simulated.
package phctest

import (
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/phc"
)

// Config says what a [Clock] is like. Now is required; Rand is where anything is random. The zero values of the rest
// are a perfect clock.
type Config struct {
	// Index is the N of the /dev/ptpN that it plays; Driver the name of its driver, "fake" by default.
	Index  int
	Driver string
	// Now returns the true time in nanoseconds. It is the only time source, and must not go back.
	Now func() int64
	// System returns what the system clock reads at that instant; the true time by default.
	System func() int64
	// Rand gives all randomness.
	Rand *rand.Rand
	// Start is what the clock reads at first, as a difference to the true time.
	Start time.Duration
	// Frequency is the error of its oscillator in ppb, Wander that frequency's random walk in ppb per square root of a second.
	Frequency, Wander float64
	// WhitePhase is the standard deviation of the noise of each reading in ns.
	WhitePhase float64
	// Tick is the unit of its readings in ns; 0 and 1 both mean nanoseconds.
	Tick int64
	// Quantum is the unit of its frequency correction in ppb (119.2 on an Intel 82576); the rest is cut off, as its driver
	// does.
	Quantum float64
	// Window is the width of a reading's window at best; Latency the mean of an exponentially distributed addition to it.
	Window, Latency time.Duration
	// Asymmetry is how far the device's reading moves from the middle of the window, as a fraction of that addition.
	Asymmetry float64
	// Caps is what it can do; without MaxAdjust, that is 62 499 999 ppb.
	Caps phc.Caps
	// Methods of comparing that it has; by default Extended and Basic.
	Methods []clock.Method
	// Stamps are the edges that its hardware stamps whatever it is asked for (Both on an Intel i210), so that it refuses to
	// stamp others strictly; 0: those that it is asked for.
	Stamps phc.Edge
	// MaxVirtualClocks there may be; 0 means a kernel without.
	MaxVirtualClocks int
	// Fault is asked before each call to the kernel, if not nil. What it returns, mostly a unix.Errno, is the call's result.
	Fault func(Call) error
}

// Call is one of the calls to the kernel that a device makes, for [Config.Fault].
type Call string

// The calls.
const (
	CallRead     Call = "clock_gettime"
	CallSet      Call = "clock_settime"
	CallAdjust   Call = "clock_adjtime"
	CallCaps     Call = "PTP_CLOCK_GETCAPS"
	CallPrecise  Call = "PTP_SYS_OFFSET_PRECISE"
	CallExtended Call = "PTP_SYS_OFFSET_EXTENDED"
	CallBasic    Call = "PTP_SYS_OFFSET"
	CallPin      Call = "PTP_PIN"
	CallExtTS    Call = "PTP_EXTTS_REQUEST"
	CallPerOut   Call = "PTP_PEROUT_REQUEST"
	CallPPS      Call = "PTP_ENABLE_PPS"
	CallMask     Call = "PTP_MASK"
	CallEvents   Call = "read"
)

// Clock is a PTP hardware clock without hardware: a [phc.Device] on a simulated driver, so that everything above the system
// calls is the production code. It never sleeps, and reads no time but what it is given.
type Clock struct {
	*phc.Device
	kernel *kernel
}

// New returns a clock that has just been started.
func New(c Config) *Clock {
	if c.Driver == "" {
		c.Driver = "fake"
	}
	if c.System == nil {
		c.System = c.Now
	}
	if c.Caps.MaxAdjust == 0 {
		c.Caps.MaxAdjust = 62499999
	}
	if c.Methods == nil {
		c.Methods = []clock.Method{clock.Extended, clock.Basic}
	}
	c.Caps.CrossTimestamp = slices.Contains(c.Methods, clock.Precise)
	now := c.Now()
	k := &kernel{
		config:   c,
		osc:      oscillator{wander: c.Wander, rand: c.Rand, at: now, ns: now + int64(c.Start), own: c.Frequency},
		pins:     make([]unix.PtpPinDesc, c.Caps.Pins),
		channels: map[uint32]uint32{}, outputs: map[uint32]unix.PtpPeroutRequest{},
		events: make(chan unix.PtpExttsEvent, 128),
		closed: make(chan struct{}),
	}
	for i := range k.pins {
		k.pins[i].Index = uint32(i)
		copy(k.pins[i].Name[:], fmt.Sprintf("SDP%d", i))
	}
	k.config.Fault = nil // a clock that is there has been opened
	d, err := phc.NewDevice(k, c.Index, c.Driver)
	if err != nil {
		panic(err) // the fake's own answer to the request for capabilities
	}
	k.config.Fault = c.Fault
	return &Clock{Device: d, kernel: k}
}

// SetOscillator changes the error of the oscillator, as a change of temperature would.
func (c *Clock) SetOscillator(ppb float64) {
	c.kernel.mu.Lock()
	defer c.kernel.mu.Unlock()
	c.kernel.osc.advance(c.kernel.config.Now())
	c.kernel.osc.own = ppb
}

// Error returns how far the clock is from the true time now, without the noise of reading it.
func (c *Clock) Error() time.Duration {
	c.kernel.mu.Lock()
	defer c.kernel.mu.Unlock()
	now := c.kernel.config.Now()
	c.kernel.osc.advance(now)
	return time.Duration(c.kernel.osc.ns - now)
}

// Adjustment returns the correction of the oscillator's frequency that the hardware makes, in ppb: what was last set, cut
// off to the hardware's unit.
func (c *Clock) Adjustment() float64 {
	c.kernel.mu.Lock()
	defer c.kernel.mu.Unlock()
	return c.kernel.osc.adjustment
}

// kernel answers as the kernel and a driver would.
type kernel struct {
	config Config
	events chan unix.PtpExttsEvent
	once   sync.Once
	closed chan struct{}

	mu      sync.Mutex // guards what follows
	osc     oscillator
	dialled int64 // the frequency in the kernel's unit, as last set
	pins    []unix.PtpPinDesc
	// channels and outputs that are on, with what was asked of them; a channel by its flags.
	channels map[uint32]uint32
	outputs  map[uint32]unix.PtpPeroutRequest
	// selected are the channels whose events are read; nil: all.
	selected map[uint32]bool
	vclocks  int
}

func (k *kernel) fault(c Call) error {
	if k.config.Fault == nil {
		return nil
	}
	return k.config.Fault(c)
}

// register returns what one reading of the clock gives now.
func (k *kernel) register() int64 {
	k.osc.advance(k.config.Now())
	ns := k.osc.ns
	if k.config.WhitePhase > 0 {
		ns += clock.Int64(math.Round(k.osc.frac + k.config.WhitePhase*k.config.Rand.NormFloat64()))
	}
	if k.config.Tick > 1 {
		ns -= ns % k.config.Tick
	}
	return ns
}

// reading returns one reading in its window around what the other clock reads now.
func (k *kernel) reading(other int64) (before, device, after int64) {
	late := 0.0
	if k.config.Latency > 0 {
		late = k.config.Rand.ExpFloat64() * float64(k.config.Latency)
	}
	w := int64(k.config.Window) + clock.Int64(late)
	before = other - w/2
	return before, k.register() + clock.Int64(math.Round(late*k.config.Asymmetry)), before + w
}

func (k *kernel) GetTime(t *unix.Timespec) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.fault(CallRead); err != nil {
		return err
	}
	*t = unix.NsecToTimespec(k.register())
	return nil
}

func (k *kernel) SetTime(t *unix.Timespec) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.fault(CallSet); err != nil {
		return err
	}
	if k.vclocks > 0 {
		return unix.EBUSY
	}
	k.osc.advance(k.config.Now())
	k.osc.ns, k.osc.frac = t.Nano(), 0
	return nil
}

func (k *kernel) GetRes(t *unix.Timespec) error {
	*t = unix.NsecToTimespec(1)
	return nil
}

func (k *kernel) AdjTime(t *unix.Timex) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.fault(CallAdjust); err != nil {
		return err
	}
	if k.vclocks > 0 && t.Modes != 0 {
		return unix.EBUSY
	}
	k.osc.advance(k.config.Now())
	switch {
	case t.Modes&unix.ADJ_SETOFFSET != 0:
		if t.Time.Usec < 0 || t.Time.Usec >= 1e9 {
			return unix.EINVAL
		}
		k.osc.shift(int64(t.Time.Sec)*1e9+int64(t.Time.Usec), 0)
	case t.Modes&unix.ADJ_FREQUENCY != 0:
		k.dialled = int64(t.Freq)
		k.osc.adjustment = k.quantise(float64(k.dialled) / perPPB)
	case t.Modes&unix.ADJ_OFFSET != 0:
		if !k.config.Caps.AdjustPhase {
			return unix.EOPNOTSUPP
		}
		k.osc.shift(int64(t.Offset), 0)
	}
	store(&t.Freq, k.dialled)
	return nil
}

// perPPB is the number of the kernel's units of frequency, 2^-16 ppm, in a part per billion.
const perPPB = 65.536

// store stores v, which is in range, in a field whose width depends on the machine.
func store[T ~int32 | ~int64](field *T, v int64) { *field = T(v) }

func (k *kernel) quantise(ppb float64) float64 {
	if q := k.config.Quantum; q > 0 {
		return math.Trunc(ppb/q) * q
	}
	return ppb
}

func (k *kernel) has(m clock.Method) error {
	if slices.Contains(k.config.Methods, m) {
		return nil
	}
	return unix.EOPNOTSUPP
}

func (k *kernel) Ioctl(req uint, arg unsafe.Pointer) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch req {
	case unix.PTP_CLOCK_GETCAPS:
		return k.getCaps((*unix.PtpClockCaps)(arg))
	case unix.PTP_SYS_OFFSET_PRECISE:
		return k.precise((*unix.PtpSysOffsetPrecise)(arg))
	case unix.PTP_SYS_OFFSET_EXTENDED:
		return k.extended((*unix.PtpSysOffsetExtended)(arg))
	case unix.PTP_SYS_OFFSET:
		return k.basic((*unix.PtpSysOffset)(arg))
	case unix.PTP_PIN_GETFUNC, unix.PTP_PIN_SETFUNC:
		return k.pin(req, (*unix.PtpPinDesc)(arg))
	case unix.PTP_EXTTS_REQUEST, unix.PTP_EXTTS_REQUEST2:
		return k.extts(req, *(*unix.PtpExttsRequest)(arg))
	case unix.PTP_PEROUT_REQUEST, unix.PTP_PEROUT_REQUEST2:
		return k.perout(req, *(*unix.PtpPeroutRequest)(arg))
	case unix.PTP_MASK_EN_SINGLE:
		return k.selectChannel(*(*uint32)(arg))
	}
	return unix.ENOTTY
}

func (k *kernel) IoctlValue(req uint, _ uintptr) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch req {
	case unix.PTP_ENABLE_PPS:
		return k.fault(CallPPS)
	case unix.PTP_MASK_CLEAR_ALL:
		return k.selectNone()
	}
	return unix.ENOTTY
}

func (k *kernel) getCaps(c *unix.PtpClockCaps) error {
	if err := k.fault(CallCaps); err != nil {
		return err
	}
	from := &k.config.Caps
	number := func(b bool) int32 {
		if b {
			return 1
		}
		return 0
	}
	*c = unix.PtpClockCaps{
		Max_adj: int32(from.MaxAdjust), N_alarm: int32(from.Alarms), N_ext_ts: int32(from.ExtTS),
		N_per_out: int32(from.PerOut), N_pins: int32(from.Pins), Pps: number(from.PPS),
		Cross_timestamping: number(from.CrossTimestamp), Adjust_phase: number(from.AdjustPhase),
		Max_phase_adj: int32(from.MaxPhase),
	}
	return nil
}

func (k *kernel) precise(p *unix.PtpSysOffsetPrecise) error {
	if err := k.fault(CallPrecise); err != nil {
		return err
	}
	p.Device, p.Realtime, p.Monoraw = clockTime(k.register()), clockTime(k.config.System()), clockTime(k.config.Now())
	return k.has(clock.Precise)
}

func (k *kernel) extended(e *unix.PtpSysOffsetExtended) error {
	if err := k.fault(CallExtended); err != nil {
		return err
	}
	if err := k.has(clock.Extended); err != nil {
		return err
	}
	for i := range e.Samples {
		other := k.config.Now()
		if e.Clockid == unix.CLOCK_REALTIME {
			other = k.config.System()
		}
		before, device, after := k.reading(other)
		e.Ts[i] = [3]unix.PtpClockTime{clockTime(before), clockTime(device), clockTime(after)}
	}
	return nil
}

func (k *kernel) basic(b *unix.PtpSysOffset) error {
	if err := k.fault(CallBasic); err != nil {
		return err
	}
	if err := k.has(clock.Basic); err != nil {
		return err
	}
	// Neighbouring readings share a reading of the system clock: the windows follow each other.
	other, advance := k.config.System(), int64(0)
	b.Ts[0] = clockTime(other)
	for i := range b.Samples {
		before, device, after := k.reading(other)
		width := after - before
		b.Ts[2*i+1] = clockTime(device + advance + width/2)
		advance += width
		b.Ts[2*i+2] = clockTime(other + advance)
	}
	return nil
}

func (k *kernel) VirtualClocks() (n, limit int, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.config.MaxVirtualClocks == 0 {
		return 0, 0, fs.ErrNotExist
	}
	return k.vclocks, k.config.MaxVirtualClocks, nil
}

func (k *kernel) SetVirtualClocks(n int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.vclocks = n
	return nil
}

func (k *kernel) Close() error {
	k.once.Do(func() { close(k.closed) })
	return nil
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
