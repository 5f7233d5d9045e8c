// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/phc"
	"github.com/lockstep-time/lockstep/phc/phctest"
)

// A clock that vanishes while it is listened to: one line, and the statistics of what came before.
func TestExtTSVanish(t *testing.T) {
	var b *bench
	n := 0
	b = newBench(t, phctest.Config{Caps: phc.Caps{ExtTS: 1}, Fault: func(c phctest.Call) error {
		if n > 3 {
			return unix.ENODEV
		}
		if c == phctest.CallEvents {
			n++
			b.now += 1e9
			b.clocks["/dev/ptp0"].Edge(0, phc.Rising)
		}
		return nil
	}})
	b.want(exitIO, clock.ErrGone.Error(), "extts", "ptp0", "0")
	if strings.Count(b.err.String(), "\n") != 1 ||
		!strings.Contains(b.out.String(), "4 events\n  edge 1: 4 events; interval mean") {
		t.Errorf("%s%s", b.out.String(), b.err.String())
	}
	for _, flag := range []string{"--count=-1", "--timeout=-1s", "--period=0s"} {
		b = newBench(t, phctest.Config{Caps: phc.Caps{ExtTS: 1}})
		b.want(exitUsage, flag[:strings.Index(flag, "=")], "extts", "ptp0", "0", flag)
	}
}

// A signal that is 3 ppm fast: intervals are short by 3 µs, and a missing pulse changes the mean interval but not the rate.
func TestExtTS(t *testing.T) {
	var b *bench
	pulses := 0
	b = newBench(t, phctest.Config{Caps: phc.Caps{ExtTS: 1, Pins: 1}, Fault: func(c phctest.Call) error {
		if c == phctest.CallEvents {
			pulses++
			b.now += 999_997_000
			if pulses == 4 {
				b.now += 999_997_000
			}
			b.clocks["/dev/ptp0"].Edge(0, phc.Rising)
		}
		return nil
	}})
	got := b.must("extts", "ptp0", "0", "--pin", "0", "--count", "6")
	last := got[len(got)-1]
	if len(got) != 7 || got[1]["interval_ns"] != 999_997_000.0 || len(last["edges"].([]any)) != 1 {
		t.Fatalf("%v", got)
	}
	edge := last["edges"].([]any)[0].(map[string]any)
	if edge["max_interval_ns"] != 1_999_994_000.0 || math.Abs(edge["rate_ppb"].(float64)+3000) > 1 {
		t.Errorf("%v", got)
	}
	b = newBench(t, phctest.Config{Caps: phc.Caps{ExtTS: 1}})
	b.want(exitUsage, "rising", "extts", "ptp0", "0", "--edge", "up")
	b = newBench(t, phctest.Config{Caps: phc.Caps{ExtTS: 1}})
	b.want(exitIO, "no event within 1ns", "extts", "ptp0", "0", "--timeout", "1ns")
	b = newBench(t, phctest.Config{})
	b.want(exitUnsupported, "no external timestamp channel", "extts", "ptp0", "0")
}

// series takes events of a period of 1 s and returns their statistics.
func series(events ...int64) *edges {
	s := newEdges(time.Second)
	for _, at := range events {
		s.add(epoch + at)
	}
	return s
}

func TestIntervals(t *testing.T) {
	s := series(0, 1e9+10, 2e9-10, 3e9)
	if e := s.Edges[0]; len(s.Edges) != 1 || e.Mean != 1e9 || e.Min != 1e9-20 || e.Max != 1e9+10 ||
		math.Abs(e.Deviation-math.Sqrt(300)) > 1e-3 || *e.Rate != 0 {
		t.Errorf("%+v", e)
	}
}

// Both edges of a pulse have statistics of their own, whatever the pulse's width and the edge that comes first.
func TestBothEdges(t *testing.T) {
	for _, width := range []int64{10e3, 900e3, 1e6, 100e6, 500e6, 900e6, 999_900_000} {
		for _, first := range []int64{0, 1} {
			s := newEdges(time.Second)
			for i := first; i < 40; i++ {
				s.add(epoch + (i/2)*1_000_002_000 + (i%2)*width)
			}
			if len(s.Edges) != 2 || s.Misfit {
				t.Errorf("width %d ns: %d edges, misfit %v", width, len(s.Edges), s.Misfit)
				continue
			}
			for _, e := range s.Edges {
				if e.Rate == nil || math.Abs(*e.Rate-2000) > 1 || e.Deviation > 1 || e.Events < 18 {
					t.Errorf("width %d ns, edge %d first: %+v", width, first, e)
				}
			}
		}
	}
}

// No rate is told of a signal of another period.
func TestOtherPeriod(t *testing.T) {
	s := series(0, 100e6, 200e6, 300e6, 400e6)
	if !s.Misfit || len(s.Edges) != 1 || s.Edges[0].Rate != nil || s.Edges[0].Mean != 100e6 || s.Edges[0].Events != 5 {
		t.Errorf("%+v", s.Edges[0])
	}
	var w strings.Builder
	if s.text(&w); !strings.Contains(w.String(), "no rate") || strings.Contains(w.String(), "ppb") {
		t.Error(w.String())
	}
	if s := series(0, 2e9, 3e9, 7e9); s.Misfit || *s.Edges[0].Rate != 0 {
		t.Errorf("missing pulses: %+v", s)
	}
}

// stamped returns a bench whose ptp0 has an edge of each channel, rising and falling, whenever it is listened to.
func stamped(t *testing.T, c phctest.Config) *bench {
	var b *bench
	fault := c.Fault
	c.Fault = func(call phctest.Call) error {
		if call == phctest.CallEvents {
			for channel := range c.Caps.ExtTS {
				b.now += 1e8
				b.clocks["/dev/ptp0"].Edge(channel, phc.Rising)
				b.now += 1e8
				b.clocks["/dev/ptp0"].Edge(channel, phc.Falling)
			}
		}
		if fault != nil {
			return fault(call)
		}
		return nil
	}
	b = newBench(t, c)
	return b
}

// The edges are those that were asked for where the driver knows them, and it is told where it does not promise that.
func TestExtTSEdges(t *testing.T) {
	for _, c := range []struct {
		edge, note string
		stamps     phc.Edge
		first      []float64 // after the epoch
	}{
		{"rising", "", 0, []float64{1e8, 3e8}}, {"falling", "", 0, []float64{2e8, 4e8}}, {"both", "", 0, []float64{1e8, 2e8}},
		{"rising", "rising edges only", phc.Both, []float64{1e8, 2e8}},
		{"falling", "falling edges only", phc.Rising, []float64{1e8, 3e8}},
		{"both", "both edges", phc.Rising, []float64{1e8, 3e8}}, {"both", "", phc.Both, []float64{1e8, 2e8}},
	} {
		b := stamped(t, phctest.Config{Caps: phc.Caps{ExtTS: 1}, Stamps: c.stamps})
		got := b.must("extts", "ptp0", "0", "--edge", c.edge, "--count", "2")
		for i, at := range c.first {
			if got[i]["at_ns"] != epoch+at {
				t.Errorf("%+v: event %d is of %v", c, i, got[i]["at_ns"])
			}
		}
		note := ""
		if c.note != "" {
			note = "phcctl: /dev/ptp0 (fake) does not promise to stamp " + c.note + "\n"
		}
		if b.err.String() != note {
			t.Errorf("%+v: %s", c, b.err.String())
		}
	}
}

// Other channels' events are not shown, whether the kernel can keep them away or not.
func TestExtTSOtherChannels(t *testing.T) {
	old := func(c phctest.Call) error {
		if c == phctest.CallMask {
			return unix.ENOTTY
		}
		return nil
	}
	for _, fault := range []func(phctest.Call) error{nil, old} {
		b := stamped(t, phctest.Config{Caps: phc.Caps{ExtTS: 2}, Fault: fault})
		b.clocks["/dev/ptp0"].RequestExtTS(0, phc.Both)
		got := b.must("extts", "ptp0", "1", "--count", "3")
		if len(got) != 4 || got[0]["channel"] != 1.0 || got[2]["channel"] != 1.0 || got[1]["interval_ns"] != 4e8 {
			t.Errorf("masks %v: %v", fault == nil, got)
		}
		if f := b.clocks["/dev/ptp0"]; f.Stamping(1) || !f.Stamping(0) {
			t.Error("the channel was left on, or another's switched off")
		}
	}
}

// An interrupt ends the listening: after an event that is a result, before the first it is none.
func TestExtTSInterrupted(t *testing.T) {
	for events, want := range map[int]int{2: exitOK, 0: exitInterrupted} {
		ctx, cancel := context.WithCancel(context.Background())
		var b *bench
		n := 0
		b = newBench(t, phctest.Config{Caps: phc.Caps{ExtTS: 1}, Fault: func(c phctest.Call) error {
			if c != phctest.CallEvents {
				return nil
			}
			if n == events {
				cancel()
				return nil
			}
			n++
			b.now += 1e9
			b.clocks["/dev/ptp0"].Edge(0, phc.Rising)
			return nil
		}})
		code := run(ctx, b.app, []string{"extts", "ptp0", "0"})
		if code != want || strings.Contains(b.out.String(), "events\n") != (want == exitOK) || b.clocks["/dev/ptp0"].Stamping(0) {
			t.Errorf("after %d events: status %d: %s%s", events, code, b.out.String(), b.err.String())
		}
	}
}

func TestExtTSOffsets(t *testing.T) {
	var b *bench
	b = newBench(t, phctest.Config{Caps: phc.Caps{ExtTS: 1}, Fault: func(c phctest.Call) error {
		if c == phctest.CallEvents {
			b.clocks["/dev/ptp0"].Measure(0, -25)
		}
		return nil
	}})
	got := b.must("extts", "ptp0", "0", "--offsets", "--count", "2")
	if len(got) != 3 || got[0]["offset_ns"] != -25.0 || got[0]["at_ns"] != nil || got[2]["events"] != 2.0 {
		t.Errorf("%v", got)
	}
}
