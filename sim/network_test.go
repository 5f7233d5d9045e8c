// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/host"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/sim"
	"github.com/lockstep-time/lockstep/status"
)

// still is a host without errors of its own but an offset of its PHC, so that what remains comes from the network.
func still(t *testing.T, w *sim.World, name string) *sim.Host {
	t.Helper()
	h := w.NewHost(name, sim.HostConfig{Config: config(t, port), System: sim.ClockConfig{MaxFrequency: 500_000},
		PHCs: []sim.PHCConfig{{Interfaces: []string{"eth0"},
			ClockConfig: sim.ClockConfig{Offset: time.Millisecond, MaxFrequency: 1e9}}}})
	w.At(0, func(int64) { h.Start() })
	return h
}

func fixed(t *testing.T, text string) sim.PathConfig { return sim.PathConfig{Delay: program(t, text)} }

// phcError returns the largest error of the first PHC from one second to another.
func phcError(h *sim.Host, from, to int) float64 {
	_, most := rms(h.Samples(clock.PHC(0)), from, to)
	return most
}

// TestSwitch has an asymmetric switch on the way: without a correction half the asymmetry remains, with one almost nothing,
// whatever kind of master and transparent clock meet.
func TestSwitch(t *testing.T) {
	const seconds = 60
	for _, c := range []struct {
		name           string
		kind           sim.Transparency
		clock          sim.ClockConfig
		oneStep        bool
		least, largest float64
	}{
		{"opaque", sim.Opaque, sim.ClockConfig{}, false, 5_100, 5_300},
		{"opaque, one-step master", sim.Opaque, sim.ClockConfig{}, true, 5_100, 5_300},
		{"one-step", sim.OneStep, sim.ClockConfig{}, false, 0, 5},
		{"one-step, one-step master", sim.OneStep, sim.ClockConfig{}, true, 0, 5},
		{"two-step", sim.TwoStep, sim.ClockConfig{}, false, 0, 5},
		{"two-step, one-step master", sim.TwoStep, sim.ClockConfig{}, true, 0, 5},
		// 1 % of 100.4 µs there and of 90 µs back: half of the difference remains.
		{"with a wrong rate", sim.OneStep, sim.ClockConfig{Oscillator: sim.Oscillator{Frequency: 1e7}}, false, 40, 60},
		{"with coarse timestamps", sim.TwoStep, sim.ClockConfig{Resolution: time.Microsecond}, false, 6, 1000},
	} {
		w := newWorld(1)
		h := still(t, w, "client")
		s := w.NewSwitch("sw", sim.SwitchConfig{There: program(t, "1.004e-4"), Back: program(t, "9e-5"), Transparency: c.kind,
			Clock: c.clock})
		m := w.NewMaster("gm", ptptest.Config{OneStep: c.oneStep})
		h.Connect(0, m, fixed(t, "1e-6"), fixed(t, "1e-6"), s)
		w.Record(seconds * time.Second)
		w.Run(seconds * time.Second)
		if got := phcError(h, 30, seconds); got < c.least || got > c.largest || h.States()[seconds-1].State != status.Locked {
			t.Errorf("%s: the PHC is %.0f ns off, want %.0f to %.0f; %s",
				c.name, got, c.least, c.largest, h.States()[seconds-1].State)
		}
	}
}

// TestSwitchesInARow: each corrects for itself, in both directions, and their queues keep the order of packets.
func TestSwitchesInARow(t *testing.T) {
	const seconds = 60
	w := newWorld(1)
	h := still(t, w, "client")
	var through []*sim.Switch
	for i, kind := range []sim.Transparency{sim.OneStep, sim.TwoStep, sim.TwoStep, sim.OneStep} {
		through = append(through, w.NewSwitch("sw"+string(rune('0'+i)),
			sim.SwitchConfig{There: program(t, "(* 1e-4 (exponential))"),
				Back: program(t, "(* 1e-5 (exponential))"), Transparency: kind}))
	}
	h.Connect(0, w.NewMaster("gm", ptptest.Config{}), fixed(t, "1e-6"), fixed(t, "1e-6"), through...)
	w.Record(seconds * time.Second)
	w.Run(seconds * time.Second)
	if got := phcError(h, 30, seconds); got > 10 {
		t.Errorf("the PHC is %.0f ns off", got)
	}
}

// TestCorrectedPath has the path write its delay into event messages.
func TestCorrectedPath(t *testing.T) {
	const seconds = 60
	w := newWorld(1)
	h := still(t, w, "client")
	way := sim.PathConfig{Delay: program(t, "(* 1e-4 (exponential))"), Correction: program(t, "delay")}
	h.Connect(0, w.NewMaster("gm", ptptest.Config{}), way, way)
	w.Record(seconds * time.Second)
	w.Run(seconds * time.Second)
	if got := phcError(h, 30, seconds); got > 10 {
		t.Errorf("the PHC is %.0f ns off", got)
	}
}

// TestFullQueue: a switch whose residence time is negative loses what comes.
func TestFullQueue(t *testing.T) {
	const seconds = 40
	w := newWorld(1)
	h := still(t, w, "client")
	s := w.NewSwitch("sw", sim.SwitchConfig{There: program(t, "(+ 1e-6 (* -1 (equal 0 (max time 20) time)))"),
		Back: program(t, "1e-6")})
	h.Connect(0, w.NewMaster("gm", ptptest.Config{}), fixed(t, "1e-6"), fixed(t, "1e-6"), s)
	w.Record(seconds * time.Second)
	w.Run(seconds * time.Second)
	if a, b := h.States()[15].State, h.States()[seconds-1].State; a != status.Locked || b != status.Holdover {
		t.Errorf("%s before, %s after", a, b)
	}
}

// TestHub has two hosts and two masters hear each other. What the others say disturbs nobody, each path has the delay of
// both ports, and cutting the better master's has both hosts follow the other one.
func TestHub(t *testing.T) {
	const seconds = 90
	w := newWorld(1)
	a, b := still(t, w, "a"), still(t, w, "b")
	good, spare := w.NewMaster("good", ptptest.Config{}), w.NewMaster("spare", ptptest.Config{})
	spare.Properties().Priority1 = 200
	hub := w.NewHub("segment")
	wire := good.Attach(hub, fixed(t, "1e-6"), fixed(t, "1e-6"))
	spare.Attach(hub, fixed(t, "2e-6"), fixed(t, "2e-6"))
	a.Attach(0, hub, fixed(t, "1e-6"), fixed(t, "1e-6"))
	b.Attach(0, hub, fixed(t, "3e-6"), fixed(t, "1e-6")) // asymmetric by 2 µs
	w.Record(seconds * time.Second)
	w.At(45*time.Second, func(int64) { wire.Cut(true) })
	w.Run(seconds * time.Second)
	for _, window := range [][2]int{{30, 45}, {70, seconds}} {
		if got := phcError(a, window[0], window[1]); got > 20 {
			t.Errorf("host a is %.0f ns off in %v", got, window)
		}
		if got := phcError(b, window[0], window[1]); math.Abs(got-1000) > 30 {
			t.Errorf("host b is %.0f ns off in %v, want 1000", got, window)
		}
	}
	for _, h := range []*sim.Host{a, b} {
		heard := uint64(0)
		h.Tell(func(e *host.Host, now clock.Mono) {
			heard = e.Snapshot(now, time.Time{}, nil).Ports[0].Received["Delay_Req"]
		})
		if state := h.States()[seconds-1].State; state != status.Locked || heard < seconds/2 {
			t.Errorf("%s is %s and heard %d Delay_Req of the other one", h.Name(), state, heard)
		}
	}
}

// TestStepExpression sets a clock once a second by what an expression says.
func TestStepExpression(t *testing.T) {
	c := lonely(t, newWorld(1), "c",
		sim.ClockConfig{Oscillator: sim.Oscillator{Step: program(t, "(* 1e-3 (equal 0.1 (sum 1) 3))")}})
	if before, _ := c.Error(1999 * time.Millisecond); before != 0 {
		t.Errorf("%g ns before the third second", before)
	}
	if after, _ := c.Error(time.Minute); after != 1e6 {
		t.Errorf("%g ns after it, want 1e6", after)
	}
}

func TestLimitOfEvents(t *testing.T) {
	s := newSite(t, 1, port)
	s.world.Limit(1000)
	if s.world.Run(time.Hour) || s.world.Now() == time.Hour {
		t.Errorf("1000 events lasted until %v", s.world.Now())
	}
	s.world.Limit(0)
	if !s.world.Run(time.Hour) || s.world.Now() != time.Hour {
		t.Errorf("without a limit it ended at %v", s.world.Now())
	}
}

// TestHostileExpressions: values that no clock and no packet can have do no more than an extreme one would.
func TestHostileExpressions(t *testing.T) {
	for _, text := range []string{"1e308", "-1e308", "(* 1e308 1e308)", "(% 1 0)", "(* (normal) 1e300)"} {
		p := program(t, text)
		w := newWorld(1)
		h := w.NewHost("client", sim.HostConfig{Config: config(t, port+ntpServers),
			System: sim.ClockConfig{Oscillator: sim.Oscillator{Expression: p, Step: p}, MaxFrequency: 500_000, StampNoise: p},
			PHCs: []sim.PHCConfig{{Interfaces: []string{"eth0"},
				ClockConfig: sim.ClockConfig{Oscillator: sim.Oscillator{Expression: p},
					MaxFrequency: 1e9, StampNoise: p}, Crossing: sim.CrossingConfig{Window: p, Noise: p, ReadingNoise: p}}}})
		s := w.NewSwitch("sw", sim.SwitchConfig{There: p, Back: p, Transparency: sim.TwoStep,
			Clock: sim.ClockConfig{Oscillator: sim.Oscillator{Expression: p}, StampNoise: p}})
		way := sim.PathConfig{Delay: p, Correction: p}
		for _, through := range [][]*sim.Switch{nil, {s, s}} {
			h.Connect(0, w.NewMaster("gm"+string(rune('0'+len(through))), ptptest.Config{}), way, fixed(t, "1e-6"), through...)
		}
		for _, a := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
			h.Route(w.NewServer(a, netip.MustParseAddr(a)), way, fixed(t, "1e-6"), s)
		}
		w.At(0, func(int64) { h.Start() })
		w.Record(100 * time.Second)
		w.Run(100 * time.Second)
		for i, x := range h.Samples(clock.PHC(0)) {
			if math.IsNaN(x.Error) || math.IsInf(x.Error, 0) {
				t.Fatalf("%s: error %g at %d s", text, x.Error, i)
			}
		}
	}
}
