// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/ntp"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/status"
)

func arbitrary(p *ptp.TimeProperties) {
	p.PTPTimescale, p.UTCOffset, p.UTCOffsetValid = false, 0, false
}
func invalid(p *ptp.TimeProperties)  { p.UTCOffset, p.UTCOffsetValid = 0, false }
func outdated(p *ptp.TimeProperties) { p.UTCOffset, p.UTCOffsetValid = 36, false }

// TestUTCOffset is about grandmasters whose time cannot be related to UTC by what they announce.
func TestUTCOffset(t *testing.T) {
	const configured = "[utc]\noffset = 37\n"
	for _, c := range []struct {
		name, text string
		announce   func(*ptp.TimeProperties)
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
		{"offset valid", onePort, func(*ptp.TimeProperties) {}, "ptp:", "source ptp:eth0", true},
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

// TestPHCOnly is a host whose system clock is not to be steered: its state is that of the PHC, for which UTC does not matter.
func TestPHCOnly(t *testing.T) {
	s := newSite(t, onePort, 120*second)
	defer s.story()
	invalid(&s.master.Properties().Time)
	s.tell(second+time.Millisecond, func(e *engine.Engine, now clock.Mono) {
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

// TestLeapSecond goes through the end of a day with one second more or less. The grandmaster announces the new offset
// some seconds late, as they do.
func TestLeapSecond(t *testing.T) {
	const midnight = 300
	for _, c := range []struct {
		name, text string
		leap       clock.Leap
		most       time.Duration
	}{
		{"inserted, PTP", onePort, clock.LeapInsert, time.Microsecond},
		{"deleted, PTP", onePort, clock.LeapDelete, time.Microsecond},
		{"inserted, PTP and NTP", onePort + threeServers, clock.LeapInsert, time.Microsecond},
		{"deleted, PTP and NTP", onePort + threeServers, clock.LeapDelete, time.Microsecond},
		{"inserted, NTP", "[utc]\noffset = 37\n" + threeServers, clock.LeapInsert, 300 * time.Microsecond},
		{"deleted, NTP", "[utc]\noffset = 37\n" + threeServers, clock.LeapDelete, 300 * time.Microsecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, c.text, 600*second, start(time.Date(2026, 6, 30, 23, 55, 0, 0, time.UTC)))
			defer s.story()
			s.world.InsertLeap(c.leap)
			s.announceLeap(c.leap)
			s.at((midnight+3)*second, func() {
				s.announceLeap(clock.NoLeap)
				s.master.Properties().Time.UTCOffset += int16(c.leap)
			})
			s.world.Run(200 * second)
			if got := s.snapshot().UTC.Leap; got != c.leap {
				t.Errorf("armed leap second %d, want %d", got, c.leap)
			}
			s.world.Run(600 * second)
			s.within(clock.System, 30, midnight-2, c.most)
			s.within(clock.System, midnight+2, 600, c.most)
			s.within(phc0, 30, 600, c.most)
			s.unstepped(20, 600)
			if got := s.snapshot().UTC; got.Seconds != 37+int(c.leap) || got.Leap != clock.NoLeap {
				t.Errorf("afterwards: %+v", got)
			}
		})
	}
}

func (s *site) announceLeap(l clock.Leap) {
	p := &s.master.Properties().Time
	p.Leap61, p.Leap59 = l == clock.LeapInsert, l == clock.LeapDelete
	for _, server := range s.servers {
		server.Answers().Leap = map[clock.Leap]ntp.Leap{clock.NoLeap: ntp.LeapNone, clock.LeapInsert: ntp.LeapInsert,
			clock.LeapDelete: ntp.LeapDelete}[l]
	}
}
