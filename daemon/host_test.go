// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/sysclock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/host"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/platform/platformtest"
	"github.com/lockstep-time/lockstep/status"
)

func newFakeHost(t *testing.T) *platformtest.Host {
	return platformtest.New(platformtest.Config{Folder: t.TempDir()})
}

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

func newRig(t *testing.T, f *platformtest.Host, text string) *rig {
	t.Helper()
	cfg := parse(t, text)
	ctx, cancel := context.WithCancel(t.Context())
	r := &rig{t: t, log: &bytes.Buffer{}, cancel: cancel}
	d := newDaemon(ctx, cancel, Options{Config: cfg, Platform: f, Log: slog.New(slog.NewTextHandler(r.log, nil))})
	r.Daemon = d
	var err error
	if d.clocks, err = newClocks(cfg, d.log, d.platform); err != nil {
		t.Fatal(err)
	}
	now := sysclock.Monotonic()
	d.host = host.New(cfg, d.env(now, engine.Saved{}), driver{d})
	info, err := d.clocks.info(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.host.AddClock(now, info)
	d.openAll()
	r.settle()
	t.Cleanup(func() {
		d.stop()
		if open := f.Open(); open.Sockets != 0 || open.PHCs != 0 || open.Locks != 0 {
			t.Errorf("left open: %+v", open)
		}
	})
	return r
}

// settle does what has been asked for, and what that leads to, until there is nothing left.
func (r *rig) settle() { r.t.Helper(); r.settleAt(r.now()) }

// settleAt is settle at another time than the present.
func (r *rig) settleAt(now clock.Mono) {
	r.t.Helper()
	for r.proceed(now); len(r.underWay) > 0; {
		select {
		case e := <-r.loop.urgent:
			r.Daemon.handle(now, &e)
		case <-time.After(time.Minute):
			r.t.Fatal("a request has not ended")
		}
	}
}

// What the loop does is done to its end here.

func (r *rig) handle(now clock.Mono, e *event) { r.Daemon.handle(now, e); r.settle() }
func (r *rig) retry(now clock.Mono)            { r.Daemon.retry(now); r.settle() }
func (r *rig) chores(now clock.Mono)           { r.Daemon.chores(now); r.settle() }
func (r *rig) resteerClocks()                  { r.Daemon.resteerClocks(); r.settle() }

func (r *rig) linkChanged(now clock.Mono, e nic.Event) { r.Daemon.linkChanged(now, e); r.settle() }
func (r *rig) reload(now clock.Mono, cfg *configs.Config) {
	r.Daemon.reload(now, cfg, loadLeaps(cfg, r.Daemon.log))
	r.settle()
}

func (r *rig) now() clock.Mono { return sysclock.Monotonic() }

func (r *rig) link(change nic.Change, name, old string, index int) {
	r.linkChanged(r.now(), nic.Event{Change: change, Name: name, OldName: old, Index: index,
		Up: change != nic.LinkDown && change != nic.Removed})
}

// cross has a clock compared, and returns the event that tells of it.
func (r *rig) cross(id clock.ID) event {
	r.t.Helper()
	r.clocks.phcs[id].compare <- struct{}{}
	return <-r.loop.urgent
}

func (r *rig) status() *status.Snapshot {
	return r.host.Snapshot(r.now(), time.Now(), r.clocks.devices())
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
