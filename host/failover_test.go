// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/status"
)

func TestLocksFromAnyOffset(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, c := range []struct {
		name        string
		system, phc time.Duration
	}{
		{"nearly right", time.Microsecond, -time.Microsecond},
		{"minutes off", 5 * time.Minute, -7 * time.Minute},
		{"years off", -40 * year, 30 * year},
		{"PHC at 1970", 80 * time.Millisecond, -56 * year},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, onePort+threeServers, 60*second, offsets(c.system, c.phc))
			defer s.story()
			s.world.Run(60 * second)
			s.follows(20, status.Locked, "ptp:eth0")
			for _, id := range s.host.Clocks() {
				s.within(id, 20, 60, time.Microsecond)
			}
			s.unstepped(20, 60)
			s.covered(20, 60)
		})
	}
}

func TestLocksByNTPAlone(t *testing.T) {
	s := newSite(t, "[utc]\noffset = 37\n"+threeServers, 200*second, offsets(-time.Hour, time.Hour))
	defer s.story()
	s.world.Run(200 * second)
	s.follows(20, status.Locked, "ntp:")
	s.within(clock.System, 20, 200, 300*time.Microsecond)
	s.within(phc0, 20, 200, 300*time.Microsecond)
	s.unstepped(20, 200)
	s.covered(20, 200)
}

// TestFailover cuts the wire to the grandmaster and restores it.
func TestFailover(t *testing.T) {
	s := newSite(t, onePort+threeServers, 700*second)
	defer s.story()
	s.at(300*second, func() { s.ptp.Cut(true) })
	s.at(500*second, func() { s.ptp.Cut(false) })
	s.world.Run(700 * second)
	s.follows(299, status.Locked, "ptp:eth0")
	s.follows(310, status.Locked, "ntp:")
	s.follows(499, status.Locked, "ntp:")
	s.follows(515, status.Locked, "ptp:eth0")
	for _, id := range s.host.Clocks() {
		s.within(id, 30, 300, 300*time.Nanosecond)
		s.within(id, 300, 360, 1500*time.Nanosecond)
		s.within(id, 360, 500, 20*time.Microsecond)
		s.within(id, 500, 530, s.worst(id, 480, 500)+5*time.Microsecond)
		s.within(id, 530, 700, 300*time.Nanosecond)
	}
	s.unstepped(20, 700)
	s.covered(20, 700)
}

// TestHoldover cuts everything.
func TestHoldover(t *testing.T) {
	s := newSite(t, onePort+threeServers, 900*second)
	defer s.story()
	s.at(300*second, func() { s.cutAll(true) })
	s.at(700*second, func() { s.cutAll(false) })
	s.world.Run(700 * second)
	if at, ok := s.logged(300*second, "holdover"); !ok || at > 370*second {
		t.Errorf("holdover was told of at %v (%v)", at, ok)
	}
	s.follows(690, status.Holdover, "")
	samples := s.host.Samples(clock.System)
	for i := 430; i < 700; i += 30 {
		if samples[i].MaxError <= samples[i-30].MaxError {
			t.Errorf("maximum error %v at %d s, %v half a minute before", samples[i].MaxError, i, samples[i-30].MaxError)
		}
	}
	s.world.Run(900 * second)
	s.follows(800, status.Locked, "ptp:eth0")
	s.unstepped(20, 900)
	s.covered(20, 900)
	s.within(clock.System, 730, 900, time.Microsecond)
}

func (s *site) cutAll(cut bool) {
	s.ptp.Cut(cut)
	for _, l := range s.ntp {
		l.Cut(cut)
	}
}

// TestHoldoverEnds has the maximum error, or the time without a source, pass its limit.
func TestHoldoverEnds(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"limit", "[holdover]\nlimit = \"5us\"\n"},
		{"age", "[holdover]\nmax_age = \"60s\"\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, c.text+onePort, 500*second)
			defer s.story()
			s.at(100*second, func() { s.cutAll(true) })
			s.world.Run(500 * second)
			s.follows(110, status.Holdover, "")
			s.follows(500, status.Unsynchronised, "")
			s.covered(20, 500)
		})
	}
}

// TestNobodyAnswers never has a source.
func TestNobodyAnswers(t *testing.T) {
	s := newSite(t, onePort+threeServers, 60*second)
	defer s.story()
	s.cutAll(true)
	s.world.Run(60 * second)
	s.follows(3, status.Starting, "")
	s.follows(60, status.Unsynchronised, "")
	s.unstepped(0, 60)
	for _, id := range []string{"ntp:192.0.2.1", "ptp:eth0"} {
		if got := s.source(id); got.State != "unreachable" || got.Reason == "" {
			t.Errorf("%s is %s: %s", id, got.State, got.Reason)
		}
	}
}

// TestGrace starts without a grandmaster: NTP is followed as soon as it is not worth waiting any more.
func TestGrace(t *testing.T) {
	s := newSite(t, onePort+threeServers, 60*second)
	defer s.story()
	s.ptp.Cut(true)
	s.at(30*second, func() { s.ptp.Cut(false) })
	s.world.Run(60 * second)
	at, ok := s.logged(0, "following ntp:")
	if !ok || at < 6*second || at > 9*second {
		t.Errorf("NTP is followed at %v (%v), want 6 s after the start", at, ok)
	}
	if at, ok := s.logged(30*second, "following ptp:"); !ok || at > 45*second {
		t.Errorf("PTP is followed at %v (%v)", at, ok)
	}
	if at, ok := s.logged(20*second, "system stepped"); ok {
		t.Errorf("the system clock was stepped at %v, after it was locked", at)
	}
}

// TestPlainPI steers by the constants that linuxptp publishes, and holds its integrator without a source.
func TestPlainPI(t *testing.T) {
	s := newSite(t, "[steering]\nservo = \"pi\"\n"+onePort, 200*second)
	defer s.story()
	s.at(150*second, func() { s.cutAll(true) })
	s.world.Run(200 * second)
	s.follows(60, status.Locked, "ptp:eth0")
	s.follows(200, status.Holdover, "")
	for _, id := range s.host.Clocks() {
		s.within(id, 60, 150, 2*time.Microsecond)
		s.within(id, 150, 200, 20*time.Microsecond)
	}
	s.covered(60, 200)
	s.unstepped(30, 200)
}

// TestPathsOfMastersAreTheirOwn fails over, after a while without any master, to one that is nearer, and whose way here is
// shared unevenly as long as a queue is full. What was known of the longer path says nothing of it.
func TestPathsOfMastersAreTheirOwn(t *testing.T) {
	s := newSite(t, onePort, 420*second)
	defer s.story()
	s.ptp.Extend(200_000, 200_000)
	id := grandmaster()
	id.Clock[7]++
	near := delay(t, "(+ 5e-7 (* 1e-8 (exponential)))")
	l := s.host.Connect(0, s.world.NewMaster("gm2", ptptest.Config{Identity: id}), near, near)
	l.Extend(40_000, 0)
	l.Cut(true)
	s.at(300*second, func() { s.ptp.Cut(true) })
	s.at(332*second, func() { l.Cut(false) })
	s.at(380*second, func() { l.Extend(0, 0) })
	s.world.Run(420 * second)
	s.follows(345, status.Locked, "ptp:eth0")
	s.covered(345, 419)
}
