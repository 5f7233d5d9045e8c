// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/facebook/time/leaphash"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ntp/ntptest"
	"github.com/lockstep-time/lockstep/ntp/wire"
	"github.com/lockstep-time/lockstep/sim"
	"github.com/lockstep-time/lockstep/status"
)

const utc37 = "[utc]\noffset = 37\n"

// endOfJune and midJune are five minutes before the end of a day.
var (
	endOfJune = start(time.Date(2026, 6, 30, 23, 55, 0, 0, time.UTC))
	midJune   = start(time.Date(2026, 6, 10, 23, 55, 0, 0, time.UTC))
)

// midnight is when that is, in seconds.
const midnight = 300

// unlisted has the host do without a leap-seconds list, listed gives it one that expires on that day, with leap seconds at
// the beginning of these.
func unlisted(*sim.HostConfig, *time.Time) {}

func listed(t *testing.T, expires time.Time, leaps ...time.Time) option {
	t.Helper()
	ntp := func(at time.Time) int64 { return at.Unix() + 2_208_988_800 } // s since 1900
	text := fmt.Sprintf("#$ %d\n#@ %d\n%d 37\n", ntp(expires)-1e7, ntp(expires), ntp(date(2017, 1, 1)))
	for i, l := range leaps {
		text += fmt.Sprintf("%d %d\n", ntp(l), 38+i)
	}
	list, err := clock.ParseLeapSeconds("list", []byte(text+"#h "+leaphash.Compute(text)+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return func(c *sim.HostConfig, _ *time.Time) { c.Leaps = list }
}

func date(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// TestLeapSecond goes through the end of a day with one second more or less. The grandmaster announces the new offset
// some seconds late, as they do.
func TestLeapSecond(t *testing.T) {
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
			s := newSite(t, c.text, 600*second, endOfJune)
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
			s.covered(30, 600)
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
		server.Answers().Leap = map[clock.Leap]wire.Leap{clock.NoLeap: wire.LeapNone, clock.LeapInsert: wire.LeapInsert,
			clock.LeapDelete: wire.LeapDelete}[l]
	}
}

// TestFalseLeapSecond announces one that does not come, by too few of those who know or on the wrong day: no clock moves.
func TestFalseLeapSecond(t *testing.T) {
	leader := func(s *site) { s.answersOf(string(s.snapshot().Selected)).Leap = wire.LeapInsert }
	all := func(s *site) { s.announceLeap(clock.LeapInsert) }
	for _, c := range []struct {
		name, text string
		day        option
		announce   func(s *site)
		list       option
		doubt      string
		most       time.Duration
	}{
		{"leading server, 10 June", utc37 + threeServers, midJune, leader, unlisted,
			"announced by 1 of 3 sources, but today is not the last day of a month", 300 * time.Microsecond},
		{"all, 10 June", onePort + threeServers, midJune, all, unlisted,
			"announced by 4 of 4 sources, but today is not the last day of a month", time.Microsecond},
		{"leading server, 30 June", utc37 + threeServers, endOfJune, leader, unlisted,
			"announced by 1 of 3 sources, which is no majority", 300 * time.Microsecond},
		{"grandmaster and one server, 30 June", onePort + threeServers, endOfJune, func(s *site) {
			s.master.Properties().Time.Leap61 = true
			s.servers[0].Answers().Leap = wire.LeapInsert
		}, unlisted, "announced by 2 of 4 sources, which is no majority", time.Microsecond},
		{"all against the list, 30 June", onePort + threeServers, endOfJune, all, listed(t, date(2026, 12, 28)),
			"announced by 4 of 4 sources, but the leap-seconds list has it otherwise", time.Microsecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, c.text, 600*second, c.day, c.list)
			defer s.story()
			s.world.Run(100 * second)
			c.announce(s)
			s.world.Run(290 * second)
			if got := s.snapshot().UTC; got.Leap != clock.NoLeap || !strings.Contains(got.LeapDoubt, c.doubt) {
				t.Errorf("armed: %d; %q", got.Leap, got.LeapDoubt)
			}
			if _, why, _ := strings.Cut(c.doubt, "sources"); !s.told("a leap second is announced by", why) {
				t.Errorf("%q was not told", why)
			}
			s.world.Run(600 * second)
			s.within(clock.System, 60, 600, c.most)
			s.covered(60, 600)
			s.unstepped(60, 600)
		})
	}
}

// answersOf returns how a server of the site answers.
func (s *site) answersOf(id string) *ntptest.Server {
	s.Helper()
	for _, server := range s.servers {
		if id == "ntp:"+server.Address().String() {
			return server.Answers()
		}
	}
	s.Fatalf("there is no server %s", id)
	return nil
}

// TestLeapSecondByMajority has it announced by three of four, at the end of a month that leap seconds are rare in.
func TestLeapSecondByMajority(t *testing.T) {
	s := newSite(t, onePort+threeServers, 600*second, start(time.Date(2026, 9, 30, 23, 55, 0, 0, time.UTC)))
	defer s.story()
	s.world.InsertLeap(clock.LeapInsert)
	s.announceLeap(clock.LeapInsert)
	s.servers[1].Answers().Leap = wire.LeapNone
	s.at((midnight+3)*second, func() {
		s.announceLeap(clock.NoLeap)
		s.master.Properties().Time.UTCOffset++
	})
	s.world.Run(600 * second)
	if _, told := s.logged(0, "armed for the end of the UTC day: announced by 3 of 4 sources"); !told {
		t.Error("it was not armed")
	}
	if at, told := s.logged(midnight*second, "is confirmed by"); !told || at > (midnight+90)*second {
		t.Errorf("confirmed at %v (%v)", at, told)
	}
	if b := s.host.Samples(clock.System)[midnight+2].MaxError; b < second {
		t.Errorf("maximum error %v before it is confirmed", b)
	}
	if b := s.host.Samples(clock.System)[500].MaxError; b > time.Millisecond {
		t.Errorf("maximum error %v long after", b)
	}
	if b := s.host.Samples(phc0)[midnight+2].MaxError; b > time.Millisecond {
		t.Errorf("maximum error %v of the PHC, which knows no leap seconds", b)
	}
	s.within(clock.System, midnight+2, 600, time.Microsecond)
	s.covered(30, 600)
	s.unstepped(20, 600)
}

// TestLeapSecondByTheList has the list know of one that nobody announces: it needs no confirmation.
func TestLeapSecondByTheList(t *testing.T) {
	s := newSite(t, onePort+threeServers, 600*second, endOfJune, listed(t, date(2026, 12, 28), date(2026, 7, 1)))
	defer s.story()
	s.world.InsertLeap(clock.LeapInsert)
	s.at((midnight+3)*second, func() { s.master.Properties().Time.UTCOffset++ })
	s.world.Run(600 * second)
	if got := s.snapshot().UTC; got.Seconds != 38 {
		t.Errorf("UTC offset %+v", got)
	}
	if b := s.host.Samples(clock.System)[midnight+2].MaxError; b > time.Millisecond {
		t.Errorf("maximum error %v", b)
	}
	s.within(clock.System, midnight+2, 600, time.Microsecond)
	s.covered(30, 600)
}

// TestExpiredList has a list that ends before the day does: the sources decide.
func TestExpiredList(t *testing.T) {
	s := newSite(t, onePort+threeServers, 200*second, endOfJune, listed(t, date(2026, 6, 28)))
	defer s.story()
	s.announceLeap(clock.LeapInsert)
	s.world.Run(200 * second)
	if got := s.snapshot().UTC; got.Leap != clock.LeapInsert || got.LeapDoubt != "" {
		t.Errorf("UTC offset %+v", got)
	}
}

// TestLeapSecondThatWasNone has all sources announce a leap second at the end of a month that none of them has. The
// maximum error allows for that, and TAI − UTC is as it was.
func TestLeapSecondThatWasNone(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"PTP", onePort}, {"PTP and NTP", onePort + threeServers}, {"NTP", utc37 + threeServers},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, "[steering]\nstep = \"always\"\n"+c.text, 900*second, endOfJune)
			defer s.story()
			s.announceLeap(clock.LeapInsert)
			s.at((midnight+1)*second, func() { s.announceLeap(clock.NoLeap) })
			s.world.Run(900 * second)
			s.covered(30, 900)
			if _, told := s.logged(midnight*second, "the sources have had no leap second"); !told {
				t.Error("it was not told")
			}
			if got := s.snapshot().UTC; got.Seconds != 37 {
				t.Errorf("UTC offset %+v", got)
			}
			s.within(clock.System, 880, 900, 300*time.Microsecond)
			s.within(phc0, 30, 900, 300*time.Microsecond)
			if b := s.host.Samples(clock.System)[900].MaxError; b > 10*time.Millisecond {
				t.Errorf("maximum error %v in the end", b)
			}
		})
	}
}

// TestArmedBefore kills the daemon after it has armed the kernel. The next one takes the leap second over: without any
// source it comes to pass and is reckoned with, and where nobody announces it any more it is disarmed.
func TestArmedBefore(t *testing.T) {
	for _, c := range []struct {
		name      string
		announced bool // after the restart
		cut       bool
		seconds   int
	}{{"still announced", true, false, 38}, {"no source", true, true, 38}, {"not announced", false, false, 37}} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, onePort+threeServers, 600*second, endOfJune)
			defer s.story()
			s.announceLeap(clock.LeapInsert)
			s.at(200*second, s.host.Kill)
			s.at(202*second, func() {
				if !c.announced {
					s.announceLeap(clock.NoLeap)
				}
				s.cutAll(c.cut)
				s.host.Start()
			})
			if c.announced {
				s.world.InsertLeap(clock.LeapInsert)
			}
			s.at((midnight+3)*second, func() {
				s.announceLeap(clock.NoLeap)
				if c.announced {
					s.master.Properties().Time.UTCOffset++
				}
				s.cutAll(false)
			})
			s.world.Run(203 * second)
			if got := s.snapshot().UTC.Leap; got != clock.LeapInsert {
				t.Errorf("armed after the restart: %d", got)
			}
			s.world.Run(600 * second)
			s.within(clock.System, 400, 600, time.Microsecond)
			if got := s.snapshot().UTC; got.Seconds != c.seconds || got.Leap != clock.NoLeap {
				t.Errorf("UTC offset %+v", got)
			}
			if _, off := s.logged(202*second, "is not armed any more"); off == c.announced {
				t.Errorf("disarmed: %v", off)
			}
		})
	}
}

// TestSetWhileArmed has somebody set the clock while a leap second is armed, whereupon the kernel forgets when that was to
// be: it is armed anew.
func TestSetWhileArmed(t *testing.T) {
	s := newSite(t, onePort+threeServers, 600*second, endOfJune)
	defer s.story()
	s.world.InsertLeap(clock.LeapInsert)
	s.announceLeap(clock.LeapInsert)
	s.at(200*second, func() { s.host.Clock(clock.System).Step(s.world.Now(), 5*time.Millisecond) })
	s.at((midnight+3)*second, func() {
		s.announceLeap(clock.NoLeap)
		s.master.Properties().Time.UTCOffset++
	})
	s.world.Run(600 * second)
	s.within(clock.System, midnight+2, 600, time.Microsecond)
	s.covered(210, 600)
}

// told reports whether the host has told of something that begins and ends like that.
func (s *site) told(begin, end string) bool {
	for _, e := range s.host.Log() {
		if strings.HasPrefix(e.Text, begin) && strings.HasSuffix(e.Text, end) {
			return true
		}
	}
	return false
}

// TestExpiredListYields has a grandmaster announce the offset after a leap second that an expired list does not know, and
// fall silent.
func TestExpiredListYields(t *testing.T) {
	s := newSite(t, onePort, 400*second, listed(t, date(2026, 1, 1)))
	defer s.story()
	s.master.Properties().Time.UTCOffset = 38
	s.at(200*second, func() { s.ptp.Cut(true) })
	s.world.Run(400 * second)
	if utc := s.snapshot().UTC; utc.Seconds != 38 {
		t.Errorf("%+v in holdover, and 38 s had been announced", utc)
	}
	s.follows(399, status.Holdover, "")
}

// TestListedLeapInHoldover has somebody set the clock while no source can be asked: the kernel forgets what was armed then.
func TestListedLeapInHoldover(t *testing.T) {
	s := newSite(t, onePort, 400*second, endOfJune, listed(t, date(2026, 12, 28), date(2026, 7, 1)))
	defer s.story()
	s.world.InsertLeap(clock.LeapInsert)
	s.at(150*second, func() { s.ptp.Cut(true) })
	s.at(200*second, func() { s.host.Clock(clock.System).Step(s.world.Now(), 60*time.Millisecond) })
	s.world.Run(400 * second)
	s.within(clock.System, midnight+5, 400, 100*time.Millisecond)
	s.coveredBy(clock.System, midnight+5, 400)
}
