// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/sysclock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/platform/platformtest"
	"github.com/lockstep-time/lockstep/status"
)

// slowly is how long each call of the platform takes in the tests of this file.
const slowly = 300 * time.Millisecond

// slowRun is a daemon on a host whose every call takes its time, but for those on open clocks and sockets: of these the loop
// needs the results at once, and the kernel answers at once. Time is that of the bubble: it passes only while everything
// waits, so that what is measured does not depend on how busy the machine is.
type slowRun struct {
	*Daemon
	t       *testing.T
	host    *platformtest.Host
	log     bytes.Buffer
	cfg     atomic.Pointer[configs.Config] // what is loaded
	reload  chan struct{}
	longest time.Duration // that an event has waited; the loop's
	probes  int
	ended   chan struct{}
}

// runSlowly runs f beside such a daemon, ends that, and checks that no event had to wait and nothing is left open.
func runSlowly(t *testing.T, cfg *configs.Config, f func(r *slowRun)) (r *slowRun) {
	sysclock.Monotonic() // goes on from the time outside of the bubble
	outside := time.Now().UnixNano()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Duration(outside-time.Now().UnixNano()) + time.Hour)
		r = &slowRun{t: t, reload: make(chan struct{}), ended: make(chan struct{}),
			host: platformtest.New(platformtest.Config{Folder: t.TempDir(), Delay: slowly, Listen: platformtest.Silent})}
		r.host.Add("eth0", "eth0", 1, 0)
		r.host.Add("eth1", "eth1", 2, 1)
		r.cfg.Store(cfg)
		ctx, cancel := context.WithCancel(t.Context())
		r.Daemon = newDaemon(ctx, cancel, Options{Config: cfg, Platform: r.host, Log: slog.New(slog.NewTextHandler(&r.log, nil)),
			Reload: r.reload, Load: func() (*configs.Config, error) {
				time.Sleep(slowly)
				return r.cfg.Load(), nil
			}})
		r.loop.alarm = func() (ringer, error) { return newSleeper(), nil }
		if err := r.prepare(); err != nil {
			t.Fatal(err)
		}
		running := r
		go func() {
			if err := running.run(); err != nil {
				t.Error(err)
			}
			close(running.ended)
		}()
		go r.probe()
		f(r)
		cancel()
		<-r.ended
		if r.longest > 20*time.Millisecond {
			t.Errorf("an event has waited for %v", r.longest)
		}
		if open := r.host.Open(); open.Sockets != 0 || open.PHCs != 0 || open.Locks != 0 {
			t.Errorf("left open: %+v", open)
		}
	})
	return r
}

// sleeper is an alarm by the time of the bubble, in which a timer of the kernel never rings.
type sleeper struct {
	timer *time.Timer
	rang  chan struct{}
}

func newSleeper() *sleeper {
	s := &sleeper{rang: make(chan struct{}, 1)}
	s.timer = time.AfterFunc(time.Hour, func() {
		select {
		case s.rang <- struct{}{}:
		default:
		}
	})
	return s
}

func (s *sleeper) set(at clock.Mono) error {
	s.timer.Reset(max(0, at.Sub(sysclock.Monotonic())))
	return nil
}

func (s *sleeper) rings() <-chan struct{} { return s.rang }
func (s *sleeper) heard()                 {}
func (s *sleeper) wait()                  {}
func (s *sleeper) close()                 { s.timer.Stop() }

// probe posts an event every few milliseconds, and sees how long it takes until it is handled.
func (r *slowRun) probe() {
	for r.ctx.Err() == nil {
		time.Sleep(7 * time.Millisecond)
		posted := time.Now()
		r.call(func(clock.Mono) {
			r.probes++
			r.longest = max(r.longest, time.Since(posted))
		})
	}
}

// await lets time pass until a snapshot is as wanted.
func (r *slowRun) await(what string, wanted func(*status.Snapshot) bool) {
	r.t.Helper()
	for range 6000 {
		time.Sleep(10 * time.Millisecond)
		if s := r.look(); s != nil && wanted(s) {
			return
		}
	}
	r.t.Errorf("not so in a minute: %s; ports %+v; log:\n%s", what, r.look().Ports, r.log.String())
}

// stampedBy reports whether the ports are open, and by which clocks they are timestamped; "" for one that is not open.
func stampedBy(clocks ...string) func(*status.Snapshot) bool {
	return func(s *status.Snapshot) bool {
		for i, want := range clocks {
			p := s.Ports[i]
			if open := p.State != "faulty" && p.State != "disabled"; open != (want != "") || open && p.Clock != want {
				return false
			}
		}
		return true
	}
}

const slowPorts = port0 + port1 + "[[ptp.port]]\ninterface = \"eth8\"\n[[ptp.port]]\ninterface = \"eth9\"\n" + bound +
	"[[ntp.server]]\naddress = \"192.0.2.1\"\n[control]\nsocket = \"\"\n"

// TestNothingWaitsInTheLoop has everything happen to the interfaces, the clocks and the configuration of a host whose every
// call takes 300 ms, two ports never come up, and no event waits for longer than 20 ms.
func TestNothingWaitsInTheLoop(t *testing.T) {
	cfg := parse(t, slowPorts)
	cfg.StateFile = filepath.Join(t.TempDir(), "state.json")
	cfg.Discovered = true
	r := runSlowly(t, cfg, func(r *slowRun) {
		both := stampedBy("ptp0", "ptp1", "", "")
		r.await("the ports open", both)
		for range 20 {
			r.host.SetLink("eth0", false)
			time.Sleep(50 * time.Millisecond)
			r.host.SetLink("eth0", true)
			time.Sleep(70 * time.Millisecond)
		}
		linkUp := func(s *status.Snapshot) bool { return both(s) && s.Ports[0].LinkUp && s.Ports[1].LinkUp }
		r.await("the link is up after having flapped", linkUp)
		r.host.SetLink("eth1", false)
		time.Sleep(5 * time.Millisecond)
		r.await("the other link is down", func(s *status.Snapshot) bool { return s.Ports[0].LinkUp && !s.Ports[1].LinkUp })
		r.host.SetLink("eth1", true)
		r.await("the other link is up", linkUp)

		r.host.Add("eth2", "eth2", 3, 2)
		r.host.Remove("eth1")
		r.await("an interface is removed", stampedBy("ptp0", "", "", ""))
		r.host.Add("eth1", "eth1", 7, 3)
		r.await("it is made anew with another clock", stampedBy("ptp0", "ptp3", "", ""))
		r.host.Rename("eth1", "lan1")
		r.await("it is renamed", stampedBy("ptp0", "", "", ""))
		r.host.Rename("lan1", "eth1")
		r.await("it is renamed back", stampedBy("ptp0", "ptp3", "", ""))

		r.host.SetGone(0, true)
		r.await("a clock is lost", stampedBy("", "ptp3", "", ""))
		r.host.SetGone(0, false)
		r.await("it is back", stampedBy("ptp0", "ptp3", "", ""))
		time.Sleep(2 * inspectInterval)

		r.reload <- struct{}{}
		time.Sleep(3 * time.Second)
		next := parse(t, slowPorts+"[steering]\nservo = \"pi\"\nphc = false\n")
		next.PTP.Ports[0].Domain, next.StateFile = 24, cfg.StateFile
		r.cfg.Store(next)
		r.reload <- struct{}{}
		r.await("another configuration", func(s *status.Snapshot) bool { return s.Ports[0].Domain == 24 })
		r.await("its ports open, and clocks are not steered", func(s *status.Snapshot) bool {
			return stampedBy("ptp0", "ptp3", "", "")(s) && len(s.Clocks) == 3 && s.Clocks[1].Servo == "" && s.Clocks[2].Servo == ""
		})
		next = parse(t, port1+"[control]\nsocket = \"\"\n")
		next.StateFile = cfg.StateFile
		r.cfg.Store(next)
		r.reload <- struct{}{}
		r.await("fewer ports", func(s *status.Snapshot) bool { return len(s.Ports) == 1 && stampedBy("ptp3")(s) })
		r.await("what nobody needs is closed", func(s *status.Snapshot) bool {
			return len(s.Clocks) == 2 && r.host.NIC("eth0").State().Restored != nil
		})
		time.Sleep(saveInterval)
		for _, call := range []string{"Probe", "Watch", "Configurator", "Listen", "Conn.Close", "OpenPHC", "PHC.Close",
			"LockDevice",
			"Lock.Close", "NIC.Acquire", "NIC.Keep", "NIC.Forgotten", "NIC.Reapply", "NIC.Rename", "NIC.Restore"} {
			if r.host.Calls(call) == 0 {
				t.Errorf("%s was not called", call)
			}
		}
	})
	if r.probes < 10_000 {
		t.Errorf("only %d events were looked at", r.probes)
	}
}
