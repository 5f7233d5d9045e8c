// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"math"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/sim"
)

func lonely(t *testing.T, w *sim.World, name string, c sim.ClockConfig) *sim.Clock {
	t.Helper()
	return w.NewHost(name, sim.HostConfig{Config: configs.Default(), System: c}).Clock(clock.System)
}

func newWorld(seed uint64) *sim.World {
	return sim.NewWorld(seed, time.Date(2026, 6, 30, 23, 0, 0, 0, time.UTC), sim.DefaultUTCOffset)
}

func TestOscillator(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name    string
		cfg     sim.ClockConfig
		at      time.Duration
		ns, ppb float64
	}{
		{"offset", sim.ClockConfig{Offset: -time.Second}, time.Hour, -1e9, 0},
		{"frequency", sim.ClockConfig{Oscillator: sim.Oscillator{Frequency: 100}}, 1500 * time.Millisecond, 150, 100},
		{"expression", sim.ClockConfig{Oscillator: sim.Oscillator{Expression: program(t, "1e-6")}}, 10 * time.Second, 1e4, 1000},
		{"aging", sim.ClockConfig{Oscillator: sim.Oscillator{Aging: 10}}, day, 10 * (86400 - 1) / 2.0, 10},
		{"temperature", sim.ClockConfig{Oscillator: sim.Oscillator{Temperature: 50, TemperaturePeriod: time.Hour}},
			15 * time.Minute, 50 * 3600 / (2 * math.Pi), 50},
	} {
		ns, ppb := lonely(t, newWorld(1), c.name, c.cfg).Error(c.at)
		if math.Abs(ns-c.ns) > 1e-3*math.Abs(c.ns)+1e-3 || math.Abs(ppb-c.ppb) > 0.1 {
			t.Errorf("%s: %g ns and %g ppb after %v, want %g and %g", c.name, ns, ppb, c.at, c.ns, c.ppb)
		}
	}
}

// TestWander compares the random walk with what it should be after t seconds: w·√(t³/3) and w·√t.
func TestWander(t *testing.T) {
	const n, seconds, wander = 400, 1000, 2.0
	var offset, frequency float64
	for seed := range uint64(n) {
		c := lonely(t, newWorld(seed), "c", sim.ClockConfig{Oscillator: sim.Oscillator{Wander: wander}})
		ns, ppb := c.Error(seconds * time.Second)
		offset += ns * ns / n
		frequency += ppb * ppb / n
	}
	wantOffset, wantFrequency := wander*math.Sqrt(seconds*seconds*seconds/3), wander*math.Sqrt(seconds)
	if got := math.Sqrt(offset); math.Abs(got/wantOffset-1) > 0.1 {
		t.Errorf("offset %g ns, want %g", got, wantOffset)
	}
	if got := math.Sqrt(frequency); math.Abs(got/wantFrequency-1) > 0.1 {
		t.Errorf("frequency %g ppb, want %g", got, wantFrequency)
	}
}

// TestReadOftenOrSeldom: how often a clock is read does not change its course.
func TestReadOftenOrSeldom(t *testing.T) {
	cfg := sim.ClockConfig{Oscillator: sim.Oscillator{Frequency: 12345, Wander: 10}}
	often, seldom := lonely(t, newWorld(1), "c", cfg), lonely(t, newWorld(1), "c", cfg)
	for at := time.Duration(0); at <= 100*time.Second; at += 10 * time.Millisecond {
		often.Error(at)
	}
	a, _ := often.Error(100 * time.Second)
	b, _ := seldom.Error(100 * time.Second)
	if math.Abs(a-b) > 1e-3 {
		t.Errorf("%g and %g ns", a, b)
	}
}

// TestObjectsAreIndependent: what else there is in a world does not change the course of a clock.
func TestObjectsAreIndependent(t *testing.T) {
	cfg := sim.ClockConfig{Oscillator: sim.Oscillator{Wander: 10}}
	alone := newWorld(3)
	a, _ := lonely(t, alone, "b", cfg).Error(100 * time.Second)
	together := newWorld(3)
	other := lonely(t, together, "a", cfg)
	b := lonely(t, together, "b", cfg)
	x, _ := other.Error(100 * time.Second)
	y, _ := b.Error(100 * time.Second)
	if a != y || a == x {
		t.Errorf("alone %g ns, together %g ns, the other one %g ns", a, y, x)
	}
}

func TestUTC(t *testing.T) {
	const hour = int64(time.Hour)
	for _, c := range []struct {
		leap clock.Leap
		// UTC − TAI in seconds a little before the leap and after it
		at, before, after int64
	}{{clock.NoLeap, hour, -37, -37}, {clock.LeapInsert, hour, -37, -38},
		{clock.LeapDelete, hour - int64(time.Second), -37, -36}} {
		w := newWorld(1)
		if c.leap != clock.NoLeap {
			w.InsertLeap(c.leap)
		}
		before, after := w.UTC(c.at-1)-w.TAI(c.at-1), w.UTC(c.at)-w.TAI(c.at)
		if before != c.before*1e9 || after != c.after*1e9 {
			t.Errorf("leap %d: UTC − TAI is %d, then %d", c.leap, before, after)
		}
	}
}

func TestSteadyStateAllocations(t *testing.T) {
	s := newSite(t, 1, port)
	s.world.Run(300 * time.Second)
	end := 300 * time.Second
	perSecond := testing.AllocsPerRun(200, func() {
		end += time.Second
		s.world.Run(end)
	})
	if perSecond > 8 {
		t.Errorf("%g allocations per simulated second", perSecond)
	}
}

// TestUpdate: the random walk of an oscillator does not depend on how often its frequency changes, and the course does.
func TestUpdate(t *testing.T) {
	cfg := sim.ClockConfig{Oscillator: sim.Oscillator{Expression: program(t, "(sum 1e-9)"), Update: 125 * time.Millisecond}}
	if _, ppb := lonely(t, newWorld(1), "c", cfg).Error(999 * time.Millisecond); math.Abs(ppb-8) > 1e-6 {
		t.Errorf("%g ppb in the eighth update, want 8", ppb)
	}
	const n, seconds = 400, 100
	sum := 0.0
	for seed := range uint64(n) {
		cfg := sim.ClockConfig{Oscillator: sim.Oscillator{Wander: 2, Update: 125 * time.Millisecond}}
		_, ppb := lonely(t, newWorld(seed), "c", cfg).Error(seconds * time.Second)
		sum += ppb * ppb / n
	}
	if want := 2 * math.Sqrt(seconds); math.Abs(math.Sqrt(sum)/want-1) > 0.1 {
		t.Errorf("%g ppb after %d s, want %g", math.Sqrt(sum), seconds, want)
	}
}
