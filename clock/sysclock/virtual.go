// SPDX-License-Identifier: Apache-2.0

package sysclock

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/internal/fixed"
)

const (
	virtualName = "virtual"
	// virtualPast is how many changes of frequency and steps FromRealtime can look behind.
	virtualPast = 64
	// The instants, seen from now, that FromRealtime takes; beyond, CLOCK_REALTIME has probably been stepped.
	realtimeMaxAge  = 10 * time.Second
	realtimeMaxLead = time.Millisecond
	// FromRealtime reads the two clocks again if the window was longer, up to crossTries times.
	crossWindow = time.Microsecond
	crossTries  = 5
)

// VirtualConfig is what a Virtual is made of.
type VirtualConfig struct {
	// Offset to CLOCK_REALTIME at the start.
	Offset time.Duration
	// FrequencyError is that of the oscillator against CLOCK_MONOTONIC_RAW in parts per billion, at most ±100e6.
	FrequencyError float64
	// Raw and Realtime are read in place of CLOCK_MONOTONIC_RAW and CLOCK_REALTIME, unless nil.
	Raw, Realtime Reader
}

// Virtual stands for the system clock where that is not to be touched: a clock in user space, over
// CLOCK_MONOTONIC_RAW, that needs no privilege. It does not count while the machine is suspended.
// Its methods may be called from any goroutine. A call allocates only when it fails.
type Virtual struct {
	raw, realtime Reader
	oscillator    float64 // frequency error of the oscillator, as a ratio

	mu      sync.Mutex
	ppb     float64
	past    [virtualPast]stretch
	changes int // stretches ever begun; the latest is past[(changes−1) % virtualPast]
}

var _ clock.Clock = (*Virtual)(nil)

// stretch is a part of a Virtual's life with one frequency: at raw the clock read ns + fraction.
type stretch struct {
	raw, ns  int64
	fraction uint64 // in 2^-62 ns
	rate     int64  // less 1, in 2^-62
}

// at returns what the clock reads when the raw clock reads raw.
func (s stretch) at(raw int64) (ns int64, fraction uint64) {
	span := raw - s.raw
	more, fraction := fixed.Multiply(span, s.rate, s.fraction)
	return s.ns + span + more, fraction
}

// NewVirtual starts a virtual clock at CLOCK_REALTIME + Offset.
func NewVirtual(c VirtualConfig) (*Virtual, error) {
	if !(math.Abs(c.FrequencyError) <= maxPPB) {
		return nil, fmt.Errorf("clock: make %s: frequency error of %g ppb: %w", virtualName, c.FrequencyError, clock.ErrRange)
	}
	v := &Virtual{raw: c.Raw, realtime: c.Realtime, oscillator: c.FrequencyError / 1e9}
	if v.raw == nil {
		v.raw = readMonotonicRaw
	}
	if v.realtime == nil {
		v.realtime = readRealtime
	}
	raw, realtime, err := v.cross()
	if err != nil {
		return nil, err
	}
	v.begin(stretch{raw: raw, ns: realtime + int64(c.Offset), rate: fixed.Rate(v.oscillator)})
	return v, nil
}

// ID returns System.
func (v *Virtual) ID() clock.ID { return clock.System }

// Name returns "virtual".
func (v *Virtual) Name() string { return virtualName }

// Scale returns UTC.
func (v *Virtual) Scale() clock.Scale { return clock.UTC }

// MaxFrequency returns 100e6: 10 %.
func (v *Virtual) MaxFrequency() float64 { return maxPPB }

// Now reads the clock.
func (v *Virtual) Now() (clock.Timestamp, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	raw, err := v.raw()
	if err != nil {
		return clock.Timestamp{}, fmt.Errorf("clock: read %s: %w", virtualName, err)
	}
	ns, _ := v.latest().at(raw)
	return clock.At(clock.System, ns), nil
}

// Step adds d to the clock at once, exact to the nanosecond.
func (v *Virtual) Step(d time.Duration) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, err := v.fromNow()
	if err != nil {
		return fmt.Errorf("clock: step %s by %v: %w", virtualName, d, err)
	}
	s.ns += int64(d)
	v.begin(s)
	return nil
}

// SetFrequency has the clock run ppb parts per billion faster than its oscillator, from what it reads now.
func (v *Virtual) SetFrequency(ppb float64) error {
	if !(math.Abs(ppb) <= maxPPB) {
		return fmt.Errorf("clock: set frequency of %s to %g ppb: %w", virtualName, ppb, clock.ErrRange)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	s, err := v.fromNow()
	if err != nil {
		return fmt.Errorf("clock: set frequency of %s to %g ppb: %w", virtualName, ppb, err)
	}
	f := ppb / 1e9
	s.rate = fixed.Rate(v.oscillator + f + float64(v.oscillator*f))
	v.ppb = ppb
	v.begin(s)
	return nil
}

// Frequency returns what SetFrequency last set, 0 at the start. It never fails.
func (v *Virtual) Frequency() (float64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ppb, nil
}

// FromRealtime returns what this clock read at the instant at which CLOCK_REALTIME read ns, nanoseconds since 1970, by
// reading both now and going back by the difference. It knows the clock's frequency and steps at that instant.
// It fails with clock.ErrRange if ns is more than 10 s ago or lies ahead of CLOCK_REALTIME, or is from before the latest 64
// changes of the clock. CLOCK_REALTIME must not have been stepped since; where it is slewed, the error is the slew of
// the time passed.
func (v *Virtual) FromRealtime(ns int64) (clock.Timestamp, error) {
	raw, realtime, err := v.cross()
	if err != nil {
		return clock.Timestamp{}, err
	}
	age := time.Duration(realtime - ns)
	if age > realtimeMaxAge || age < -realtimeMaxLead {
		return clock.Timestamp{}, fmt.Errorf("clock: read %s when CLOCK_REALTIME was %d ns, %v ago: %w", virtualName, ns, age,
			clock.ErrRange)
	}
	raw -= int64(age)
	v.mu.Lock()
	defer v.mu.Unlock()
	s, ok := v.find(raw)
	if !ok {
		return clock.Timestamp{}, fmt.Errorf("clock: read %s %v ago, before %d changes: %w", virtualName, age, virtualPast,
			clock.ErrRange)
	}
	then, _ := s.at(raw)
	return clock.At(clock.System, then), nil
}

// cross reads the raw clock and CLOCK_REALTIME at the same instant, give or take half a microsecond.
func (v *Virtual) cross() (raw, realtime int64, err error) {
	best := int64(math.MaxInt64)
	before, err := v.raw()
	for i := 0; i < crossTries && err == nil && best > int64(crossWindow); i++ {
		var now, after int64
		if now, err = v.realtime(); err != nil {
			break
		}
		if after, err = v.raw(); err != nil {
			break
		}
		if window := after - before; window < best {
			best, raw, realtime = window, before+window/2, now
		}
		before = after
	}
	if err != nil {
		return 0, 0, fmt.Errorf("clock: compare %s with CLOCK_REALTIME: %w", virtualName, err)
	}
	return raw, realtime, nil
}

// fromNow returns the latest stretch as if it began now.
func (v *Virtual) fromNow() (stretch, error) {
	raw, err := v.raw()
	if err != nil {
		return stretch{}, err
	}
	s := *v.latest()
	s.ns, s.fraction = s.at(raw)
	s.raw = raw
	return s, nil
}

func (v *Virtual) begin(s stretch) {
	v.past[v.changes%virtualPast] = s
	v.changes++
}

func (v *Virtual) latest() *stretch { return &v.past[(v.changes-1)%virtualPast] }

// find returns the stretch in which the raw clock read raw. What was before the first one is taken for a part of it.
func (v *Virtual) find(raw int64) (*stretch, bool) {
	for i := v.changes - 1; i >= 0 && i >= v.changes-virtualPast; i-- {
		if s := &v.past[i%virtualPast]; s.raw <= raw || i == 0 {
			return s, true
		}
	}
	return nil, false
}
