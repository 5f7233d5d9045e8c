// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

// ticks returns how often the tree wants to be woken within d.
func (r *rig) ticks(d time.Duration) (n int) {
	for range d / grain {
		if r.graph.NextWake() <= r.now.Add(grain) {
			n++
		}
		r.run(grain)
	}
	return n
}

// TestRest has a tree without a PHC be woken only where that makes a difference, and one with a PHC at each interval.
func TestRest(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Step = StepNever })
	r.graph.Remove(r.now, phc)
	if r.run(maxRest); r.ticks(60*second) > 31 {
		t.Error("it wants to be woken more than every other second, and there is nothing to steer")
	}
	r.measures, r.noise, r.clocks[clock.System].ns = clock.System, 500, r.true(clock.UTC)
	r.locked()
	if n := r.ticks(60 * second); n > 20 {
		t.Errorf("%d wake-ups in a minute with a sample each second", n)
	}
	r.measures = 0
	if n := r.ticks(60 * second); n < 29 || n > 60 {
		t.Errorf("%d wake-ups in a minute without a source", n)
	}
	r.measures = clock.System
	r.run(10 * second)
	r.lie = 50e3
	r.graph.Accept(r.now, r.measurement())
	r.sample()
	if n := r.ticks(second); n < 5 {
		t.Errorf("%d wake-ups in a second while an offset is being taken away", n)
	}
	r.run(60 * second)
	if e := r.error(clock.System) + 50e3; e < -1000 || e > 1000 {
		t.Errorf("off by %.0f ns from the source", e)
	}
	r.add(phc)
	if n := r.ticks(10 * second); n < 80 {
		t.Errorf("%d wake-ups in 10 s with a PHC", n)
	}
}
