// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"math"
	"testing"

	"github.com/lockstep-time/lockstep/clock"
)

// coarse is a locked host whose PTP clock takes its frequency in steps of 119.2 ppb; in the middle between two of them it
// would run right at duty 0.5.
func coarse(t *testing.T, duty float64) *rig {
	r := newRig(t, nil)
	c := r.clocks[phc]
	c.quantum, c.wander, r.noise, c.error = 119.2, 0, 1, (168+duty)*119.2
	r.clocks[clock.System].wander = 0
	r.graph.Remove(r.now, phc)
	r.add(phc)
	r.locked()
	r.run(60 * second)
	return r
}

// TestQuantum has a clock that takes its frequency in coarse steps: in the mean it runs right, and it stays close.
func TestQuantum(t *testing.T) {
	for _, duty := range []float64{0, 0.04, 0.3, 0.5, 0.99} {
		r := coarse(t, duty)
		before, sets, most, n := r.error(phc), r.clocks[phc].sets, 0.0, 3200
		for range n {
			r.run(grain)
			most = max(most, math.Abs(r.error(phc)))
		}
		seconds := float64(n) * grain.Seconds()
		if ppb := (r.error(phc) - before) / seconds; math.Abs(ppb) > 0.2 || most > 12 {
			t.Errorf("duty %g: in the mean it runs %.2f ppb wrong, and is up to %.1f ns off", duty, ppb, most)
		}
		if rate := float64(r.clocks[phc].sets-sets) / seconds; rate < 0.9 || rate > 11 {
			t.Errorf("duty %g: its frequency is set %.1f times a second", duty, rate)
		}
	}
}

// TestQuantumIsWokenFor only where nothing else is due when the residual is large.
func TestQuantumIsWokenFor(t *testing.T) {
	for _, duty := range []float64{0.1, 0.5} {
		r := coarse(t, duty)
		if n := r.ticks(20 * second); n > 20*14 {
			t.Errorf("duty %g: %d wake-ups in 20 s", duty, n)
		}
	}
}

// TestQuantumOtherFrequency has somebody else set the frequency of a clock that runs by the same multiple all the time.
func TestQuantumOtherFrequency(t *testing.T) {
	r := coarse(t, 0)
	right := r.clocks[phc].applied
	r.clocks[phc].applied += 1000
	if r.run(2 * second); math.Abs(r.clocks[phc].applied-right) > 200 {
		t.Errorf("it still runs by %.1f ppb, right is %.1f", r.clocks[phc].applied, right)
	}
}

// TestQuantumAtTheEnd leaves the clock at the multiple nearest to the frequency that it has learned.
func TestQuantumAtTheEnd(t *testing.T) {
	for _, duty := range []float64{0.1, 0.4, 0.6, 0.9} {
		r := coarse(t, duty)
		r.graph.SetLearnedFrequencies(r.now)
		if c := r.clocks[phc]; math.Abs(c.applied+c.error) > c.quantum/2+1 {
			t.Errorf("duty %g: it is left running %.1f ppb wrong", duty, c.applied+c.error)
		}
	}
}

// TestQuantumBeyondTheRange has a clock that would have to run faster than it can: nobody is woken for what cannot be done.
func TestQuantumBeyondTheRange(t *testing.T) {
	r := newRig(t, nil)
	c := r.clocks[phc]
	c.quantum, c.error = 119.1, -6e5 // it takes 5e5 at most, and the multiple next to that is below
	r.graph.Remove(r.now, phc)
	r.add(phc)
	r.graph.Follow(r.now, phc)
	r.run(30 * second)
	if n := r.ticks(20 * second); n > 20*14 || r.clocks[phc].applied < 4.99e5 {
		t.Errorf("%d wake-ups in 20 s, running by %g ppb", n, r.clocks[phc].applied)
	}
}
