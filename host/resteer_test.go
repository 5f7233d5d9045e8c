// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/host"
	"github.com/lockstep-time/lockstep/status"
)

// resteer takes a configuration with other steering at that time, as the daemon does.
func resteer(t *testing.T, s *site, at time.Duration, steering string, phc bool) (done *bool) {
	t.Helper()
	done = new(bool)
	cfg := hostConfig(t, "[steering]\n"+steering+onePort+threeServers)
	s.at(at, func() {
		s.host.Reload(cfg)
		s.host.Tell(func(e *host.Host, now clock.Mono) {
			system, nic := s.host.ClockInfo(clock.System), s.host.ClockInfo(phc0)
			nic.Steer = phc
			*done = e.Resteer(now, []engine.ClockInfo{system, nic})
		})
	})
	return done
}

// TestResteer changes how the clocks are steered while they are locked: nothing is stepped, the bound holds all the time,
// and the new servo takes over what the old one has learned.
func TestResteer(t *testing.T) {
	for _, c := range []struct {
		name, steering string
		servo          string
		phc            bool
		most           time.Duration
	}{
		// while NTP leads, until the port has found its master again, pi follows each of its samples
		{"servo", "servo = \"pi\"\n", "pi", true, 20 * time.Microsecond},
		{"PHC left alone", "phc = false\n", "adaptive", false, time.Microsecond},
		{"nothing", "", "adaptive", true, time.Microsecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, onePort+threeServers, 400*second)
			defer s.story()
			done := resteer(t, s, 200*second+300*time.Millisecond, c.steering, c.phc)
			s.world.Run(400 * second)
			if !*done {
				t.Fatal("it was not done")
			}
			s.follows(215, status.Locked, "ptp:eth0")
			s.within(clock.System, 20, 400, c.most)
			s.within(clock.System, 300, 400, time.Microsecond)
			s.unstepped(20, 400)
			s.covered(20, 400)
			for _, k := range s.snapshot().Clocks {
				want := c.servo
				if k.Name == "ptp0" && !c.phc {
					want = ""
				}
				if k.Servo != want {
					t.Errorf("%s is steered by %q, want %q", k.Name, k.Servo, want)
				}
			}
			if c.phc {
				s.within(phc0, 20, 400, c.most)
			}
		})
	}
}

// TestResteerWaits asks for it while the system clock, which was locked, is on its way back: taken for a new one it would
// be stepped.
func TestResteerWaits(t *testing.T) {
	s := newSite(t, onePort+threeServers, 300*second)
	defer s.story()
	s.at(200*second, func() { s.host.Clock(clock.System).Step(s.world.Now(), 20*time.Millisecond) })
	early := resteer(t, s, 206*second, "servo = \"pi\"\n", true)
	late := resteer(t, s, 280*second, "servo = \"pi\"\n", true)
	s.world.Run(300 * second)
	if *early || !*late {
		t.Errorf("done while away: %v, when back: %v", *early, *late)
	}
	s.unstepped(201, 300)
}

// TestResteerBeforeAnythingIsKnown is a reload right after the start.
func TestResteerBeforeAnythingIsKnown(t *testing.T) {
	s := newSite(t, onePort+threeServers, 100*second)
	defer s.story()
	done := resteer(t, s, second, "servo = \"pi\"\n", true)
	s.world.Run(100 * second)
	if !*done {
		t.Fatal("it was not done")
	}
	s.follows(60, status.Locked, "ptp:eth0")
}
