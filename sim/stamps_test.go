// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/sim"
	"github.com/lockstep-time/lockstep/source"
)

// stamping is a host with a grandmaster a microsecond away, whose PHC is made by change.
func stamping(t *testing.T, change func(*sim.PHCConfig)) (*sim.World, *sim.Host) {
	t.Helper()
	w := newWorld(1)
	p := sim.PHCConfig{Interfaces: []string{"eth0"}, ClockConfig: sim.ClockConfig{MaxFrequency: 1e9}}
	change(&p)
	h := w.NewHost("client", sim.HostConfig{Config: config(t, port), System: sim.ClockConfig{MaxFrequency: 500_000},
		PHCs: []sim.PHCConfig{p}})
	h.Connect(0, w.NewMaster("gm", ptptest.Config{}), fixed(t, "1e-6"), fixed(t, "1e-6"))
	w.At(0, func(int64) { h.Start() })
	w.Record(60 * time.Second)
	return w, h
}

// TestStamps: without transmit timestamps the path delay stays unknown; late ones, and a part of them, are enough.
func TestStamps(t *testing.T) {
	for _, c := range []struct {
		name   string
		delay  string
		loss   float64
		source source.ID
	}{{"late", "0.1", 0, "ptp:eth0"}, {"some are lost", "2e-5", 0.5, "ptp:eth0"}, {"all are lost", "2e-5", 1, ""}} {
		w, h := stamping(t, func(p *sim.PHCConfig) { p.StampDelay, p.StampLoss = program(t, c.delay), c.loss })
		w.Run(60 * time.Second)
		if got := h.States()[60].Source; got != c.source {
			t.Errorf("%s: following %q, want %q", c.name, got, c.source)
		}
	}
}

// TestLegs: what lies between the PHC and the readings of the system clock before and after it makes half of the
// difference an error of the system clock.
func TestLegs(t *testing.T) {
	for _, c := range []struct {
		before, after string
		want          float64
	}{{"5e-7", "5e-7", 0}, {"5e-7", "1.5e-6", 500}, {"1e-6", "0", -500}} {
		w, h := stamping(t, func(p *sim.PHCConfig) {
			p.Crossing.Before, p.Crossing.After = program(t, c.before), program(t, c.after)
		})
		w.Run(60 * time.Second)
		if got := h.Samples(clock.System)[60].Error; math.Abs(got+c.want) > 20 {
			t.Errorf("%s before, %s after: the system clock is off by %g ns, want %g", c.before, c.after, got, -c.want)
		}
	}
}

// TestClocksOfPeers: a host follows the clocks that its sources have of their own, steps included.
func TestClocksOfPeers(t *testing.T) {
	own := sim.ClockConfig{Offset: 3 * time.Millisecond, Oscillator: sim.Oscillator{Expression: program(t, "1e-6")}}
	for _, text := range []string{port, ntpServers} {
		w := newWorld(1)
		h := w.NewHost("client", sim.HostConfig{Config: config(t, text), System: sim.ClockConfig{MaxFrequency: 500_000}})
		if strings.Contains(text, "ptp") {
			m := w.NewMaster("gm", ptptest.Config{})
			m.Keep(own)
			h.Connect(0, m, fixed(t, "1e-6"), fixed(t, "1e-6"))
		} else {
			for _, a := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
				s := w.NewServer(a, netip.MustParseAddr(a))
				s.Keep(own)
				h.Route(s, fixed(t, "1e-6"), fixed(t, "1e-6"))
			}
		}
		w.At(0, func(int64) { h.Start() })
		w.Record(200 * time.Second)
		w.Run(200 * time.Second)
		got := h.Samples(clock.System)[200]
		if want := 3e6 + 200e3; math.Abs(got.Error-want) > 200 || math.Abs(got.Frequency-1000) > 20 {
			t.Errorf("the system clock is off by %g ns and %g ppb, want %g and 1000", got.Error, got.Frequency, want)
		}
	}
}
