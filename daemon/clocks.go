// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/sysclock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/internal/pace"
	"github.com/lockstep-time/lockstep/phc"
	"github.com/lockstep-time/lockstep/platform"
	"github.com/lockstep-time/lockstep/status/control"
)

// clocks are the clocks of the host that are in use. Only the loop uses it, but for the comparing goroutines, which have
// a clock of their own.
type clocks struct {
	system   clock.Clock
	kernel   platform.SystemClock  // nil unless it is the one steered
	virtual  platform.VirtualClock // nil unless it stands for the system clock
	phcs     map[clock.ID]*hardwareClock
	log      *slog.Logger
	lock     io.Closer // on the system clock; nil unless it is the one steered
	platform platform.Host
	serials  uint32
	// readings that a comparison consists of
	readings atomic.Int32
}

// hardwareClock is an open PHC and the goroutine that compares it with the system clock.
type hardwareClock struct {
	device     platform.PHC
	serial     uint32    // tells it from one that had the same name before
	lock       io.Closer // nil unless it is steered; requests of interfaces change it
	quantum    float64   // of its frequency, ppb; 0 if it is fine enough
	interfaces []string
	compare    chan struct{}
	pace       pace.Pace // of comparisons
	done       sync.WaitGroup
	stop       context.CancelFunc
}

func newClocks(cfg *configs.Config, log *slog.Logger, p platform.Host) (*clocks, error) {
	c := &clocks{phcs: map[clock.ID]*hardwareClock{}, log: log, platform: p}
	c.readings.Store(int32(cfg.Steering.Crossings))
	switch cfg.Steering.SystemClock {
	case configs.VirtualSystemClock:
		v, err := p.VirtualClock(sysclock.VirtualConfig{Offset: cfg.Steering.Virtual.Offset,
			FrequencyError: cfg.Steering.Virtual.Frequency})
		if err != nil {
			return nil, err
		}
		c.system, c.virtual = v, v
	case configs.RealSystemClock:
		if err := c.lockSystem(filepath.Dir(control.DefaultSocket)); err != nil {
			return nil, err
		}
		c.kernel = p.SystemClock()
		c.system = c.kernel
	default:
		c.system = p.SystemClock()
	}
	return c, nil
}

// info of the system clock for the engine.
func (c *clocks) info(cfg *configs.Config) (engine.ClockInfo, error) {
	info, err := infoOf(c.system, cfg.Steering.SystemClock != configs.NoSystemClock, c.kernel != nil)
	if err == nil && c.kernel != nil {
		var k sysclock.KernelState
		k, err = c.kernel.ReadKernel()
		info.Leap = k.Leap
	}
	return info, err
}

// info of the PHC for the engine.
func (h *hardwareClock) info(steer bool) (engine.ClockInfo, error) {
	info, err := infoOf(h.device, steer, true)
	info.Quantum = h.quantum
	return info, err
}

func infoOf(c clock.Clock, steer, hardware bool) (engine.ClockInfo, error) {
	ppb, err := c.Frequency()
	if err != nil {
		return engine.ClockInfo{}, err
	}
	at, err := c.Now()
	if err != nil {
		return engine.ClockInfo{}, err
	}
	return engine.ClockInfo{ID: c.ID(), Scale: c.Scale(), Steer: steer, Hardware: hardware,
		MaxFrequency: c.MaxFrequency(), Frequency: ppb, Reading: at}, nil
}

// now reads the clock that stands for the system clock, and tells when: by the tightest of a few readings, since the first
// one after a pause takes some microseconds longer.
func (c *clocks) now() (when clock.Mono, at clock.Timestamp, err error) {
	const readings = 3
	best := time.Duration(math.MaxInt64)
	for range readings {
		before := sysclock.Monotonic()
		reading, err := c.system.Now()
		if err != nil {
			return 0, clock.Timestamp{}, err
		}
		if window := sysclock.Monotonic().Sub(before); window < best {
			best, when, at = window, before.Add(window/2), reading
		}
	}
	return when, at, nil
}

// systemStamp makes a kernel timestamp one of the clock that stands for the system clock.
func (c *clocks) systemStamp(ts clock.Timestamp) clock.Timestamp {
	if c.virtual == nil || ts.IsZero() || ts.Clock() != clock.System {
		return ts
	}
	v, err := c.virtual.FromRealtime(ts.Nanoseconds())
	if err != nil {
		return clock.Timestamp{}
	}
	return v
}

// adopt takes up a PHC that has been opened, and has it compared with the system clock whenever asked for.
func (c *clocks) adopt(ctx context.Context, l *loop, h *hardwareClock) {
	id := h.device.ID()
	ctx, h.stop = context.WithCancel(ctx)
	c.serials++
	h.serial = c.serials
	c.phcs[id] = h
	h.done.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-h.compare:
			}
			l.post(ctx, c.compare(h, id))
		}
	})
}

// remove gives up a PHC, which is to be closed then. It is compared no more.
func (c *clocks) remove(id clock.ID) *hardwareClock {
	h := c.phcs[id]
	delete(c.phcs, id)
	h.stop()
	return h
}

// endComparing waits for a comparison that is under way.
func (h *hardwareClock) endComparing() {
	if h.stop != nil {
		h.stop()
		h.done.Wait()
	}
}

// compare compares a PHC with the clock that stands for the system clock, and notes how long that takes.
func (c *clocks) compare(h *hardwareClock, id clock.ID) event {
	e := event{kind: crossed, serial: h.serial}
	began := sysclock.Monotonic()
	e.crossing, e.err = c.cross(h, int(c.readings.Load()))
	e.crossing.A = clock.At(id, e.crossing.A.Nanoseconds())
	e.crossing.B = clock.At(clock.System, e.crossing.B.Nanoseconds())
	h.pace.Took(sysclock.Monotonic().Sub(began))
	if e.err != nil {
		h.pace.Reset()
	}
	return e
}

// cross compares a PHC with the clock that stands for the system clock.
func (c *clocks) cross(h *hardwareClock, readings int) (clock.Crossing, error) {
	x, err := h.device.Compare(readings)
	if err != nil || c.virtual == nil {
		return x, err
	}
	x.B, err = c.virtual.FromRealtime(x.B.Nanoseconds())
	x.Method = clock.Software
	x.Uncertainty += time.Microsecond
	return x, err
}

// unlock lets others steer the system clock.
func (c *clocks) unlock() {
	if c.lock == nil {
		return
	}
	if err := c.lock.Close(); err != nil {
		c.log.Warn("unlocking the system clock", "err", err)
	}
}

func (c *clocks) get(id clock.ID) (clock.Clock, *hardwareClock, error) {
	if id == clock.System {
		return c.system, nil, nil
	}
	h := c.phcs[id]
	if h == nil {
		return nil, nil, fmt.Errorf("%v is not open: %w", id, clock.ErrGone)
	}
	return h.device, h, nil
}

// setFrequency implements host.Driver's SetFrequency.
func (c *clocks) setFrequency(id clock.ID, ppb float64) (float64, clock.Timestamp, error) {
	k, h, err := c.get(id)
	if err != nil {
		return 0, clock.Timestamp{}, err
	}
	set, applied := ppb, ppb
	if h != nil && h.quantum > 0 {
		set, applied = phc.Quantize(ppb, h.quantum)
	}
	if err := k.SetFrequency(set); err != nil {
		return 0, clock.Timestamp{}, err
	}
	at, err := k.Now()
	return applied, at, err
}

// step implements host.Driver's Step.
func (c *clocks) step(id clock.ID, d time.Duration) (clock.Timestamp, error) {
	k, _, err := c.get(id)
	if err != nil {
		return clock.Timestamp{}, err
	}
	at, err := k.Now()
	if err == nil {
		err = k.Step(d)
	}
	return at, err
}

// devices names the clocks for the status.
func (c *clocks) devices() map[clock.ID]engine.Device {
	d := map[clock.ID]engine.Device{clock.System: {Name: c.system.Name()}}
	for id, h := range c.phcs {
		d[id] = engine.Device{Name: h.device.Name(), Interfaces: h.interfaces}
	}
	return d
}
