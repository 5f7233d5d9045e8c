// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/host"
	"github.com/lockstep-time/lockstep/status"
)

func resume(e *host.Host, now clock.Mono) { e.Resume(now) }

// TestRestart kills the daemon while locked: the next one starts from what was saved.
func TestRestart(t *testing.T) {
	s := newSite(t, onePort+threeServers, 400*second)
	defer s.story()
	s.at(200*second, s.host.Kill)
	s.at(210*second, s.host.Start)
	s.world.Run(400 * second)
	s.follows(225, status.Locked, "ptp:eth0")
	s.within(clock.System, 200, 400, 2*time.Microsecond)
	s.within(phc0, 200, 400, 2*time.Microsecond)
	s.within(clock.System, 230, 400, time.Microsecond)
	s.unstepped(20, 400)
	s.covered(220, 400)
}

// TestSavedFrequencies is about what a daemon leaves behind.
func TestSavedFrequencies(t *testing.T) {
	s := newSite(t, onePort, 100*second)
	save := func() (saved engine.Saved, worth bool) {
		s.host.Tell(func(e *host.Host, now clock.Mono) { saved, worth = e.Save(now) })
		return saved, worth
	}
	s.world.Run(2 * second)
	if saved, worth := save(); worth {
		t.Errorf("worth saving before any lock: %+v", saved)
	}
	s.world.Run(100 * second)
	saved, worth := save()
	if !worth || saved.UTCOffset != 37 {
		t.Errorf("saved %+v, worth it: %v", saved, worth)
	}
	for name, off := range map[string]float64{"system": -30000, "ptp0": 20000} {
		if got := saved.Frequencies[name]; math.Abs(got+off) > 100 {
			t.Errorf("correction of %s saved as %g ppb, its oscillator is off by about %g", name, got, off)
		}
	}
}

// TestClockComesBack has a PHC go, and come back with the frequency that its driver gives it: it is set to what was
// learned before, and as long as it is not locked anew that is not overwritten.
func TestClockComesBack(t *testing.T) {
	s := newSite(t, onePort+threeServers, 200*second)
	save := func() (saved engine.Saved) {
		s.host.Tell(func(e *host.Host, now clock.Mono) { saved, _ = e.Save(now) })
		return saved
	}
	s.world.Run(100 * second)
	s.host.Tell(func(e *host.Host, now clock.Mono) {
		e.ClosePort(now, 0, nil)
		e.RemoveClock(now, phc0)
	})
	s.world.Run(130 * second)
	if got := save().Frequencies; math.Abs(got["ptp0"]+20000) > 100 {
		t.Errorf("saved after it has gone: %v", got)
	}
	s.host.Tell(func(e *host.Host, now clock.Mono) {
		c := s.host.ClockInfo(phc0)
		c.Frequency = 0
		e.AddClock(now, c)
	})
	for _, c := range s.snapshot().Clocks {
		if c.Name == "ptp0" && math.Abs(c.Frequency+20000) > 100 {
			t.Errorf("it was set to %g ppb when it came back", c.Frequency)
		}
	}
	if got := save().Frequencies["ptp0"]; math.Abs(got+20000) > 100 {
		t.Errorf("saved before it is locked again: %g", got)
	}
}

// TestSettle is what a daemon does at its end: the clocks go on at their learned frequencies.
func TestSettle(t *testing.T) {
	s := newSite(t, onePort, 300*second)
	s.at(200*second, func() {
		s.host.Tell(func(e *host.Host, now clock.Mono) { e.Settle(now) })
		s.host.Kill()
	})
	s.world.Run(300 * second)
	for _, id := range s.host.Clocks() {
		if f := s.host.Samples(id)[201].Frequency; math.Abs(f) > 30 {
			t.Errorf("%v was left %.1f ppb fast", id, f)
		}
	}
}

// TestReload takes another configuration while locked.
func TestReload(t *testing.T) {
	s := newSite(t, onePort+threeServers, 400*second)
	defer s.story()
	s.at(200*second, func() { s.host.Reload(hostConfig(t, "[steering]\nmax_slew = \"100us\"\n"+onePort+threeServers)) })
	s.world.Run(400 * second)
	s.follows(215, status.Locked, "ptp:eth0")
	s.within(clock.System, 20, 400, time.Microsecond)
	s.within(phc0, 20, 400, time.Microsecond)
	s.unstepped(20, 400)
	s.covered(20, 400)
	if got := s.snapshot(); got.Steps != s.host.States()[400].Steps || got.Started.After(s.snapshot().Time.Add(-390*second)) {
		t.Errorf("%d steps since %v", got.Steps, got.Started)
	}
}

// TestReloadSaysNothingOfUTC takes another configuration: TAI − UTC is what it was, and from whom.
func TestReloadSaysNothingOfUTC(t *testing.T) {
	s := newSite(t, onePort, 200*second)
	defer s.story()
	s.at(100*second, func() { s.host.Reload(hostConfig(t, "[steering]\nmax_slew = \"100us\"\n"+onePort)) })
	s.world.Run(200 * second)
	if at, told := s.logged(90*second, "TAI−UTC"); told {
		t.Errorf("told of at %v", at)
	}
	if got := s.snapshot().UTC; got.Seconds != 37 || got.Origin != "source ptp:eth0" {
		t.Errorf("UTC offset %+v", got)
	}
}

// TestReloadOfUTCOffset has another offset configured: the new one counts.
func TestReloadOfUTCOffset(t *testing.T) {
	s := newSite(t, "[utc]\noffset = 36\n"+threeServers, 100*second)
	defer s.story()
	s.world.Run(50 * second)
	if got := s.snapshot().UTC; !got.Known || got.Seconds != 36 || got.Origin != "configuration" {
		t.Fatalf("UTC offset %+v", got)
	}
	s.host.Reload(hostConfig(t, "[utc]\noffset = 37\n"+threeServers))
	s.world.Run(60 * second)
	if got := s.snapshot().UTC; !got.Known || got.Seconds != 37 {
		t.Errorf("UTC offset %+v after a reload", got)
	}
}

// TestPortCloses takes the interface away for a while, and its clock with it.
func TestPortCloses(t *testing.T) {
	for _, c := range []struct {
		name  string
		clock bool
	}{{"port", false}, {"port and clock", true}} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, onePort+threeServers, 400*second)
			defer s.story()
			s.tell(200*second, func(e *host.Host, now clock.Mono) {
				e.ClosePort(now, 0, errors.New("no such interface"))
				if c.clock {
					e.RemoveClock(now, phc0)
				}
			})
			s.tell(250*second, func(e *host.Host, now clock.Mono) {
				if c.clock {
					e.AddClock(now, s.host.ClockInfo(phc0))
				}
			})
			s.at(250*second, func() { s.host.Open(0) })
			s.world.Run(245 * second)
			if got := s.snapshot().Ports[0]; got.State != "faulty" || !strings.Contains(got.Error, "no such interface") {
				t.Errorf("port is %s: %q", got.State, got.Error)
			}
			if got := s.source("ptp:eth0"); !strings.Contains(got.Reason, "no such interface") {
				t.Errorf("source is %s: %q", got.State, got.Reason)
			}
			s.world.Run(400 * second)
			s.follows(202, status.Locked, "ntp:")
			s.follows(265, status.Locked, "ptp:eth0")
			s.within(clock.System, 20, 400, 20*time.Microsecond)
			s.within(clock.System, 300, 400, time.Microsecond)
			if at, ok := s.logged(100*second, "system stepped"); ok {
				t.Errorf("the system clock was stepped at %v", at)
			}
		})
	}
}

// TestClockVanishes removes the clock of an open port: it must not be taken for followed any more.
func TestClockVanishes(t *testing.T) {
	s := newSite(t, onePort+threeServers, 300*second)
	defer s.story()
	s.tell(200*second, func(e *host.Host, now clock.Mono) { e.RemoveClock(now, phc0) })
	s.world.Run(300 * second)
	s.follows(205, status.Locked, "ntp:")
	s.within(clock.System, 20, 300, 20*time.Microsecond)
}

// TestLinkFlaps takes the link down and up.
func TestLinkFlaps(t *testing.T) {
	s := newSite(t, onePort+threeServers, 400*second)
	defer s.story()
	for i := range 5 {
		at := time.Duration(200+10*i) * second
		s.at(at, func() { s.host.SetInterface("eth0", false) })
		s.at(at+3*second, func() { s.host.SetInterface("eth0", true) })
	}
	s.world.Run(400 * second)
	s.follows(202, status.Locked, "ntp:")
	s.follows(260, status.Locked, "ptp:eth0")
	s.within(clock.System, 20, 400, 10*time.Microsecond)
	s.within(clock.System, 270, 400, time.Microsecond)
	s.unstepped(20, 400)
}

// TestForeignStep has somebody else set a clock.
func TestForeignStep(t *testing.T) {
	for _, c := range []struct {
		id   clock.ID
		name string
		by   time.Duration
	}{
		{clock.System, "system", 100 * time.Microsecond}, {clock.System, "system", -20 * time.Millisecond},
		{clock.System, "system", -time.Minute}, {clock.System, "system", time.Minute},
		{phc0, "ptp0", time.Hour}, {phc0, "ptp0", -30 * time.Second}, {phc0, "ptp0", 50 * time.Microsecond},
	} {
		t.Run(c.name+" by "+c.by.String(), func(t *testing.T) {
			s := newSite(t, onePort+threeServers, 400*second)
			defer s.story()
			s.at(200*second+300*time.Millisecond, func() { s.host.Clock(c.id).Step(s.world.Now(), c.by) })
			s.world.Run(400 * second)
			if at, ok := s.logged(200*second, c.name+" was set by somebody else"); !ok || at > 203*second {
				t.Errorf("it was told of at %v (%v)", at, ok)
			}
			if c.by.Abs() < second || c.id != clock.System { // else it is being slewed for a day
				s.within(clock.System, 300, 400, time.Microsecond)
			}
			s.within(phc0, 300, 400, time.Microsecond)
			if c.id != clock.System {
				s.within(clock.System, 20, 400, 5*time.Microsecond)
			}
		})
	}
}
