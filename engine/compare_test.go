// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/timescale"
)

// rack is a host in virtual time whose clocks run wrong at a constant rate and are read without error. It answers
// comparisons a millisecond after it was asked.
type rack struct {
	*Engine
	now    clock.Mono
	clocks map[clock.ID]*rackClock
	asked  []pair // in the order of the requests
	due    []pair // not answered yet
	silent bool
}

// rackClock is ahead of true time by ns and gains wrong + ppb.
type rackClock struct{ ahead, wrong, ppb float64 }

const rackEpoch = int64(1_780_000_000e9)

func (r *rack) read(id clock.ID) clock.Timestamp {
	return clock.At(id, rackEpoch+int64(r.now)+int64(r.clocks[id].ahead))
}

func (r *rack) SetFrequency(id clock.ID, ppb float64) (float64, clock.Timestamp, error) {
	r.clocks[id].ppb = ppb
	return ppb, r.read(id), nil
}

func (r *rack) Step(id clock.ID, d time.Duration) (clock.Timestamp, error) {
	at := r.read(id)
	r.clocks[id].ahead += float64(d)
	return at, nil
}

func (r *rack) Compare(a, b clock.ID) {
	r.asked = append(r.asked, pair{a, b})
	if !r.silent {
		r.due = append(r.due, pair{a, b})
	}
}

func (r *rack) SetKernel(clock.Status) {}
func (r *rack) Event(status.Event)     {}

func (r *rack) advance(to clock.Mono) {
	for _, c := range r.clocks {
		c.ahead += (c.wrong + c.ppb) * to.Sub(r.now).Seconds()
	}
	r.now = to
}

// answer hands over what was asked for.
func (r *rack) answer() {
	r.advance(r.now.Add(time.Millisecond))
	for _, p := range r.due {
		r.Crossed(r.now, clock.Crossing{A: r.read(p.a), B: r.read(p.b), Uncertainty: 100, Method: clock.Extended}, nil)
	}
	r.due = r.due[:0]
}

// run lets time pass. The source measures the clock once a second.
func (r *rack) run(d time.Duration, sink Sink, measured clock.ID) {
	for end := r.now.Add(d); r.now < end; {
		next := min(r.NextWake(), r.now/1e9*1e9+1e9)
		second := next/1e9 != r.now/1e9
		r.advance(max(next, r.now))
		r.Wake(r.now)
		if sink != nil && second {
			sink.Sample(r.now, &source.Sample{At: r.read(measured), Offset: int64(r.clocks[measured].ahead), Variance: 100,
				MaxError: 50, Interval: time.Second})
		}
		r.answer()
	}
}

func newRack(clocks map[clock.ID]*rackClock, order ...clock.ID) *rack {
	r := &rack{now: clock.Mono(time.Hour), clocks: clocks}
	cfg := Config{Servo: "adaptive", Policy: source.Policy{MinSources: 1, MaxDistance: time.Second}, UTCOffset: 37}
	cfg.Graph.MaxSlew, cfg.Graph.StepThreshold = 5e5, 20*time.Microsecond
	r.Engine = New(cfg, Env{Start: r.now}, r)
	for _, id := range order {
		scale := clock.TAI
		if id == clock.System {
			scale = clock.UTC
		}
		r.AddClock(r.now, ClockInfo{ID: id, Scale: scale, Steer: true, MaxFrequency: 5e5, Reading: r.read(id)})
	}
	return r
}

// TestAHostWithoutASystemClock has a source of one PHC, and two others follow by comparisons with it.
func TestAHostWithoutASystemClock(t *testing.T) {
	ids := []clock.ID{clock.PHC(0), clock.PHC(1), clock.PHC(4)}
	r := newRack(map[clock.ID]*rackClock{ids[0]: {3e9, 20_000, 0}, ids[1]: {-50e9, -30_000, 0}, ids[2]: {7e6, 100, 0}}, ids...)
	sink := r.Register(&toy{info: source.Info{ID: "toy", Kind: source.PTP}, standing: source.Standing{State: source.Usable},
		claim: timescale.Claim{Scale: clock.TAI}})
	r.run(time.Minute, sink, ids[0])
	for id, c := range r.clocks {
		bound, ok := r.graph.MaxError(r.now, id)
		if !ok || math.Abs(c.ahead) > 100 || math.Abs(c.ahead) > float64(bound) {
			t.Errorf("%v is %.0f ns off, stated at most %v, %t", id, c.ahead, bound, ok)
		}
	}
	for _, p := range r.asked {
		if p.b != ids[0] || p.a != ids[1] && p.a != ids[2] {
			t.Fatalf("%v and %v are compared", p.a, p.b)
		}
	}
	s := r.Snapshot(r.now, time.Unix(0, rackEpoch), nil)
	if s.State != status.Locked || len(s.Clocks) != 3 || s.Clocks[1].Follows != "ptp0" || s.Clocks[2].Follows != "ptp0" {
		t.Errorf("%v: %+v", s.State, s.Clocks)
	}
}

// TestPHCsAreComparedWithTheSystemClock where there is one, whatever the order in which the clocks came.
func TestPHCsAreComparedWithTheSystemClock(t *testing.T) {
	ids := []clock.ID{clock.PHC(0), clock.System, clock.PHC(1)}
	r := newRack(map[clock.ID]*rackClock{ids[0]: {}, ids[1]: {}, ids[2]: {}}, ids...)
	r.run(time.Second, nil, 0)
	if len(r.asked) < 14 || len(r.asked) > 18 {
		t.Errorf("%d comparisons of two PHCs within a second, want 16", len(r.asked))
	}
	for i, p := range r.asked {
		if p.b != clock.System || p.a != ids[i%2*2] {
			t.Errorf("%v and %v are compared as number %d", p.a, p.b, i)
		}
	}
}

// TestComparisonsOfBeforeAStepAreIgnored has a clock of a pair stepped while they are compared.
func TestComparisonsOfBeforeAStepAreIgnored(t *testing.T) {
	for _, stepped := range []clock.ID{clock.PHC(0), clock.PHC(1), clock.PHC(2)} {
		r := newRack(map[clock.ID]*rackClock{clock.PHC(0): {}, clock.PHC(1): {}, clock.PHC(2): {}},
			clock.PHC(0), clock.PHC(1), clock.PHC(2))
		r.Wake(r.now) // two comparisons are under way
		if _, err := (*actuator)(r.Engine).Step(stepped, time.Second); err != nil {
			t.Fatal(err)
		}
		r.answer()
		used := 0
		for _, c := range r.graph.Reports(r.now, nil) {
			if c.Method != 0 && c.ID != clock.PHC(0) {
				used++
			}
		}
		want := map[clock.ID]int{clock.PHC(0): 0, clock.PHC(1): 1, clock.PHC(2): 1}[stepped]
		if used != want {
			t.Errorf("%v stepped: %d comparisons are used, want %d", stepped, used, want)
		}
		r.run(time.Second, nil, 0)
		for _, c := range r.graph.Reports(r.now, nil) {
			if c.Method == 0 {
				t.Errorf("%v stepped: %v is not compared any more", stepped, c.ID)
			}
		}
	}
}

// TestComparisonsWithoutAnAnswerAreAskedForAgain has a driver that does not answer.
func TestComparisonsWithoutAnAnswerAreAskedForAgain(t *testing.T) {
	r := newRack(map[clock.ID]*rackClock{clock.System: {}, clock.PHC(0): {}}, clock.System, clock.PHC(0))
	r.silent = true
	r.run(10*time.Second, nil, 0)
	if n := len(r.asked); n < 4 || n > 6 {
		t.Errorf("asked %d times within 10 s, want 5", n)
	}
}

// TestPausesForALeapSecond has the kernel carry out a leap second at any time between two comparisons: none is made while it
// does not show whether the clock has passed it.
func TestPausesForALeapSecond(t *testing.T) {
	const day = int64(24 * time.Hour)
	for phase := time.Duration(0); phase < compareInterval; phase += 5 * time.Millisecond {
		nic, now := clock.PHC(0), int64(time.Hour)
		midnight := (rackEpoch+now)/day*day + day
		r := newRack(map[clock.ID]*rackClock{nic: {}, clock.System: {}}, nic)
		system := r.clocks[clock.System]
		system.ahead = float64(midnight - int64(time.Second+phase) - rackEpoch - now)
		r.AddClock(r.now, ClockInfo{ID: clock.System, Scale: clock.UTC, Steer: true, MaxFrequency: 5e5, Leap: clock.LeapInsert,
			Reading: r.read(clock.System)})
		compared := 0
		for end, passed := r.now.Add(2*time.Second), false; r.now < end; {
			r.advance(max(r.NextWake(), r.now+1))
			left := midnight - r.read(clock.System).Nanoseconds()
			if !passed && left <= -int64(10*time.Millisecond) {
				passed = true
				system.ahead -= 1e9
			}
			before := len(r.asked)
			r.Wake(r.now)
			if n := len(r.asked) - before; n > 0 && !passed && left < int64(10*time.Millisecond) {
				t.Fatalf("phase %v: compared %v before the leap second", phase, time.Duration(left))
			}
			compared += len(r.asked) - before
			r.answer()
		}
		if leap := r.scales.Armed(); leap != clock.NoLeap || compared < 14 {
			t.Fatalf("phase %v: %d comparisons in 2 s, armed %v", phase, compared, leap)
		}
	}
}
