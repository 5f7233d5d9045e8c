// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/host"
	"github.com/lockstep-time/lockstep/status"
)

// denied is a site whose only server denies its service from 200 to 300 s.
func denied(t *testing.T, code string, end time.Duration) *site {
	s := newSite(t, oneServer, end)
	s.at(200*second, func() { s.servers[0].Answers().Kiss = code })
	s.at(300*second, func() { s.servers[0].Answers().Kiss = "" })
	return s
}

// TestDeniedForAWhile asks the server again when an hour has passed, and says when that will be.
func TestDeniedForAWhile(t *testing.T) {
	for _, code := range []string{"DENY", "RSTR"} {
		s := denied(t, code, 4500*second)
		s.world.Run(400 * second)
		s.follows(399, status.Holdover, "")
		got := s.source("ntp:192.0.2.1")
		want := regexp.MustCompile(`^it denies its service \(` + code + `\), and is asked again in (5[6-9]|1h[0-3])m[0-9]+s$`)
		if got.State != "unreachable" || !want.MatchString(got.Reason) {
			t.Errorf("%s: it is %s: %s", code, got.State, got.Reason)
		}
		asked := s.servers[0].Answers().Requests
		s.world.Run(3700 * second)
		if n := s.servers[0].Answers().Requests; n != asked {
			t.Errorf("%s: it was asked %d times within the hour", code, n-asked)
		}
		s.world.Run(4499 * second)
		s.follows(4498, status.Locked, "ntp:192.0.2.1")
		s.story()
	}
}

// TestBeginAnew asks a server that has denied its service as soon as somebody wants that, or the network changes.
func TestBeginAnew(t *testing.T) {
	for name, begin := range map[string]func(*host.Host, clock.Mono){
		"the same configuration": (*host.Host).ForgetKisses, "the network": (*host.Host).NetworkChanged} {
		for _, code := range []string{"DENY", "RSTR", "RATE"} {
			t.Run(name+" "+code, func(t *testing.T) {
				s := denied(t, code, 460*second)
				defer s.story()
				s.tell(400*second, begin)
				s.world.Run(399 * second)
				if got := s.source("ntp:192.0.2.1"); got.Kiss != code {
					t.Errorf("kiss %q: %s", got.Kiss, got.Reason)
				}
				s.world.Run(459 * second)
				s.follows(458, status.Locked, "ntp:192.0.2.1")
				if got := s.source("ntp:192.0.2.1"); got.Kiss != "" || got.Interval > 16*second || got.Reach&0x0f != 0x0f {
					t.Errorf("kiss %q, interval %v, reach %#x", got.Kiss, got.Interval, got.Reach)
				}
			})
		}
	}
}

// TestForgedKisses has a kiss come in answer to every request beside the true answer, before it half of the time. It is
// followed all the same, and that somebody forges kisses is told once an hour.
func TestForgedKisses(t *testing.T) {
	s := newSite(t, "[[ntp.server]]\naddress = \"198.51.100.1\"\nmin_poll = \"4s\"\nmax_poll = \"4s\"\n", 7400*second)
	defer s.story()
	path := delay(t, "(+ 1e-4 (* 1e-4 (exponential)))")
	path.Duplicate = 1 // of each two requests that are the same the second is answered RATE
	addr := netip.MustParseAddr("198.51.100.1")
	server := s.world.NewServer("busy", addr)
	s.host.Route(server, path, path)
	server.Answers().MinInterval, server.Answers().Poll = second, 17
	s.world.Run(7400 * second)
	for at := 60; at < 7400; at += 20 {
		s.follows(at, status.Locked, "ntp:198.51.100.1")
	}
	if got := s.source("ntp:198.51.100.1"); got.Interval != 4*second || got.Kiss != "" || got.Reach != 0xff {
		t.Errorf("interval %v, kiss %q, reach %#x", got.Interval, got.Kiss, got.Reach)
	}
	told := 0
	for _, e := range s.host.Log() {
		if strings.Contains(e.Text, "kiss-o'-death RATE is ignored") {
			told++
		}
		if strings.Contains(e.Text, "of no use") {
			t.Errorf("%v: %s", e.Time, e.Text)
		}
	}
	if told != 3 {
		t.Errorf("told %d times in a little more than two hours, want 3", told)
	}
}
