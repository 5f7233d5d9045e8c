// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/host"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/ptp/wire"
	"github.com/lockstep-time/lockstep/sim"
	"github.com/lockstep-time/lockstep/sim/expr"
	"github.com/lockstep-time/lockstep/status"
)

const (
	onePort = `
[[ptp.port]]
interface = "eth0"
`
	threeServers = `
[[ntp.server]]
address = "192.0.2.1"
[[ntp.server]]
address = "192.0.2.2"
[[ntp.server]]
address = "192.0.2.3"
`
	second = time.Second
)

var phc0 = clock.PHC(0)

// site is a host with one NIC that has a clock, a grandmaster, and NTP servers, in virtual time.
type site struct {
	*testing.T
	world   *sim.World
	host    *sim.Host
	master  *sim.Master
	servers []*sim.Server
	ptp     *sim.Link
	ntp     []*sim.Link
}

// option changes what a site is made of.
type option func(*sim.HostConfig, *time.Time)

func start(at time.Time) option { return func(_ *sim.HostConfig, t *time.Time) { *t = at } }

func offsets(system, phc time.Duration) option {
	return func(c *sim.HostConfig, _ *time.Time) { c.System.Offset, c.PHCs[0].Offset = system, phc }
}

// grandmaster is the identity of the site's.
func grandmaster() wire.PortIdentity {
	return wire.PortIdentity{Clock: wire.ClockIdentityFromMAC([6]byte{2, 0, 0, 0, 0, 77}), Port: 1}
}

func hostConfig(t testing.TB, text string) *configs.Config {
	t.Helper()
	c, err := configs.Parse("test.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func delay(t testing.TB, text string) sim.PathConfig {
	t.Helper()
	p, err := expr.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return sim.PathConfig{Delay: p}
}

// newSite makes a site whose host starts at 1 s, and has everything recorded until end.
func newSite(t *testing.T, text string, end time.Duration, options ...option) *site {
	t.Helper()
	begin := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	c := sim.HostConfig{Config: hostConfig(t, text),
		System: sim.ClockConfig{Oscillator: sim.Oscillator{Frequency: -30000, Wander: 1}, Offset: 80 * time.Millisecond,
			MaxFrequency: 500000},
		PHCs: []sim.PHCConfig{{Interfaces: []string{"eth0"}, ClockConfig: sim.ClockConfig{
			Oscillator: sim.Oscillator{Frequency: 20000, Wander: 1}, Offset: -time.Minute, MaxFrequency: 999999999}}}}
	for _, o := range options {
		o(&c, &begin)
	}
	w := sim.NewWorld(1, begin, sim.DefaultUTCOffset)
	s := &site{T: t, world: w, master: w.NewMaster("gm", ptptest.Config{Identity: grandmaster()}), host: w.NewHost("client", c)}
	near, far := delay(t, "(+ 1e-7 (* 1e-7 (exponential)))"), delay(t, "(+ 1e-4 (* 1e-4 (exponential)))")
	if len(c.Config.PTP.Ports) > 0 {
		s.ptp = s.host.Connect(0, s.master, near, near)
	}
	for _, a := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		server := w.NewServer(a, netip.MustParseAddr(a))
		s.servers = append(s.servers, server)
		s.ntp = append(s.ntp, s.host.Route(server, far, far))
	}
	w.Record(end)
	s.at(second, s.host.Start)
	return s
}

// at has something happen at a true time.
func (s *site) at(t time.Duration, do func()) { s.world.At(t, func(int64) { do() }) }

func (s *site) tell(t time.Duration, do func(e *host.Host, now clock.Mono)) {
	s.at(t, func() { s.host.Tell(do) })
}

// snapshot returns the status as it is now.
func (s *site) snapshot() *status.Snapshot {
	var shot *status.Snapshot
	s.host.Tell(func(e *host.Host, now clock.Mono) {
		shot = e.Snapshot(now, time.Unix(0, s.world.UTC(int64(s.world.Now()))).UTC(), nil)
	})
	return shot
}

// source returns the status of one source.
func (s *site) source(id string) status.Source {
	s.Helper()
	for _, x := range s.snapshot().Sources {
		if string(x.ID) == id {
			return x
		}
	}
	s.Fatalf("there is no source %s", id)
	return status.Source{}
}

// follows checks whom the host follows and how its time is kept, in a second of true time.
func (s *site) follows(second int, state status.State, source string) {
	s.Helper()
	got := s.host.States()[second]
	if got.State != state || !strings.HasPrefix(string(got.Source), source) || source == "" && got.Source != "" {
		s.Errorf("at %d s: %s, following %q; want %s, following %q", second, got.State, got.Source, state, source)
	}
}

// within checks that the clock is no more than most off true time, from one second to another.
func (s *site) within(id clock.ID, from, to int, most time.Duration) {
	s.Helper()
	if worst := s.worst(id, from, to); worst > most {
		s.Errorf("%v is up to %v off from %d to %d s, want %v", id, worst, from, to, most)
	}
}

func (s *site) worst(id clock.ID, from, to int) (worst time.Duration) {
	for _, p := range s.host.Samples(id)[from : to+1] {
		worst = max(worst, time.Duration(math.Abs(p.Error)))
	}
	return worst
}

// covered checks that the stated maximum error has been more than the true one.
func (s *site) covered(from, to int) {
	s.Helper()
	for _, id := range s.host.Clocks() {
		s.coveredBy(id, from, to)
	}
}

// coveredBy checks the same for one clock.
func (s *site) coveredBy(id clock.ID, from, to int) {
	s.Helper()
	for i, p := range s.host.Samples(id)[from : to+1] {
		if !p.Bounded || math.Abs(p.Error) > float64(p.MaxError) {
			s.Errorf("%v at %d s: off by %.0f ns, stated at most %v (%v)", id, from+i, p.Error, p.MaxError, p.Bounded)
			break
		}
	}
}

// unstepped checks that no clock was stepped from one second to another.
func (s *site) unstepped(from, to int) {
	s.Helper()
	if n := s.host.States()[to].Steps - s.host.States()[from].Steps; n != 0 {
		s.Errorf("%d steps from %d to %d s", n, from, to)
	}
}

// logged returns when the host first told of something that contains text, from a time on.
func (s *site) logged(from time.Duration, text string) (time.Duration, bool) {
	for _, e := range s.host.Log() {
		if e.Time >= from && strings.Contains(e.Text, text) {
			return e.Time, true
		}
	}
	return 0, false
}

// story shows what the host told of, should the test fail.
func (s *site) story() {
	if s.Failed() {
		for _, e := range s.host.Log() {
			s.Log(e.Time, e.Text)
		}
	}
}
