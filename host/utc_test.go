// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/host"
	"github.com/lockstep-time/lockstep/ptp/wire"
	"github.com/lockstep-time/lockstep/status"
)

func arbitrary(p *wire.TimeProperties) {
	p.PTPTimescale, p.UTCOffset, p.UTCOffsetValid = false, 0, false
}
func invalid(p *wire.TimeProperties)  { p.UTCOffset, p.UTCOffsetValid = 0, false }
func outdated(p *wire.TimeProperties) { p.UTCOffset, p.UTCOffsetValid = 36, false }

// TestUTCOffset is about grandmasters whose time cannot be related to UTC by what they announce.
func TestUTCOffset(t *testing.T) {
	const configured = "[utc]\noffset = 37\n"
	for _, c := range []struct {
		name, text string
		announce   func(*wire.TimeProperties)
		source     string // that is followed
		origin     string
		steered    bool // the system clock is
	}{
		{"arbitrary timescale and NTP", onePort + threeServers, arbitrary, "ntp:", "unknown", true},
		{"arbitrary timescale alone", onePort, arbitrary, "ptp:", "unknown", false},
		{"arbitrary timescale, offset configured", configured + onePort, arbitrary, "ptp:", "configuration", false},
		{"offset invalid and NTP", onePort + threeServers, invalid, "ntp:", "unknown", true},
		{"offset invalid", onePort, invalid, "ptp:", "unknown", false},
		{"wrong offset invalid", onePort, outdated, "ptp:", "unknown", false},
		{"offset invalid, configured", configured + onePort, invalid, "ptp:", "configuration", true},
		{"offset invalid, configured, and NTP", configured + onePort + threeServers, outdated, "ptp:", "configuration", true},
		{"offset valid", onePort, func(*wire.TimeProperties) {}, "ptp:", "source ptp:eth0", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, c.text, 120*second)
			defer s.story()
			c.announce(&s.master.Properties().Time)
			s.world.Run(120 * second)
			state := status.Locked
			if !c.steered {
				state = status.Unsynchronised
			}
			s.follows(60, state, c.source)
			if got := s.snapshot().UTC; got.Origin != c.origin || got.Known != (c.origin != "unknown") {
				t.Errorf("UTC offset %+v, want origin %q", got, c.origin)
			}
			if c.steered {
				s.within(clock.System, 20, 120, 300*time.Microsecond)
				return
			}
			for i, p := range s.host.Samples(clock.System) { // as it was: 80 ms ahead and 30 ppm slow
				if want := 80e6 - 30e3*float64(i); math.Abs(p.Error-want) > 1e5 {
					t.Fatalf("the system clock is %.0f ns off at %d s, it was to be left alone at %.0f", p.Error, i, want)
				}
			}
			if got := s.snapshot(); got.MaxError != 0 || !strings.Contains(got.Reason, "only the PHC is steered") {
				t.Errorf("maximum error %v, known to nobody; reason: %s", got.MaxError, got.Reason)
			}
			s.within(phc0, 20, 120, time.Microsecond)
		})
	}
}

// TestPHCOnly is a host whose system clock is not to be steered: its state is that of the PHC, for which UTC does not
// matter.
func TestPHCOnly(t *testing.T) {
	s := newSite(t, onePort, 120*second)
	defer s.story()
	invalid(&s.master.Properties().Time)
	s.tell(second+time.Millisecond, func(e *host.Host, now clock.Mono) {
		c := s.host.ClockInfo(clock.System)
		c.Steer = false
		e.AddClock(now, c)
	})
	s.world.Run(120 * second)
	s.follows(60, status.Locked, "ptp:eth0")
	if got := s.snapshot(); got.MaxError == 0 || got.MaxError > time.Microsecond {
		t.Errorf("maximum error %v", got.MaxError)
	}
	s.coveredBy(phc0, 20, 119)
}

// TestUTCOffsetSurvivesARestart takes the offset from what the daemon of before has saved.
func TestUTCOffsetSurvivesARestart(t *testing.T) {
	s := newSite(t, onePort, 300*second)
	defer s.story()
	s.at(100*second, s.host.Kill)
	s.at(101*second, func() {
		invalid(&s.master.Properties().Time)
		s.host.Start()
	})
	s.world.Run(300 * second)
	if got := s.snapshot().UTC; got.Seconds != 37 || got.Origin != "state file" {
		t.Errorf("UTC offset %+v", got)
	}
	s.within(clock.System, 20, 300, 2*time.Microsecond)
	s.unstepped(20, 300)
}

// TestWrongUTCOffset has the grandmaster announce another offset while it is followed: no clock moves by a second as
// long as NTP agrees with what was.
func TestWrongUTCOffset(t *testing.T) {
	s := newSite(t, onePort+threeServers, 300*second)
	defer s.story()
	s.at(100*second, func() { s.master.Properties().Time.UTCOffset = 0 })
	s.world.Run(300 * second)
	s.within(clock.System, 20, 300, time.Microsecond)
	s.unstepped(20, 300)
	if got := s.snapshot().UTC; got.Seconds != 37 {
		t.Errorf("UTC offset %+v", got)
	}
}

// TestHardwareStampedNTP has NTP timestamped by a NIC, whose clock runs on TAI, while nobody knows TAI − UTC: the system
// clock is synchronised all the same, and nothing is disturbed when it becomes known.
func TestHardwareStampedNTP(t *testing.T) {
	bound := strings.ReplaceAll(threeServers, "address", "interface = \"eth0\"\nmin_poll = \"4s\"\nmax_poll = \"8s\"\naddress")
	for _, c := range []struct{ name, text string }{{"NTP", bound}, {"NTP, offset configured", utc37 + bound},
		{"NTP and PTP", bound + onePort}} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, c.text, 400*second)
			defer s.story()
			p := &s.master.Properties().Time
			invalid(p)
			s.at(200*second, func() { p.UTCOffset, p.UTCOffsetValid = 37, true })
			s.world.Run(199 * second)
			s.follows(20, status.Locked, "ntp:")
			if got := s.source("ntp:192.0.2.1"); got.Timestamps != "hardware" {
				t.Errorf("%s timestamps", got.Timestamps)
			}
			s.world.Run(400 * second)
			s.within(clock.System, 20, 199, 300*time.Microsecond)
			s.within(clock.System, 200, 400, s.worst(clock.System, 180, 199)+50*time.Microsecond)
			s.coveredBy(clock.System, 20, 400)
			s.unstepped(20, 199)
			if at, ok := s.logged(20*second, "system stepped"); ok {
				t.Errorf("the system clock was stepped at %v", at)
			}
			if c.name == "NTP and PTP" {
				s.follows(230, status.Locked, "ptp:")
				s.within(clock.System, 300, 400, time.Microsecond)
				s.within(phc0, 300, 400, time.Microsecond)
			}
		})
	}
}
