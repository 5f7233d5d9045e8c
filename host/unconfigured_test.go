// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/host"
	"github.com/lockstep-time/lockstep/ntp/wire"
	"github.com/lockstep-time/lockstep/sim"
	"github.com/lockstep-time/lockstep/status"
)

// unconfigured has the ports be those of a host without a configuration file.
func unconfigured(c *sim.HostConfig, _ *time.Time) { c.Config.Discovered = true }

func (s *site) cutNTP(cut bool) {
	for _, l := range s.ntp {
		l.Cut(cut)
	}
}

func (s *site) requirePTP(state, reason string) {
	s.Helper()
	if got := s.source("ptp:eth0"); got.State != state || !strings.Contains(got.Reason, reason) {
		s.Errorf("the port's source is %s: %s; want %s: %s", got.State, got.Reason, state, reason)
	}
}

// TestUnconfiguredAlone has nobody but a grandmaster that no file names: honest, lying, or with an arbitrary timescale. No
// clock is touched.
func TestUnconfiguredAlone(t *testing.T) {
	for name, prepare := range map[string]func(s *site){
		"honest":    func(*site) {},
		"lying":     func(s *site) { s.master.Shift(365 * 24 * time.Hour) },
		"arbitrary": func(s *site) { s.master.Properties().Time.PTPTimescale = false },
	} {
		state, reason := "unconfirmed", "its port is not configured"
		if name == "arbitrary" {
			state, reason = "warming up", "arbitrary"
		}
		for servers, text := range map[string]string{"no servers": onePort, "silent servers": onePort + threeServers} {
			t.Run(name+", "+servers, func(t *testing.T) {
				s := newSite(t, text, 120*second, unconfigured)
				defer s.story()
				prepare(s)
				s.cutNTP(true)
				s.world.Run(120 * second)
				s.unstepped(0, 120)
				s.follows(119, status.Unsynchronised, "")
				s.requirePTP(state, reason)
				for _, c := range s.snapshot().Clocks {
					if c.Frequency != 0 {
						t.Errorf("%s is steered by %v ppb", c.Name, c.Frequency)
					}
				}
			})
		}
	}
}

// TestUnconfiguredConfirmed has three NTP servers agree with the grandmaster. It is followed, and given up again as soon as
// they are gone: what it says then moves no clock.
func TestUnconfiguredConfirmed(t *testing.T) {
	s := newSite(t, onePort+threeServers, 1200*second, unconfigured)
	defer s.story()
	s.world.Run(300 * second)
	s.follows(200, status.Locked, "ptp:eth0")
	s.within(clock.System, 200, 300, 300*time.Nanosecond)
	s.cutNTP(true)
	s.at(700*second, func() { s.master.Shift(time.Second) })
	s.world.Run(900 * second)
	s.follows(890, status.Holdover, "")
	s.requirePTP("unconfirmed", "0 do")
	s.within(clock.System, 300, 900, 500*time.Microsecond)
	s.unstepped(20, 900)
	if bound := s.snapshot().MaxError; bound > 20*time.Millisecond {
		t.Errorf("maximum error %v: it allows for what nobody confirms", bound)
	}
	if at, told := s.logged(300*second, "ptp:eth0 agrees"); told {
		t.Errorf("ptp:eth0 is said to agree with the host at %v", at)
	}
	s.cutNTP(false)
	s.world.Run(1200 * second)
	s.follows(1190, status.Locked, "ntp:")
	s.requirePTP("falseticker", "")
	s.within(clock.System, 900, 1200, time.Millisecond)
	s.unstepped(20, 1200)
}

// TestUnconfiguredLiar has a grandmaster that is wrong from the start, and would be followed at once if a file named it.
func TestUnconfiguredLiar(t *testing.T) {
	for _, lie := range []time.Duration{20 * time.Millisecond, -time.Second, 365 * 24 * time.Hour} {
		t.Run(lie.String(), func(t *testing.T) {
			s := newSite(t, onePort+threeServers, 200*second, unconfigured)
			defer s.story()
			s.master.Shift(lie)
			s.world.Run(200 * second)
			s.follows(199, status.Locked, "ntp:")
			s.requirePTP("falseticker", "does not overlap")
			s.within(clock.System, 60, 200, time.Millisecond)
		})
	}
}

// TestUnconfiguredUTCOffset has a grandmaster whose time agrees with UTC only by an offset that is wrong: what the
// leap-seconds list says is believed.
func TestUnconfiguredUTCOffset(t *testing.T) {
	s := newSite(t, onePort+threeServers, 100*second, unconfigured, listed(t, date(2027, 6, 28)))
	defer s.story()
	s.master.Shift(3 * time.Second)
	s.master.Properties().Time.UTCOffset += 3
	s.world.Run(100 * second)
	s.follows(99, status.Locked, "ntp:")
	if got := s.snapshot().UTC; got.Seconds != 37 || !strings.Contains(got.Origin, "list") {
		t.Errorf("TAI−UTC is %d s by %s", got.Seconds, got.Origin)
	}
	s.within(phc0, 60, 100, time.Millisecond)
}

// TestUnconfiguredIsNoWatch has the only configured source jump: it is followed as if it were alone, since what no file
// names may not contradict it.
func TestUnconfiguredIsNoWatch(t *testing.T) {
	s := newSite(t, onePort+"prefer = false\n[[ntp.server]]\naddress = \"192.0.2.1\"\nprefer = true\n", 400*second,
		unconfigured)
	defer s.story()
	s.at(200*second, func() { s.servers[0].Shift(2 * time.Second) })
	s.world.Run(400 * second)
	jumped, _ := s.logged(200*second, "ntp:192.0.2.1 has jumped")
	if at, ok := s.logged(200*second, "ntp:192.0.2.1 is followed to its new time"); !ok || at > jumped+35*second {
		t.Errorf("it has jumped at %v, and is followed at %v (%v)", jumped, at, ok)
	}
}

// TestUnconfiguredUTCOffsetIsNotSaved has nothing but an unconfigured port tell what TAI − UTC is: it is not believed at the
// next start.
func TestUnconfiguredUTCOffsetIsNotSaved(t *testing.T) {
	for _, named := range []bool{false, true} {
		var options []option
		if !named {
			options = append(options, unconfigured)
		}
		s := newSite(t, onePort+threeServers, 60*second, options...)
		s.world.Run(60 * second)
		s.host.Tell(func(e *host.Host, now clock.Mono) {
			saved, _ := e.Save(now)
			if (saved.UTCOffset == 37) != named {
				t.Errorf("named %v: %d s are saved", named, saved.UTCOffset)
			}
		})
	}
}

// TestUnconfiguredLeapSecond has the only server announce a leap second: an unconfigured port that knows of none has no
// vote.
func TestUnconfiguredLeapSecond(t *testing.T) {
	for _, named := range []bool{false, true} {
		options := []option{endOfJune, unlisted}
		if !named {
			options = append(options, unconfigured)
		}
		s := newSite(t, onePort+"[[ntp.server]]\naddress = \"192.0.2.1\"\n", 200*second, options...)
		s.servers[0].Answers().Leap = wire.LeapInsert
		s.world.Run(200 * second)
		if got := s.snapshot().UTC.Leap; (got == clock.LeapInsert) == named {
			t.Errorf("named %v: leap second %d is armed", named, got)
		}
		s.follows(199, status.Locked, "ptp:eth0")
	}
}

// TestUnconfiguredWide has an unconfigured grandmaster far away, whose ways there and back differ by as much: its interval
// has something in common with anybody's, and is no agreement.
func TestUnconfiguredWide(t *testing.T) {
	s := newSite(t, onePort+threeServers, 300*second, unconfigured)
	defer s.story()
	s.ptp.Extend(int64(800*time.Millisecond), 0)
	s.world.Run(300 * second)
	s.follows(299, status.Locked, "ntp:")
	s.requirePTP("falseticker", "does not overlap")
	s.within(clock.System, 60, 300, time.Millisecond)
}

// TestUnconfiguredWithin has an unconfigured grandmaster that is wrong by less than the servers can tell: it is confirmed,
// and the maximum error covers what they leave open.
func TestUnconfiguredWithin(t *testing.T) {
	s := newSite(t, onePort+threeServers, 300*second, unconfigured)
	defer s.story()
	s.master.Shift(80 * time.Microsecond)
	s.world.Run(300 * second)
	s.follows(299, status.Locked, "ptp:eth0")
	s.covered(30, 300)
}
