// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/status"
)

const oneServer = `
[[ntp.server]]
address = "192.0.2.1"
min_poll = "1s"
max_poll = "16s"
`

// TestDenied has the only server deny its service, or ask to be left alone for 36 hours: it is not a source any more.
func TestDenied(t *testing.T) {
	for code, reason := range map[string]string{"DENY": "(DENY)", "RSTR": "(RSTR)", "RATE": "no answer"} {
		t.Run(code, func(t *testing.T) {
			s := newSite(t, oneServer, 500*second)
			defer s.story()
			s.at(200*second, func() { s.servers[0].Answers().Kiss, s.servers[0].Answers().Poll = code, 17 })
			s.world.Run(500 * second)
			s.follows(199, status.Locked, "ntp:192.0.2.1")
			s.follows(400, status.Holdover, "")
			got := s.source("ntp:192.0.2.1")
			if got.State != "unreachable" || !strings.Contains(got.Reason, reason) || got.Kiss != code {
				t.Errorf("it is %s: %s; kiss %q", got.State, got.Reason, got.Kiss)
			}
		})
	}
}

// TestDeniedByTheLeader has another server take over.
func TestDeniedByTheLeader(t *testing.T) {
	s := newSite(t, twoServers, 400*second)
	defer s.story()
	s.servers[1].Answers().RootDispersion = 5 * time.Millisecond
	s.at(200*second, func() { s.servers[0].Answers().Kiss = "DENY" })
	s.world.Run(400 * second)
	s.follows(199, status.Locked, "ntp:192.0.2.1")
	s.follows(220, status.Locked, "ntp:192.0.2.2")
	s.within(clock.System, 60, 400, 200*time.Microsecond)
}

// TestPoolReplaces has servers of a pool lie, and deny their service: others of the pool take their places. A server that
// is named by its address stays.
func TestPoolReplaces(t *testing.T) {
	s := newSite(t, oneServer+"[[ntp.pool]]\nname = \"pool.example\"\ncount = 3\nmin_poll = \"16s\"\n", 2000*second)
	defer s.story()
	path := delay(t, "1e-3")
	bad := map[string]bool{}
	for i := range 5 {
		address := fmt.Sprintf("198.51.100.%d", i+1)
		server := s.world.NewServer(address, netip.MustParseAddr(address), "pool.example")
		s.host.Route(server, path, path)
		s.at(100*second, func() { // two of those that are in use
			for _, x := range s.snapshot().Sources {
				switch {
				case x.Address != address+":123" || len(bad) == 2:
				case len(bad) == 0:
					bad[x.Address] = true
					server.Shift(time.Second)
				default:
					bad[x.Address] = true
					server.Answers().Kiss = "DENY"
				}
			}
		})
	}
	s.at(1000*second, func() { s.servers[0].Shift(time.Second) })
	s.world.Run(2000 * second)
	if len(bad) != 2 {
		t.Fatalf("%d servers were in use", len(bad))
	}
	for _, x := range s.snapshot().Sources {
		if bad[x.Address] {
			t.Errorf("%s still has %s: %s, %s", x.ID, x.Address, x.State, x.Reason)
		}
		if want := "falseticker"; x.ID == "ntp:192.0.2.1" && (x.State != want || x.Address != "192.0.2.1:123") {
			t.Errorf("%s is %s, want %s", x.ID, x.State, want)
		}
	}
	if _, told := s.logged(100*second, "outvoted for"); !told {
		t.Error("nobody said why")
	}
}

// TestNoMajority has a grandmaster and a server disagree from the start. Nobody is followed, unless the configuration
// says who is right.
func TestNoMajority(t *testing.T) {
	for _, c := range []struct{ option, source string }{{"", ""}, {"prefer = true\n", "ntp:"}, {"trust = true\n", "ntp:"}} {
		t.Run(c.option, func(t *testing.T) {
			s := newSite(t, onePort+oneServer+c.option, 200*second)
			defer s.story()
			s.servers[0].Shift(time.Second)
			s.world.Run(200 * second)
			state := status.Locked
			if c.source == "" {
				state = status.Unsynchronised
				if got := s.snapshot(); got.Reason != "no source is followed: no majority: 1 of 2 sources agree" {
					t.Errorf("reason: %s", got.Reason)
				}
			}
			s.follows(100, state, c.source)
			s.follows(199, state, c.source)
		})
	}
}

// TestIslandNeedsEnoughSources leaves a PHC alone where more sources have to agree than there are.
func TestIslandNeedsEnoughSources(t *testing.T) {
	s := newSite(t, "[selection]\nmin_sources = 2\n"+onePort+oneServer, 60*second)
	defer s.story()
	s.ntp[0].Cut(true)
	arbitrary(&s.master.Properties().Time)
	s.world.Run(60 * second)
	s.follows(59, status.Unsynchronised, "")
	if s.host.States()[59].Steps != 0 {
		t.Error("the PHC was stepped")
	}
}

// TestSuspicionWidensTheBound has everything that is heard jump at once. Until it is followed, nobody knows who is right,
// and the maximum error says so.
func TestSuspicionWidensTheBound(t *testing.T) {
	for _, c := range []struct {
		name, text string
		jump       time.Duration
	}{
		{"grandmaster", onePort, 100 * time.Microsecond},
		{"grandmaster, far", onePort, 100 * time.Millisecond},
		{"servers", threeServers, 50 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, c.text, 700*second)
			defer s.story()
			s.at(400*second, func() {
				s.master.Shift(c.jump)
				for _, server := range s.servers {
					server.Shift(c.jump)
				}
			})
			s.world.Run(700 * second)
			at, suspect := s.logged(400*second, "jumped by")
			_, accepted := s.logged(400*second, "is followed to its new time")
			if !suspect || !accepted {
				t.Fatalf("suspected: %v; accepted: %v", suspect, accepted)
			}
			before := s.host.Samples(clock.System)[399].MaxError
			for i, p := range s.host.Samples(clock.System)[at/second+2 : 700] {
				if p.MaxError < c.jump {
					t.Fatalf("%d s after the suspicion the maximum error is %v; before the jump it was %v", i+2, p.MaxError, before)
				}
			}
			s.coveredBy(clock.System, 60, 699)
			if before > c.jump {
				t.Errorf("before the jump the maximum error was %v", before)
			}
		})
	}
}
