// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/estimate"
	"github.com/lockstep-time/lockstep/servo"
)

func TestStepPolicies(t *testing.T) {
	for _, c := range []struct {
		name      string
		policy    StepPolicy
		offset    int64 // of the PHC at the start, ns
		atStart   int   // steps
		afterJump int   // more, once the source has jumped by a millisecond
	}{
		{"first", StepFirst, -60e9, 1, 0},
		{"first, close by", StepFirst, 15e3, 0, 0},
		{"never", StepNever, 5e6, 0, 0},
		{"always", StepAlways, -60e9, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(cfg *Config) { cfg.Step = c.policy })
			r.graph.Remove(r.now, clock.System)
			r.graph.Remove(r.now, phc)
			r.clocks[phc].ns, r.clocks[phc].error = epoch+c.offset, 20
			r.add(phc)
			r.locked()
			if r.steps != c.atStart {
				t.Errorf("%d steps at the start, want %d", r.steps, c.atStart)
			}
			r.lie = 1e6
			r.graph.Accept(r.now, r.measurement())
			r.run(20 * second)
			if got := r.steps - c.atStart; got != c.afterJump {
				t.Errorf("%d steps after the source has jumped, want %d", got, c.afterJump)
			}
			if e := r.error(phc) + 1e6; math.Abs(e) > 1000 {
				t.Errorf("off by %.0f ns from the source", e)
			}
		})
	}
}

// TestMaxSlew takes an offset away no faster than allowed.
func TestMaxSlew(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Step, cfg.MaxSlew = StepNever, 1e5 })
	r.graph.Remove(r.now, phc)
	r.graph.Remove(r.now, clock.System)
	r.clocks[phc].ns, r.clocks[clock.System].ns = epoch+2e6, epoch-utc*1e9-1e6
	r.add(phc)
	r.add(clock.System)
	r.graph.Follow(r.now, phc)
	r.run(5 * second)
	for range 10 {
		before := map[clock.ID]float64{phc: r.error(phc), clock.System: r.error(clock.System)}
		r.run(second)
		for id, e := range before {
			if d := math.Abs(r.error(id) - e); d > 1.02e5 {
				t.Errorf("%v was moved by %.0f ns within a second", id, d)
			}
		}
	}
	r.run(30 * second)
	r.within(phc, 200, 10*second)
	r.within(clock.System, 500, 10*second)
}

func TestPanicAndResume(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.PanicThreshold = second }).locked()
	steps := r.steps
	r.lie = 5e9
	r.graph.Accept(r.now, r.measurement())
	r.run(10 * second)
	if !r.graph.Panicked() || !r.saw("ptp0 panicked") {
		t.Fatalf("no panic: %v", r.events)
	}
	r.within(phc, 5000, 60*second)
	if r.steps != steps {
		t.Error("stepped in a panic")
	}
	r.graph.Resume()
	r.run(20 * second)
	if e := r.error(phc) + 5e9; r.graph.Panicked() || math.Abs(e) > 1000 {
		t.Errorf("after resuming: %.0f ns off from the source", e)
	}
}

// TestRerooting goes from a source of the PHC to one of the system clock and back, without a bump.
func TestRerooting(t *testing.T) {
	r := newRig(t, nil).locked()
	r.within(phc, 100, 200*second)
	steps := r.steps
	r.measures, r.noise = clock.System, 50e3
	r.graph.Follow(r.now, clock.System)
	if r.graph.Root() != clock.System {
		t.Fatal("the system clock is not the root")
	}
	for _, id := range []clock.ID{phc, clock.System} {
		r.within(id, 400, 10*second)
	}
	r.within(phc, 20e3, 200*second)
	r.measures, r.noise = phc, 20
	before := r.error(phc)
	r.graph.Follow(r.now, phc)
	r.within(phc, math.Abs(before)+200, 10*second)
	r.run(20 * second)
	r.within(phc, 200, 60*second)
	r.within(clock.System, 300, 60*second)
	if r.steps != steps {
		t.Errorf("%d steps by following others", r.steps-steps)
	}
}

// TestUTCOffsetUnknown leaves the clock of the other scale alone.
func TestUTCOffsetUnknown(t *testing.T) {
	for _, root := range []clock.ID{phc, clock.System} {
		t.Run(root.String(), func(t *testing.T) {
			r := newRig(t, nil)
			r.graph.SetUTCOffset(0, false)
			r.measures = root
			other := phc
			if root == phc {
				other = clock.System
			}
			before := *r.clocks[other]
			r.locked()
			if now := *r.clocks[other]; now.applied != before.applied || math.Abs(r.error(other)) < 1e6 {
				t.Errorf("%v was steered: %.0f ns off, %g ppb", other, r.error(other), now.applied)
			}
			if _, ok := r.graph.MaxError(r.now, other); ok {
				t.Error("its maximum error is claimed to be known")
			}
			r.graph.SetUTCOffset(utc, true)
			r.run(10 * second)
			r.within(other, 500, 30*second)
		})
	}
}

func TestLeapSecond(t *testing.T) {
	for _, leap := range []clock.Leap{clock.LeapInsert, clock.LeapDelete} {
		for _, root := range []clock.ID{phc, clock.System} {
			r := newRig(t, nil)
			r.measures = root
			r.locked()
			steps := r.steps
			r.clocks[clock.System].ns -= int64(leap) * 1e9
			r.graph.LeapSecond(r.now, leap)
			for _, id := range []clock.ID{phc, clock.System} {
				if est, ok := r.graph.Estimate(r.now, id); !ok || math.Abs(est.Offset) > 300 {
					t.Errorf("leap %d, root %v: %v is believed to be %.0f ns off", leap, root, id, est.Offset)
				}
			}
			r.measures = 0 // the source's UTC is not simulated beyond the leap
			r.run(2 * second)
			if r.steps != steps {
				t.Errorf("leap %d, root %v: stepped", leap, root)
			}
		}
	}
}

// TestHoldover runs on without a source: the maximum error grows, and covers what the clocks are off.
func TestHoldover(t *testing.T) {
	r := newRig(t, nil).locked()
	r.run(300 * second)
	r.measures = 0
	r.graph.Follow(r.now, 0)
	last := time.Duration(0)
	for i := range 100 {
		r.run(20 * second)
		for _, id := range []clock.ID{phc, clock.System} {
			if bound, ok := r.graph.MaxError(r.now, id); !ok || math.Abs(r.error(id)) > float64(bound) {
				t.Fatalf("after %d s %v is off by %.0f ns, stated at most %v", 20*(i+1), id, r.error(id), bound)
			}
		}
		bound, _ := r.graph.MaxError(r.now, phc)
		if i > 1 && bound <= last {
			t.Fatalf("maximum error %v, %v before", bound, last)
		}
		last = bound
	}
}

func TestRemoveAndAdd(t *testing.T) {
	r := newRig(t, nil).locked()
	r.run(100 * second)
	r.measures = 0
	r.graph.Remove(r.now, phc)
	if r.graph.Has(phc) || r.graph.Root() != clock.System || !r.graph.Known() {
		t.Fatalf("root %v, known %v", r.graph.Root(), r.graph.Known())
	}
	r.within(clock.System, 1000, 20*second)
	r.clocks[phc].ns, r.clocks[phc].applied = 0, 0 // another device: it begins in 1970
	r.add(phc)
	r.run(5 * second)
	r.within(phc, 2000, 10*second)
	r.measures = phc
	r.graph.Follow(r.now, phc)
	r.run(20 * second)
	r.within(phc, 200, 60*second)
	r.within(clock.System, 300, 60*second)
	r.graph.Remove(r.now, phc)
	r.graph.Remove(r.now, clock.System)
	if r.graph.Root() != 0 || r.graph.Known() {
		t.Error("a graph without clocks knows the time")
	}
	r.graph.Tick(r.now)
	r.graph.Follow(r.now, phc)
}

// TestOneWayAccusesNobody has the way from the master become longer: what is measured one way only is not as expected, and
// neither steers nor counts as a jump. What is measured both ways does.
func TestOneWayAccusesNobody(t *testing.T) {
	r := newRig(t, nil).locked()
	r.run(100 * second)
	r.lie = 50_000
	m := r.measurement()
	m.OneWay = true
	for range 20 {
		if v := r.graph.Sample(r.now, m); v != estimate.Outlier {
			t.Fatalf("verdict %v on a measurement one way, 50 µs beside what was expected", v)
		}
	}
	m.OneWay = false
	verdict := estimate.Used
	for range 5 {
		verdict = r.graph.Sample(r.now, m)
	}
	if verdict != estimate.Jumped {
		t.Errorf("verdict %v on the fifth both ways", verdict)
	}
}

// TestClockStopsAndIsReset is what some NICs do when their link goes down: the PHC stands still for a while, and then shows
// another time.
func TestClockStopsAndIsReset(t *testing.T) {
	r := newRig(t, nil).locked()
	r.run(100 * second)
	r.measures = 0
	r.graph.Follow(r.now, 0)
	runs := r.clocks[phc].error
	r.clocks[phc].error = -1e9
	r.run(3 * second)
	r.clocks[phc].error = runs
	r.clocks[phc].ns = r.clocks[clock.System].ns
	r.run(3 * second)
	r.measures = phc
	r.graph.Follow(r.now, phc)
	r.run(20 * second)
	r.within(phc, 300, 20*second)
	r.within(clock.System, 300, 20*second)
	if r.graph.Panicked() {
		t.Error("nothing is steered any more")
	}
}

// TestLearnedFrequencies leaves the frequencies that cancel the oscillators' errors.
func TestLearnedFrequencies(t *testing.T) {
	r := newRig(t, nil).locked()
	r.run(100 * second)
	r.graph.SetLearnedFrequencies(r.now)
	for id, c := range r.clocks {
		if left := c.error + c.applied; math.Abs(left) > 30 {
			t.Errorf("%v was left %.1f ppb fast", id, left)
		}
	}
}

// TestLearnedFrequenciesAmidTheFirstSlew ends while an offset is being slewed away and the frequency is not known yet.
func TestLearnedFrequenciesAmidTheFirstSlew(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Step = StepNever })
	r.noise = 50_000
	r.graph.Follow(r.now, phc)
	r.run(1500 * time.Millisecond)
	if c := r.clocks[phc]; math.Abs(c.applied) < 1e5 {
		t.Fatalf("corrected by %g ppb only: nothing is slewed", c.applied)
	}
	r.graph.SetLearnedFrequencies(r.now)
	for id, c := range r.clocks {
		if c.applied != 0 {
			t.Errorf("%v was left corrected by %g ppb, and it came with none", id, c.applied)
		}
	}
}

// TestLearnedFrequencyOfOneClock leaves the others alone.
func TestLearnedFrequencyOfOneClock(t *testing.T) {
	r := newRig(t, nil).locked()
	r.run(100 * second)
	for _, id := range []clock.ID{phc, clock.System} {
		_, _, _ = r.SetFrequency(id, 400_000) // as if an offset were being slewed away
	}
	r.graph.SetLearnedFrequency(r.now, phc)
	r.graph.SetLearnedFrequency(r.now, clock.PHC(9))
	if c := r.clocks[phc]; math.Abs(c.error+c.applied) > 30 {
		t.Errorf("it was left %.1f ppb fast", c.error+c.applied)
	}
	if c := r.clocks[clock.System]; c.applied != 400_000 {
		t.Errorf("the system clock was set to %.1f ppb", c.applied)
	}
}

func TestBrokenClock(t *testing.T) {
	r := newRig(t, nil).locked()
	r.clocks[phc].broken = true
	r.run(10 * second)
	reports := r.graph.Reports(r.now, nil)
	if reports[0].ID != phc || !errors.Is(reports[0].Err, errBroken) {
		t.Errorf("%+v", reports[0])
	}
	r.within(clock.System, 1000, 30*second)
	r.clocks[phc].broken = false
	r.run(10 * second)
	if reports = r.graph.Reports(r.now, reports[:0]); reports[0].Err != nil {
		t.Errorf("still %v", reports[0].Err)
	}
	r.within(phc, 300, 10*second)
}

func TestReports(t *testing.T) {
	r := newRig(t, nil).locked()
	got := r.graph.Reports(r.now, nil)
	if len(got) != 2 || !got[0].Root || got[0].ID != phc || got[1].ID != clock.System || got[1].Parent != phc {
		t.Fatalf("%+v", got)
	}
	for _, x := range got {
		if !x.Steered || !x.Known || !x.Locked || x.Servo != servo.NameAdaptive || x.MaxError <= 0 ||
			x.Steps == 0 || math.Abs(x.Learned+r.clocks[x.ID].error) > 200 {
			t.Errorf("%+v", x)
		}
	}
	if got[0].Method != clock.Extended || got[0].Window != 500 {
		t.Errorf("crossing %v, %v", got[0].Method, got[0].Window)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	r := newRig(t, nil).locked()
	var reports []Report
	n := testing.AllocsPerRun(100, func() {
		r.run(second)
		reports = r.graph.Reports(r.now, reports[:0])
	})
	if n != 0 {
		t.Errorf("%g allocations per second", n)
	}
}

func BenchmarkSecond(b *testing.B) {
	var t testing.T
	r := newRig(&t, nil)
	r.graph.Follow(r.now, phc)
	r.run(30 * second)
	b.ReportAllocs()
	for b.Loop() {
		r.run(second)
	}
}
