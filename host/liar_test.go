// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/host"
	"github.com/lockstep-time/lockstep/status"
)

// TestLyingGrandmaster has the grandmaster go wrong while three NTP servers tell the truth.
func TestLyingGrandmaster(t *testing.T) {
	for _, c := range []struct {
		lie    time.Duration
		named  bool          // that it lies can be seen
		within time.Duration // of the truth, a minute after and later
	}{
		{time.Second, true, 50 * time.Microsecond},
		{-time.Second, true, 50 * time.Microsecond},
		{37 * time.Second, true, 50 * time.Microsecond},
		{time.Millisecond, true, 50 * time.Microsecond},
		{-time.Millisecond, true, 50 * time.Microsecond},
		{100 * time.Microsecond, false, 110 * time.Microsecond},
	} {
		t.Run(c.lie.String(), func(t *testing.T) {
			s := newSite(t, onePort+threeServers, 900*second)
			defer s.story()
			s.at(300*second, func() { s.master.Shift(c.lie) })
			s.at(600*second, func() { s.master.Shift(-c.lie) })
			s.world.Run(500 * second)
			if c.named {
				s.follows(320, status.Locked, "ntp:")
				if got := s.source("ptp:eth0"); got.State != "falseticker" || !strings.Contains(got.Reason, "of 4 sources") {
					t.Errorf("the liar is %s: %s", got.State, got.Reason)
				}
			} else if at, ok := s.logged(300*second, "ptp:eth0 is not believed"); !ok || at > 330*second {
				t.Errorf("the jump was told of at %v (%v)", at, ok)
			}
			s.world.Run(900 * second)
			s.within(clock.System, 300, 900, c.within)
			s.within(phc0, 300, 900, c.within)
			s.unstepped(20, 900)
			s.follows(899, status.Locked, "ptp:eth0")
			s.within(clock.System, 800, 900, time.Microsecond)
		})
	}
}

// TestSoleSourceJumps has nobody to say whether the grandmaster is right: it is followed, late and told of.
func TestSoleSourceJumps(t *testing.T) {
	for _, jump := range []time.Duration{100 * time.Microsecond, 10 * time.Millisecond, 2 * time.Second} {
		t.Run(jump.String(), func(t *testing.T) {
			s := newSite(t, onePort, 500*second)
			defer s.story()
			s.at(200*second, func() { s.master.Shift(jump) })
			s.world.Run(215 * second)
			if got := s.source("ptp:eth0"); got.State != "falseticker" || !strings.Contains(got.Reason, "jumped") {
				t.Errorf("it is %s: %s", got.State, got.Reason)
			}
			s.follows(215, status.Holdover, "")
			s.world.Run(500 * second)
			s.within(clock.System, 200, 230, time.Microsecond)
			at, ok := s.logged(200*second, "is followed to its new time")
			if !ok || at < 230*second || at > 245*second {
				t.Errorf("it is followed at %v (%v), want 30 s later", at, ok)
			}
			after := status.Locked
			if jump > second { // it is slewed
				after = status.Acquiring
			}
			s.follows(290, after, "ptp:eth0")
			s.unstepped(20, 500)
		})
	}
}

// TestJumpBack has the grandmaster come back to its senses before anybody has followed it.
func TestJumpBack(t *testing.T) {
	s := newSite(t, onePort, 300*second)
	defer s.story()
	s.at(200*second, func() { s.master.Shift(time.Second) })
	s.at(210*second, func() { s.master.Shift(-time.Second) })
	s.world.Run(300 * second)
	if _, ok := s.logged(210*second, "agrees with this host again"); !ok {
		t.Error("nobody said that it agrees again")
	}
	s.within(clock.System, 20, 300, time.Microsecond)
	s.follows(225, status.Locked, "ptp:eth0")
	s.unstepped(20, 300)
}

// TestNTPLiars has one of three servers lie from the beginning, and another one later on.
func TestNTPLiars(t *testing.T) {
	s := newSite(t, threeServers, 400*second)
	defer s.story()
	s.servers[1].Shift(50 * time.Millisecond)
	s.world.Run(200 * second)
	if got := s.source("ntp:192.0.2.2"); got.State != "falseticker" {
		t.Errorf("the liar is %s: %s", got.State, got.Reason)
	}
	s.servers[1].Shift(-50 * time.Millisecond)
	s.servers[0].Drift(1e5)
	s.world.Run(400 * second)
	s.within(clock.System, 20, 400, 500*time.Microsecond)
	s.unstepped(20, 400)
}

// TestPanic needs a step beyond the threshold after the first lock.
func TestPanic(t *testing.T) {
	s := newSite(t, "[steering]\nstep = \"always\"\npanic_threshold = \"1s\"\n"+onePort, 400*second)
	defer s.story()
	s.at(100*second, func() { s.master.Shift(time.Minute) })
	s.world.Run(200 * second)
	s.follows(200, status.Panicked, "ptp:eth0")
	s.within(clock.System, 100, 200, 20*time.Microsecond)
	if got := s.snapshot(); !strings.Contains(got.Reason, "panic threshold") {
		t.Errorf("reason: %s", got.Reason)
	}
	s.host.Tell(resume)
	s.world.Run(400 * second)
	s.follows(230, status.Locked, "ptp:eth0")
	if e := s.host.Samples(clock.System)[399].Error; e < 60e9-1000 || e > 60e9+1000 {
		t.Errorf("after resuming it is %.0f ns off, the master a minute", e)
	}
}

// TestRejectedAreCounted shows of each source what was refused of it.
func TestRejectedAreCounted(t *testing.T) {
	s := newSite(t, onePort+threeServers, 300*second)
	s.at(100*second, func() { s.master.Shift(time.Millisecond) })
	s.at(100*second, func() {
		s.host.Tell(func(e *host.Host, now clock.Mono) { e.NTPReceived(now, 0, []byte("no answer"), clock.Timestamp{}) })
	})
	s.world.Run(300 * second)
	for _, id := range []string{"ptp:eth0", "ntp:192.0.2.1"} {
		if got := s.source(id).Rejected; got == 0 || got > 50 {
			t.Errorf("%s: %d rejected", id, got)
		}
	}
}

// TestSoleSourceDrifts has the only grandmaster run off all of a sudden, which an oscillator of this host might do as well.
// But its two have not parted.
func TestSoleSourceDrifts(t *testing.T) {
	for _, ppb := range []float64{10_000, 100_000} {
		s := newSite(t, onePort, 230*second)
		s.at(200*second, func() { s.master.Drift(ppb) })
		s.world.Run(230 * second)
		if at, told := s.logged(200*second, "has jumped"); !told || at > 210*second {
			t.Errorf("%g ppb: told of at %v (%v)", ppb, at, told)
		}
		s.follows(215, status.Holdover, "")
		s.covered(20, 229)
		s.story()
	}
}
