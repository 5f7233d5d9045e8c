// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/sim"
	"github.com/lockstep-time/lockstep/sim/expr"
	"github.com/lockstep-time/lockstep/status"
)

func program(t testing.TB, text string) *expr.Program {
	t.Helper()
	p, err := expr.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func config(t testing.TB, text string) *configs.Config {
	t.Helper()
	c, err := configs.Parse("test.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// site is a host with a PHC, a grandmaster, and three NTP servers.
type site struct {
	world  *sim.World
	host   *sim.Host
	master *sim.Master
	ptp    *sim.Link
}

const ntpServers = `
[[ntp.server]]
address = "192.0.2.1"
[[ntp.server]]
address = "192.0.2.2"
[[ntp.server]]
address = "192.0.2.3"
`

const port = `
[[ptp.port]]
interface = "eth0"
`

func newSite(t testing.TB, seed uint64, text string) *site {
	w := sim.NewWorld(seed, time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), sim.DefaultUTCOffset)
	oscillator := sim.Oscillator{Expression: program(t, "(+ 1e-4 (sum (* 1e-9 (normal))))")}
	cfg := sim.HostConfig{Config: config(t, text),
		System: sim.ClockConfig{Oscillator: oscillator, Offset: 100 * time.Millisecond, MaxFrequency: 500000},
		PHCs: []sim.PHCConfig{{Interfaces: []string{"eth0"},
			ClockConfig: sim.ClockConfig{Oscillator: oscillator, Offset: -time.Hour, MaxFrequency: 999999999}}}}
	s := &site{world: w, master: w.NewMaster("gm", ptptest.Config{}), host: w.NewHost("client", cfg)}
	way := sim.PathConfig{Delay: program(t, "(+ 1e-7 (* 1e-7 (exponential)))")}
	if len(cfg.Config.PTP.Ports) > 0 {
		s.ptp = s.host.Connect(0, s.master, way, way)
	}
	far := sim.PathConfig{Delay: program(t, "(+ 1e-4 (* 1e-4 (exponential)))")}
	for _, a := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		s.host.Route(w.NewServer(a, netip.MustParseAddr(a)), far, far)
	}
	w.At(9*time.Second, func(int64) { s.host.Start() })
	return s
}

// rms returns the root mean square and the largest of the errors of a clock, in ns, from one second to another.
func rms(samples []sim.Sample, from, to int) (rms, most float64) {
	for _, s := range samples[from:to] {
		rms += s.Error * s.Error
		most = max(most, math.Abs(s.Error))
	}
	return math.Sqrt(rms / float64(to-from)), most
}

func TestLockLossReturn(t *testing.T) {
	s := newSite(t, 1, port+ntpServers)
	s.world.Record(700 * time.Second)
	s.world.At(300*time.Second, func(int64) { s.ptp.Cut(true) })
	s.world.At(500*time.Second, func(int64) { s.ptp.Cut(false) })
	s.world.Run(700 * time.Second)
	for _, e := range s.host.Log() {
		t.Log(e.Time, e.Text)
	}
	states := s.host.States()
	for _, c := range []struct {
		second int
		state  status.State
		source string
	}{{60, status.Locked, "ptp:eth0"}, {299, status.Locked, "ptp:eth0"}, {310, status.Locked, "ntp:192.0.2."},
		{515, status.Locked, "ptp:eth0"}} {
		if got := states[c.second]; got.State != c.state || len(got.Source) < len(c.source) ||
			string(got.Source[:len(c.source)]) != c.source {
			t.Errorf("at %d s: %s, following %q; want %s, following %s…", c.second, got.State, got.Source, c.state, c.source)
		}
	}
	for _, id := range s.host.Clocks() {
		for _, c := range []struct {
			from, to int
			most     float64
		}{{40, 300, 1000}, {300, 360, 2000}, {360, 500, 50000}, {500, 515, 50000}, {520, 700, 1000}} {
			r, m := rms(s.host.Samples(id), c.from, c.to)
			t.Logf("%v from %d to %d s: rms %.0f ns, max %.0f ns", id, c.from, c.to, r, m)
			if m > c.most {
				t.Errorf("%v is up to %.0f ns off from %d to %d s, want %.0f", id, m, c.from, c.to, c.most)
			}
		}
	}
	if before, after := states[60].Steps, states[len(states)-1].Steps; before != after {
		t.Errorf("%d steps after the first lock", after-before)
	}
}

func TestSameSeedSameRun(t *testing.T) {
	run := func(seed uint64) []sim.Sample {
		s := newSite(t, seed, port+ntpServers)
		s.world.Record(60 * time.Second)
		s.world.Run(60 * time.Second)
		return s.host.Samples(clock.System)
	}
	a, b, other := run(7), run(7), run(8)
	same := 0
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("at %d s: %+v and %+v", i, a[i], b[i])
		}
		if i > 0 && a[i] == other[i] {
			same++
		}
	}
	if same > 0 {
		t.Errorf("another seed gives %d equal samples", same)
	}
}

func BenchmarkPTPAndThreeNTP(b *testing.B) {
	s := newSite(b, 1, port+ntpServers)
	s.world.Run(200 * time.Second)
	b.ReportAllocs()
	b.ResetTimer()
	s.world.Run(200*time.Second + time.Duration(b.N)*time.Second)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "simulated-s/s")
}
