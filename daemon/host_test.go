// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/sysclock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/host"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/internal/lockfile"
	"github.com/lockstep-time/lockstep/phc"
	"github.com/lockstep-time/lockstep/phc/phctest"
	"github.com/lockstep-time/lockstep/status"
)

// fakeHost has interfaces and hardware clocks that are not there. Its sockets are real ones, of loopback.
type fakeHost struct {
	t    *testing.T
	caps map[string]nic.Capabilities
	nics map[string]*fakeNIC
	// gone are the clocks whose devices are not there; it changes while they are compared.
	gone [4]atomic.Bool
	slow atomic.Bool // they take longer to be compared than the loop may
	// acquire is what configuring a NIC fails with, open what opening a clock does.
	acquire, open error
	opened        int // clocks, so far
	locks         string
}

// fakeNIC records what is done to a NIC's configuration.
type fakeNIC struct {
	host                *fakeHost
	name                string
	uses                nic.Use
	separate            bool // it has no filter for more than one use
	reset               bool // it does not stamp as it has to
	acquired, reapplied int
	asked               int      // whether it stamps as it has to
	restored            []string // under those names
}

func (n *fakeNIC) Acquire(u nic.Use) (nic.Config, error) {
	if n.host.acquire != nil {
		return nic.Config{}, n.host.acquire
	}
	if n.separate && n.uses&^u != 0 {
		return nic.Config{}, clock.ErrNotSupported
	}
	n.acquired++
	n.uses |= u
	return nic.Config{TxType: nic.TxOn, RxFilter: nic.RxAll}, nil
}
func (n *fakeNIC) Keep(u nic.Use) error { n.uses &= u; return nil }
func (n *fakeNIC) Restore() error       { n.restored = append(n.restored, n.name); return nil }
func (n *fakeNIC) Rename(to string)     { n.name = to }

func (n *fakeNIC) Forgotten() bool {
	n.asked++
	return n.reset
}

func (n *fakeNIC) Reapply() (changed bool, err error) {
	n.reapplied++
	changed, n.reset = n.reset, false
	return changed, nil
}

func newFakeHost(t *testing.T) *fakeHost {
	return &fakeHost{t: t, caps: map[string]nic.Capabilities{}, nics: map[string]*fakeNIC{}, locks: t.TempDir()}
}

// add puts an interface there, on top of another or of itself, whose NIC has that clock; -1 for none.
func (f *fakeHost) add(name, below string, index, phc int) {
	c := nic.Capabilities{Interface: name, Index: index, NIC: below, Driver: "fake", PHC: phc, Up: true, Speed: 1000}
	if phc >= 0 {
		c.TxTypes = 1<<nic.TxOff | 1<<nic.TxOn
		c.Flags = unix.SOF_TIMESTAMPING_TX_HARDWARE | unix.SOF_TIMESTAMPING_RX_HARDWARE | unix.SOF_TIMESTAMPING_RAW_HARDWARE
	}
	f.caps[name] = c
}

func (f *fakeHost) machine() machine {
	return machine{
		probe: func(name string) (nic.Capabilities, error) {
			c, ok := f.caps[name]
			if !ok {
				return nic.Capabilities{}, hwts.ErrNoInterface
			}
			return c, nil
		},
		configurator: func(ifname string) configurator {
			n := &fakeNIC{host: f, name: ifname}
			f.nics[ifname] = n
			return n
		},
		listen: func(hwts.Config) (*hwts.Conn, error) { return hwts.Listen(hwts.Config{Network: hwts.UDP4}) },
		openPHC: func(index int) (*phc.Device, error) {
			if f.open != nil {
				return nil, f.open
			}
			if f.gone[index].Load() {
				return nil, phc.ErrNotPHC
			}
			f.opened++
			start := time.Now()
			fake := phctest.New(phctest.Config{Index: index, Now: func() int64 { return int64(time.Since(start)) },
				Rand: rand.New(rand.NewPCG(1, 2)), Fault: func(phctest.Call) error {
					if f.gone[index].Load() {
						return unix.ENODEV
					}
					if f.slow.Load() {
						time.Sleep(2 * quickComparison)
					}
					return nil
				}})
			return fake.Device, nil
		},
		lock: func(device string) (*lockfile.Lock, error) { return lockfile.Create(f.lockOf(device)) },
	}
}

func (f *fakeHost) lockOf(device string) string { return filepath.Join(f.locks, filepath.Base(device)) }

// rig is a daemon on such a host whose loop is the test.
type rig struct {
	*Daemon
	t      *testing.T
	log    *bytes.Buffer
	cancel context.CancelFunc
}

const virtual = "state_file = \"\"\n[utc]\nleap_seconds_list = \"\"\noffset = 37\n"

func parse(t *testing.T, text string) *configs.Config {
	t.Helper()
	cfg, err := configs.Parse("test.toml", []byte(virtual+text))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Steering.SystemClock = configs.VirtualSystemClock
	return cfg
}

func newRig(t *testing.T, f *fakeHost, text string) *rig {
	t.Helper()
	cfg := parse(t, text)
	ctx, cancel := context.WithCancel(t.Context())
	r := &rig{t: t, log: &bytes.Buffer{}, cancel: cancel}
	d := &Daemon{log: slog.New(slog.NewTextHandler(r.log, nil)), cfg: cfg, ctx: ctx, loop: newLoop(), machine: f.machine(),
		nics: map[string]configurator{}, quiet: map[string]*repetition{}}
	r.Daemon = d
	var err error
	if d.clocks, err = newClocks(cfg, d.log, d.machine); err != nil {
		t.Fatal(err)
	}
	now := sysclock.Monotonic()
	d.host = host.New(cfg, d.env(now, engine.Saved{}), (*driver)(d))
	info, err := d.clocks.info(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.host.AddClock(now, info)
	d.openAll(ctx, now)
	t.Cleanup(func() {
		cancel()
		d.closeAll()
		d.clocks.closeAll()
		d.workers.Wait()
	})
	return r
}

func (r *rig) now() clock.Mono { return sysclock.Monotonic() }

func (r *rig) link(change nic.Change, name, old string, index int) {
	r.linkChanged(r.ctx, r.now(), nic.Event{Change: change, Name: name, OldName: old, Index: index,
		Up: change != nic.LinkDown && change != nic.Removed})
}

// cross has a clock compared, and returns the event that tells of it.
func (r *rig) cross(id clock.ID) event {
	r.t.Helper()
	r.clocks.phcs[id].compare <- struct{}{}
	return <-r.loop.urgent
}

func (r *rig) status() *status.Snapshot {
	s := r.host.Snapshot(r.now(), time.Now(), r.clocks.devices())
	r.count(s)
	return s
}

// requirePort checks by which clock a port is timestamped, "" if it is closed.
func (r *rig) requirePort(n int, want string) {
	r.t.Helper()
	p := r.status().Ports[n]
	if p.State == "faulty" {
		p.Clock = ""
	}
	if p.Clock != want || r.ports[n].open != (want != "") {
		r.t.Errorf("port %d is timestamped by %q (%s), want %q", n, p.Clock, p.Error, want)
	}
}

// requireClocks checks which clocks are open, and that the engine knows the same.
func (r *rig) requireClocks(want ...string) {
	r.t.Helper()
	var names []string
	for _, c := range r.status().Clocks {
		names = append(names, c.Name)
	}
	if got := strings.Join(names, " "); got != strings.Join(want, " ") || len(r.clocks.phcs) != len(want)-1 {
		r.t.Errorf("clocks %s, %d of them PHCs, want %v", got, len(r.clocks.phcs), want)
	}
}

// TestTightestReading has the second of three readings of a clock take no time, but for what a busy machine adds.
func TestTightestReading(t *testing.T) {
	reading := int64(0)
	v, err := sysclock.NewVirtual(sysclock.VirtualConfig{
		Raw:      func() (int64, error) { return reading, nil },
		Realtime: func() (int64, error) { return 0, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	n, second := 0, clock.Mono(0)
	c := clocks{system: slowClock{v, func() {
		if n++; n != 2 {
			time.Sleep(50 * time.Millisecond)
		} else {
			second = sysclock.Monotonic()
		}
		reading = int64(n)
	}}}
	when, at, err := c.now()
	if err != nil || at.Nanoseconds() != 2 || when.Sub(second).Abs() > 20*time.Millisecond {
		t.Errorf("reading %d, %v after the second, error %v", at.Nanoseconds(), when.Sub(second), err)
	}
}

// slowClock does something before it is read.
type slowClock struct {
	clock.Clock
	before func()
}

func (s slowClock) Now() (clock.Timestamp, error) {
	s.before()
	return s.Clock.Now()
}
