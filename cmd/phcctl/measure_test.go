// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/phc"
)

func TestCompare(t *testing.T) {
	b := newBench(t, phc.FakeConfig{Frequency: 1000, Window: 100})
	got := b.must("cmp", "ptp0", "--count", "5", "--interval", "2s")
	if len(got) != 5 || got[4]["offset_ns"] != 8000.0 || math.Abs(got[4]["rate_ppb"].(float64)-1000) > 0.1 || got[0]["b"] != "system" {
		t.Errorf("%v", got)
	}
	b = newBench(t, phc.FakeConfig{Frequency: 1000, Window: 100})
	b.now += 5e9
	if got := b.must("cmp", "ptp0", "ptp1")[0]; got["offset_ns"] != 10000.0 || got["uncertainty_ns"] != 100.0 {
		t.Errorf("%v", got)
	}
	b = newBench(t, phc.FakeConfig{})
	b.want(exitUsage, "same clock", "cmp", "ptp0", "/dev/ptp0")
	b.want(exitUsage, "second", "cmp", "system", "ptp0")
	b.want(exitUsage, "1 to 25", "cmp", "ptp1", "--samples", "26")
}

// A clock that vanishes while it is watched ends that with one clear line, and what was collected is there.
func TestWatchVanish(t *testing.T) {
	n := 0
	b := newBench(t, phc.FakeConfig{Fault: func(c phc.Call) error {
		if n++; n > 3 {
			return unix.ENODEV
		}
		return nil
	}})
	dir := t.TempDir()
	csv, svg := filepath.Join(dir, "x.csv"), filepath.Join(dir, "x.svg")
	b.want(exitIO, clock.ErrGone.Error(), "cmp", "ptp0", "--watch", "--csv", csv, "--plot", svg)
	if lines, err := os.ReadFile(csv); err != nil || strings.Count(string(lines), "\n") != 4 {
		t.Errorf("%v: %s", err, lines)
	}
	if picture, err := os.ReadFile(svg); err != nil || !strings.Contains(string(picture), "<svg") {
		t.Errorf("%v: no picture", err)
	}
}

func TestWatchInterrupted(t *testing.T) {
	b := newBench(t, phc.FakeConfig{})
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	b.app.sleep = func(ctx context.Context, d time.Duration) error {
		if b.now += int64(d); n == 2 {
			cancel()
		}
		n++
		return ctx.Err()
	}
	if code := run(ctx, b.app, []string{"cmp", "ptp0", "--watch", "--csv", "-"}); code != 0 || strings.Count(b.out.String(), "\n") != 4 {
		t.Errorf("status %d: %s%s", code, b.out.String(), b.err.String())
	}
}

func TestPlotName(t *testing.T) {
	b := newBench(t, phc.FakeConfig{})
	b.want(exitUsage, ".svg", "cmp", "ptp0", "--plot", "x.gif")
	b.want(exitUsage, ".svg", "stability", "ptp1", "--plot", "x")
	b = newBench(t, phc.FakeConfig{})
	b.want(exitIO, "no such file", "cmp", "ptp0", "--csv", "/nonexistent/x.csv")
}

// White phase noise of 50 ns, against a perfect clock: ADEV at 1 s is √3 · 50e-9, TDEV at 16 s 50/√16 ns.
func TestStability(t *testing.T) {
	b := newBench(t, phc.FakeConfig{WhitePhase: 50, Frequency: 5000})
	png := filepath.Join(t.TempDir(), "s.png")
	got := b.must("stability", "ptp0", "--for", "2h", "--samples", "1", "--plot", png)[0]
	points := got["points"].([]any)
	adev, tdev := points[0].(map[string]any)["adev"].(float64), points[4].(map[string]any)["tdev_ns"].(float64)
	if math.Abs(adev/(math.Sqrt(3)*50e-9)-1) > 0.1 || math.Abs(tdev/12.5-1) > 0.1 {
		t.Errorf("ADEV %g, TDEV %g", adev, tdev)
	}
	if rate := got["rate_ppb"].(float64); math.Abs(rate-5000) > 1 || got["samples"] != 7201.0 {
		t.Errorf("%v ppb of %v samples", rate, got["samples"])
	}
	if mtie := points[0].(map[string]any)["mtie_ns"].(float64); mtie > 500 {
		t.Errorf("MTIE %g ns contains the rate", mtie)
	}
	if info, err := os.Stat(png); err != nil || info.Size() < 1000 {
		t.Errorf("no picture: %v", err)
	}
	b = newBench(t, phc.FakeConfig{})
	b.want(exitUsage, "four intervals", "stability", "ptp0", "--for", "2s")
	b = newBench(t, phc.FakeConfig{WhitePhase: 5})
	if b.app.terminal = true; b.run("stability", "ptp0", "--for", "1m") != 0 || !strings.Contains(b.err.String(), "61 of 61") {
		t.Errorf("no progress: %s", b.err.String())
	}
	if !strings.Contains(b.out.String(), "TAU") {
		t.Error(b.out.String())
	}
}

func TestPins(t *testing.T) {
	c := phc.FakeConfig{Caps: phc.Caps{Pins: 2, ExtTS: 2, PerOut: 1, PPS: true}, MaxVirtualClocks: 3}
	got := newBench(t, c).must("pins", "ptp0", "set", "SDP1", "extts", "1")[0]
	if pin := got["pins"].([]any)[1].(map[string]any); pin["function"] != "extts" || pin["channel"] != 1.0 {
		t.Errorf("%v", pin)
	}
	if before := got["before"].(map[string]any); before["function"] != "none" || before["index"] != 1.0 {
		t.Errorf("before: %v", before)
	}
	b := newBench(t, c)
	b.want(exitUsage, "", "pins", "ptp0", "set", "1")
	b.want(exitUsage, "none, extts", "pins", "ptp1", "set", "1", "clock")
	b = newBench(t, c)
	b.want(exitUsage, "0 to 1", "pins", "ptp0", "set", "5", "extts", "0")
	b = newBench(t, c)
	if b.run("pins", "ptp0"); !strings.Contains(b.out.String(), "SDP0") {
		t.Error(b.out.String())
	}
	b = newBench(t, phc.FakeConfig{})
	if b.run("pins", "ptp0"); !strings.Contains(b.out.String(), "no programmable pins") {
		t.Error(b.out.String())
	}
	b = newBench(t, c)
	if got := b.must("perout", "ptp0", "0", "--period", "1s", "--duty", "25%", "--phase", "-1ms", "--pin", "0")[0]; got["high_ns"] != 250e6 || got["phase_ns"] != 999e6 ||
		fmt.Sprint(got["pin_before"], got["pin"]) != "map[channel:0 function:none index:0 name:SDP0] map[channel:0 function:perout index:0 name:SDP0]" ||
		b.clocks["/dev/ptp0"].Outputs()[0] != (unix.PtpPeroutRequest{Period: unix.PtpClockTime{Sec: 1}, StartOrPhase: unix.PtpClockTime{Nsec: 999e6},
			On: unix.PtpClockTime{Nsec: 250e6}, Flags: unix.PTP_PEROUT_PHASE | unix.PTP_PEROUT_DUTY_CYCLE}) {
		t.Errorf("%v", got)
	}
	b = newBench(t, c)
	if got := b.must("perout", "ptp0", "0", "--period", "1ms")[0]; got["start_ns"] != epoch+2e9 || got["phase_ns"] != 0.0 ||
		b.clocks["/dev/ptp0"].Outputs()[0] != (unix.PtpPeroutRequest{Period: unix.PtpClockTime{Nsec: 1e6}, StartOrPhase: unix.PtpClockTime{Sec: epoch/1e9 + 2}}) {
		t.Errorf("%v", got)
	}
	for _, args := range [][]string{{"--period", "0s"}, {}, {"--period", "1s", "--duty", "2"}, {"--period", "10ns", "--duty", "1%"},
		{"--off", "--period", "1s"}} {
		b = newBench(t, c)
		b.want(exitUsage, "", append([]string{"perout", "ptp0", "0"}, args...)...)
	}
	newBench(t, c).must("perout", "ptp0", "0", "--off")
	if got := newBench(t, c).must("pps", "ptp0", "on")[0]; got["pps"] != true || fmt.Sprint(got["source"]) != "map[device:/dev/pps0 pulses:7]" {
		t.Errorf("%v", got)
	}
	newBench(t, c).want(exitUsage, "neither", "pps", "ptp0", "yes")
	if got := newBench(t, c).must("vclocks", "ptp0", "2")[0]; got["before"] != 0.0 || got["count"] != 2.0 || got["max"] != 3.0 {
		t.Errorf("%v", got)
	}
	newBench(t, phc.FakeConfig{}).want(exitUnsupported, "5.14", "vclocks", "ptp0")
}

// What was collected before the clock vanished is analysed all the same.
func TestStabilityVanish(t *testing.T) {
	for calls, want := range map[int]bool{20: true, 2: false} {
		n := 0
		b := newBench(t, phc.FakeConfig{WhitePhase: 5, Fault: func(c phc.Call) error {
			if n++; n > calls {
				return unix.ENODEV
			}
			return nil
		}})
		b.want(exitIO, clock.ErrGone.Error(), "stability", "ptp0", "--for", "1m")
		if got := strings.Contains(b.out.String(), "TAU"); got != want {
			t.Errorf("vanished after %d calls: %q", calls, b.out.String())
		}
	}
}

// An interrupt ends the collection: after some samples that is a result, before there are enough it is none.
func TestStabilityInterrupted(t *testing.T) {
	for sleeps, want := range map[int]int{10: exitOK, 2: exitInterrupted} {
		b := newBench(t, phc.FakeConfig{WhitePhase: 5})
		ctx, cancel := context.WithCancel(context.Background())
		n := 0
		b.app.sleep = func(ctx context.Context, d time.Duration) error {
			if b.now += int64(d); n == sleeps {
				cancel()
			}
			n++
			return ctx.Err()
		}
		if code := run(ctx, b.app, []string{"stability", "ptp0"}); code != want || strings.Contains(b.out.String(), "TAU") != (want == exitOK) {
			t.Errorf("after %d: status %d: %s%s", sleeps, code, b.out.String(), b.err.String())
		}
		cancel()
	}
}

// A clock that vanishes while it is listened to: one line, and the statistics of what came before.
func TestExtTSVanish(t *testing.T) {
	var b *bench
	n := 0
	b = newBench(t, phc.FakeConfig{Caps: phc.Caps{ExtTS: 1}, Fault: func(c phc.Call) error {
		if n > 3 {
			return unix.ENODEV
		}
		if c == phc.CallEvents {
			n++
			b.now += 1e9
			b.clocks["/dev/ptp0"].Edge(0, phc.Rising)
		}
		return nil
	}})
	b.want(exitIO, clock.ErrGone.Error(), "extts", "ptp0", "0")
	if strings.Count(b.err.String(), "\n") != 1 || !strings.Contains(b.out.String(), "4 events\n  edge 1: 4 events; interval mean") {
		t.Errorf("%s%s", b.out.String(), b.err.String())
	}
	for _, flag := range []string{"--count=-1", "--timeout=-1s", "--period=0s"} {
		b = newBench(t, phc.FakeConfig{Caps: phc.Caps{ExtTS: 1}})
		b.want(exitUsage, flag[:strings.Index(flag, "=")], "extts", "ptp0", "0", flag)
	}
}

// A signal that is 3 ppm fast: intervals are short by 3 µs, and a missing pulse changes the mean interval but not the rate.
func TestExtTS(t *testing.T) {
	var b *bench
	pulses := 0
	b = newBench(t, phc.FakeConfig{Caps: phc.Caps{ExtTS: 1, Pins: 1}, Fault: func(c phc.Call) error {
		if c == phc.CallEvents {
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
	b = newBench(t, phc.FakeConfig{Caps: phc.Caps{ExtTS: 1}})
	b.want(exitUsage, "rising", "extts", "ptp0", "0", "--edge", "up")
	b = newBench(t, phc.FakeConfig{Caps: phc.Caps{ExtTS: 1}})
	b.want(exitIO, "no event within 1ns", "extts", "ptp0", "0", "--timeout", "1ns")
	b = newBench(t, phc.FakeConfig{})
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
	if e := s.Edges[0]; len(s.Edges) != 1 || e.Mean != 1e9 || e.Min != 1e9-20 || e.Max != 1e9+10 || math.Abs(e.Deviation-math.Sqrt(300)) > 1e-3 || *e.Rate != 0 {
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
func stamped(t *testing.T, c phc.FakeConfig) *bench {
	var b *bench
	fault := c.Fault
	c.Fault = func(call phc.Call) error {
		if call == phc.CallEvents {
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
		{"rising", "rising edges only", phc.Both, []float64{1e8, 2e8}}, {"falling", "falling edges only", phc.Rising, []float64{1e8, 3e8}},
		{"both", "both edges", phc.Rising, []float64{1e8, 3e8}}, {"both", "", phc.Both, []float64{1e8, 2e8}},
	} {
		b := stamped(t, phc.FakeConfig{Caps: phc.Caps{ExtTS: 1}, Stamps: c.stamps})
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
	old := func(c phc.Call) error {
		if c == phc.CallMask {
			return unix.ENOTTY
		}
		return nil
	}
	for _, fault := range []func(phc.Call) error{nil, old} {
		b := stamped(t, phc.FakeConfig{Caps: phc.Caps{ExtTS: 2}, Fault: fault})
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
		b = newBench(t, phc.FakeConfig{Caps: phc.Caps{ExtTS: 1}, Fault: func(c phc.Call) error {
			if c != phc.CallEvents {
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
	b = newBench(t, phc.FakeConfig{Caps: phc.Caps{ExtTS: 1}, Fault: func(c phc.Call) error {
		if c == phc.CallEvents {
			b.clocks["/dev/ptp0"].Measure(0, -25)
		}
		return nil
	}})
	got := b.must("extts", "ptp0", "0", "--offsets", "--count", "2")
	if len(got) != 3 || got[0]["offset_ns"] != -25.0 || got[0]["at_ns"] != nil || got[2]["events"] != 2.0 {
		t.Errorf("%v", got)
	}
}

// A timer that is late by as much each time, and late comparisons, leave the noise what it is.
func TestStabilityLateTimer(t *testing.T) {
	for _, late := range []time.Duration{300 * time.Microsecond, time.Millisecond, 10 * time.Millisecond} {
		b := newBench(t, phc.FakeConfig{WhitePhase: 50, Frequency: 20000})
		b.app.sleep = func(ctx context.Context, d time.Duration) error {
			b.now += int64(d + late)
			return ctx.Err()
		}
		got := b.must("stability", "ptp0", "--for", "10m", "--interval", "100ms", "--samples", "1")[0]
		points := got["points"].([]any)
		for _, m := range []int{0, 1, 2, 3} { // at 1, 2, 4, 8 intervals
			p := points[m].(map[string]any)
			n := float64(int(1) << m)
			adev, tdev := p["adev"].(float64), p["tdev_ns"].(float64)
			if math.Abs(adev/(math.Sqrt(3)*50e-9/(n*0.1))-1) > 0.1 || math.Abs(tdev/(50/math.Sqrt(n))-1) > 0.1 {
				t.Errorf("late by %v, %v intervals: ADEV %g, TDEV %g", late, n, adev, tdev)
			}
		}
		if got["samples"] != 6001.0 || got["interpolated"] != 0.0 {
			t.Errorf("late by %v: %v samples, %v interpolated", late, got["samples"], got["interpolated"])
		}
	}
}

// Turns that are missed are left out, not made up for.
func TestTurns(t *testing.T) {
	b := newBench(t, phc.FakeConfig{})
	turns := b.app.every(time.Second)
	var at []int64
	for _, busy := range []int64{0, 100e6, 1050e6, 2500e6, 0} {
		b.now += busy
		if err := turns.next(context.Background()); err != nil {
			t.Fatal(err)
		}
		at = append(at, (b.now-epoch)/1e6)
	}
	if fmt.Sprint(at) != "[1000 2000 3050 6000 7000]" || turns.turn != 7 {
		t.Errorf("%v, %d", at, turns.turn)
	}
}

// The bar moves at least once a second, however rarely the clocks are compared, and tells how long it takes.
func TestProgressMoves(t *testing.T) {
	b := newBench(t, phc.FakeConfig{})
	b.app.terminal = true
	if b.run("stability", "ptp0", "--for", "2m", "--interval", "30s") != 0 || strings.Count(b.err.String(), "\r[") < 120 ||
		!strings.Contains(b.err.String(), "2 of 5, 1m30s left") {
		t.Errorf("%s", b.err.String())
	}
}

func TestThinned(t *testing.T) {
	var d thinned
	const n = 5*mostDrawn + 3
	for i := range int64(n) {
		d.add(comparison{At: i})
	}
	if len(d.kept) > mostDrawn || len(d.kept) < mostDrawn/2 {
		t.Fatalf("%d are kept", len(d.kept))
	}
	for i, c := range d.kept {
		if c.At != int64(i*d.stride) {
			t.Fatalf("number %d is of %d, the stride %d", i, c.At, d.stride)
		}
	}
}

// A plot that cannot be written is told before anything is measured, and clocks that do not part are no failure.
func TestPlotPath(t *testing.T) {
	for _, command := range [][]string{{"cmp", "ptp0", "--count", "3"}, {"stability", "ptp0", "--for", "10s"}} {
		b := newBench(t, phc.FakeConfig{})
		b.want(exitIO, "--plot", append(command, "--plot", "/nonexistent/x.svg")...)
		if b.out.Len() > 0 || b.now != epoch {
			t.Errorf("%v measured first", command)
		}
		name := filepath.Join(t.TempDir(), "same.svg")
		b.must(append(command, "--plot", name)...)
		if info, err := os.Stat(name); err != nil || info.Size() < 1000 {
			t.Errorf("%v: no picture: %v", command, err)
		}
	}
}

func TestNIC(t *testing.T) {
	config := hwts.HardwareConfig{TxType: hwts.TxOff, RxFilter: hwts.RxNone}
	driver := nicDriver{
		probe: func(name string) (hwts.Capabilities, error) {
			if name != "eth0" {
				return hwts.Capabilities{}, fmt.Errorf("probe %s: %w", name, hwts.ErrNoInterface)
			}
			return fakeNIC(), nil
		},
		read: func(string) (hwts.HardwareConfig, error) { return config, nil },
		set: func(_ string, h hwts.HardwareConfig) (hwts.HardwareConfig, error) {
			if h.RxFilter == hwts.RxAll {
				return h, clock.ErrNotSupported
			}
			if h.RxFilter == hwts.RxPTPv2L4Event {
				h.RxFilter = hwts.RxPTPv2Event // more than asked for
			}
			config = h
			return h, nil
		},
	}
	b := newBench(t, phc.FakeConfig{})
	b.app.nic = driver
	got := b.must("nic", "eth0")[0]["interfaces"].([]any)[0].(map[string]any)
	if got["phc"] != 0.0 || fmt.Sprint(got["tx_types"]) != "[off on]" || fmt.Sprint(got["rx_filters"]) != "[none ptpv2-event]" {
		t.Errorf("%v", got)
	}
	change := b.must("nic", "set", "eth0", "--tx", "on", "--rx", "ptp-v2-l4-event")[0]
	if fmt.Sprint(change["granted"]) != "map[rx:ptpv2-event tx:on]" || fmt.Sprint(change["before"]) != "map[rx:none tx:off]" {
		t.Errorf("%v", change)
	}
	if b.must("nic", "set", "eth0", "--tx", "off"); config.RxFilter != hwts.RxPTPv2Event || config.TxType != hwts.TxOff {
		t.Errorf("%v", config)
	}
	b.holders = []phc.Holder{{PID: 42, Command: "ptp4l", Writable: true}}
	b.want(exitHeld, "eth0 has the clock /dev/ptp0, which may be steered by ptp4l", "nic", "set", "eth0", "--tx", "on")
	if config.TxType != hwts.TxOff {
		t.Error("the stamps of a NIC in use were changed")
	}
	b.must("--force", "nic", "set", "eth0", "--tx", "off")
	b.holders = nil
	b.want(exitUnsupported, "the driver igb has tx off, on and rx none, ptpv2-event", "nic", "set", "eth0", "--rx", "all")
	b.want(exitUsage, "--tx", "nic", "set", "eth0")
	b.want(exitUsage, "bogus", "nic", "set", "eth0", "--rx", "bogus")
	b.want(exitNoClock, "eth7", "nic", "eth7")
	if b.run("nic"); !strings.Contains(b.out.String(), "/dev/ptp0") || strings.Contains(b.out.String(), "stamped by") {
		t.Error(b.out.String())
	}
}

// What kernel and driver tell of providers and statistics is shown, and no row where they do not.
func TestNICProvider(t *testing.T) {
	lost, taken := uint64(2), uint64(1<<40)
	c := fakeNIC()
	c.Provider = &hwts.Provider{PHC: 3, Qualifier: hwts.Approximate, Source: hwts.SourcePHY, PHY: 1}
	c.Statistics = &hwts.Statistics{Packets: &taken, Lost: &lost}
	c.MAC = hwts.MAC{2, 0, 0, 0, 0, 9}
	b := newBench(t, phc.FakeConfig{})
	b.app.discover = func() ([]hwts.Capabilities, error) { return []hwts.Capabilities{c}, nil }
	b.app.nic.read = func(string) (hwts.HardwareConfig, error) { return hwts.HardwareConfig{}, clock.ErrNotSupported }
	if code := b.run("nic"); code != 0 {
		t.Fatal(b.err.String())
	}
	for _, row := range []string{"stamped by       /dev/ptp3, approximate, by phy 1\n", "transmit stamps  1099511627776 taken, 2 lost\n"} {
		if !strings.Contains(b.out.String(), row) {
			t.Errorf("no %q in\n%s", row, b.out.String())
		}
	}
	got := b.must("nic")[0]["interfaces"].([]any)[0].(map[string]any)
	if fmt.Sprintf("%v %v %v", got["provider"], got["statistics"], got["mac"]) !=
		"map[phc:3 phy:1 qualifier:approximate source:phy] map[tx_lost:2 tx_packets:1.099511627776e+12] 02:00:00:00:00:09" {
		t.Errorf("%v", got)
	}
}

// A driver that can be configured but not read: what it granted is what its answer says, and half of it cannot be kept.
func TestNICUnreadable(t *testing.T) {
	b := newBench(t, phc.FakeConfig{})
	var setErr error
	b.app.nic = nicDriver{
		probe: func(string) (hwts.Capabilities, error) { return fakeNIC(), nil },
		read:  func(string) (hwts.HardwareConfig, error) { return hwts.HardwareConfig{}, clock.ErrNotSupported },
		set: func(_ string, h hwts.HardwareConfig) (hwts.HardwareConfig, error) {
			h.RxFilter = hwts.RxAll
			return h, setErr
		},
	}
	got := b.must("nic", "set", "eth0", "--tx", "on", "--rx", "ntp")[0]
	if fmt.Sprint(got["granted"]) != "map[rx:all tx:on]" || got["before"] != nil {
		t.Errorf("%v", got)
	}
	b.want(exitUnsupported, "both", "nic", "set", "eth0", "--tx", "on")
	setErr = unix.EPERM
	b.want(exitPermission, "CAP_NET_ADMIN", "nic", "set", "eth0", "--tx", "on", "--rx", "ntp")
}
