// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

var phc1, phc2 = clock.PHC(1), clock.PHC(2)

// other returns the other one of the first two PHCs.
func other(id clock.ID) clock.ID {
	if id == phc {
		return phc1
	}
	return phc
}

const seeds = 4 // each with other oscillators

// pairRig returns a host of PHCs and perhaps a system clock whose oscillators, and what they show at first, are drawn at
// random. Of the pairs each is compared.
func pairRig(t *testing.T, seed uint64, pairs ...[2]clock.ID) *rig {
	r := emptyRig(t, seed, nil)
	r.spread, r.pairs = 100, pairs
	for _, p := range pairs {
		for _, id := range p {
			if r.clocks[id] != nil {
				continue
			}
			c := &oscillator{scale: clock.TAI, error: 1e5 * (r.rng.Float64() - 0.5), wander: 1}
			if id == clock.System {
				c.scale = clock.UTC
			}
			c.ns = r.true(c.scale) + r.rng.Int64N(120e9) - 60e9
			r.has(id, c)
		}
	}
	return r
}

// eachSeed runs a test for several hosts of which the given pairs are compared.
func eachSeed(t *testing.T, test func(r *rig), pairs ...[2]clock.ID) {
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { test(pairRig(t, seed, pairs...)) })
	}
}

// covered lets time pass and fails when a clock is further off than its maximum error or than most, in ns.
func (r *rig) covered(most float64, d time.Duration) {
	r.Helper()
	for range d / second {
		r.run(second)
		for _, id := range r.order {
			e := math.Abs(r.error(id))
			if bound, ok := r.graph.MaxError(r.now, id); !ok || e > float64(bound) || e > most {
				r.Fatalf("%v is %.0f ns off, stated at most %v (known: %t), want %.0f", id, e, bound, ok, most)
			}
		}
	}
}

func TestTwoPHCsWithoutASystemClock(t *testing.T) {
	eachSeed(t, func(r *rig) {
		r.locked()
		r.run(30 * second)
		r.covered(150, 120*second)
		if r.steps != 2 {
			r.Errorf("%d steps, want one of each clock", r.steps)
		}
		reports := r.graph.Reports(r.now, nil)
		if x := reports[1]; x.ID != phc1 || x.Parent != phc || !x.Locked || x.Window != 500 || x.Method != clock.Extended {
			r.Errorf("%+v", x)
		}
		r.measures = 0 // holdover
		r.graph.Follow(r.now, 0)
		r.covered(30_000, 300*second)
	}, [2]clock.ID{phc, phc1})
}

// TestCrossingsWorkEitherWay has the clocks of a crossing now in this order, now in the other.
func TestCrossingsWorkEitherWay(t *testing.T) {
	for _, pair := range [][2]clock.ID{{phc, phc1}, {phc, clock.System}} {
		eachSeed(t, func(r *rig) {
			r.locked()
			r.run(30 * second)
			for range 20 {
				r.pairs[0][0], r.pairs[0][1] = r.pairs[0][1], r.pairs[0][0]
				r.covered(150, 3*second)
			}
			if n := len(r.graph.edges); n != 1 {
				r.Errorf("%d edges", n)
			}
		}, pair)
	}
}

// TestCrossingsLeaveOpenWhatTheyMay compares clocks over one edge, in both directions.
func TestCrossingsLeaveOpenWhatTheyMay(t *testing.T) {
	for _, root := range []clock.ID{phc, phc1} {
		eachSeed(t, func(r *rig) {
			r.measures = root
			r.locked()
			r.run(60 * second)
			full := r.graph.open.full
			for id, least := range map[clock.ID]float64{root: 0, other(root): 50} { // of two times 250 ns, drawn within 100
				b, ok := r.graph.bracketOf(full, r.graph.node(id), r.now)
				if wider := b.half() - full.half(); !ok || wider < least || wider > 300 {
					r.Errorf("%v: %.0f ns wider than what the source leaves open, want %.0f to 300", id, wider, least)
				}
			}
		}, [2]clock.ID{phc, phc1})
	}
}

func TestChainOfClocks(t *testing.T) {
	eachSeed(t, func(r *rig) {
		r.locked()
		r.run(60 * second)
		r.covered(200, 120*second)
		parents := map[clock.ID]clock.ID{}
		for _, x := range r.graph.Reports(r.now, nil) {
			parents[x.ID] = x.Parent
		}
		if parents[phc1] != phc || parents[clock.System] != phc1 {
			r.Errorf("parents %v", parents)
		}
		near, _ := r.graph.MaxError(r.now, phc1)
		if far, _ := r.graph.MaxError(r.now, clock.System); far <= near {
			r.Errorf("maximum error %v behind one of %v", far, near)
		}
	}, [2]clock.ID{phc, phc1}, [2]clock.ID{phc1, clock.System})
}

// TestTheSourceMovesAlongAChain follows a source of each clock in turn, without a bump.
func TestTheSourceMovesAlongAChain(t *testing.T) {
	eachSeed(t, func(r *rig) {
		r.locked()
		r.run(60 * second)
		steps := r.steps
		for _, id := range []clock.ID{clock.System, phc1, phc} {
			r.measures = id
			r.graph.Follow(r.now, id)
			r.covered(300, 60*second)
			if r.graph.Root() != id {
				r.Fatalf("the root is %v", r.graph.Root())
			}
		}
		if r.steps != steps {
			r.Errorf("%d steps by following others", r.steps-steps)
		}
	}, [2]clock.ID{phc, phc1}, [2]clock.ID{phc1, clock.System})
}

// TestRemovingTheMiddleClock parts the clocks on either side of it.
func TestRemovingTheMiddleClock(t *testing.T) {
	eachSeed(t, func(r *rig) {
		r.locked()
		r.run(60 * second)
		r.graph.Remove(r.now, phc1)
		if _, ok := r.graph.Estimate(r.now, clock.System); ok || r.graph.Root() != phc {
			r.Fatalf("the system clock is known, by root %v", r.graph.Root())
		}
		applied := r.clocks[clock.System].applied
		r.run(10 * second)
		if r.clocks[clock.System].applied != applied {
			r.Error("the system clock is steered by nothing")
		}
		r.within(phc, 150, 10*second)
		r.clocks[phc1].applied, r.clocks[phc1].ns = 0, r.clocks[phc1].ns-20e9 // another device
		r.add(phc1)
		r.run(20 * second)
		r.covered(300, 60*second)
	}, [2]clock.ID{phc, phc1}, [2]clock.ID{phc1, clock.System})
}

// TestRemovingTheRoot leaves what is known with a clock that was compared with it.
func TestRemovingTheRoot(t *testing.T) {
	for _, c := range []struct {
		name  string
		pairs [][2]clock.ID
		heir  clock.ID
	}{
		{"two PHCs", [][2]clock.ID{{phc, phc1}}, phc1},
		{"a PHC and the system clock", [][2]clock.ID{{phc, phc1}, {phc, clock.System}}, clock.System},
		{"the middle of three PHCs", [][2]clock.ID{{phc, phc1}, {phc, phc2}}, phc1},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachSeed(t, func(r *rig) {
				r.locked()
				r.run(60 * second)
				r.measures = 0
				r.graph.Remove(r.now, phc)
				if r.graph.Root() != c.heir || !r.graph.Known() {
					r.Fatalf("root %v, known %t", r.graph.Root(), r.graph.Known())
				}
				for range 20 {
					r.run(second)
					bound, ok := r.graph.MaxError(r.now, c.heir)
					if e := math.Abs(r.error(c.heir)); !ok || e > float64(bound) || e > 1000 {
						r.Fatalf("%v is %.0f ns off, stated at most %v", c.heir, e, bound)
					}
				}
			}, c.pairs...)
		})
	}
}

// TestForeignStepOfAPHC has somebody else set one of two PHCs. It is found out which one, and the other is not disturbed.
func TestForeignStepOfAPHC(t *testing.T) {
	for _, by := range []int64{30e3, -1e6, 40e6, -200e6, 5e9} {
		for _, root := range []clock.ID{phc, phc1} {
			for _, victim := range []clock.ID{phc, phc1} {
				t.Run(fmt.Sprintf("source of %v, %v by %v", root, victim, time.Duration(by)), func(t *testing.T) {
					eachSeed(t, func(r *rig) { r.foreignStep(root, victim, by) }, [2]clock.ID{phc, phc1})
				})
			}
		}
	}
}

func (r *rig) foreignStep(root, victim clock.ID, by int64) {
	r.measures = root
	r.locked()
	r.run(60 * second)
	r.events = nil
	r.clocks[victim].ns += by
	r.within(other(victim), 500, 8*second)
	if !r.saw(victim.String()+" jumped") || r.saw(other(victim).String()+" jumped") {
		r.Fatalf("%v", r.events)
	}
	r.run(10 * second)
	r.covered(300, 60*second)
}

// TestForeignStepWithoutASource is taken for one of the PHC that hangs from the other: nothing tells of a small one.
func TestForeignStepWithoutASource(t *testing.T) {
	for _, root := range []clock.ID{phc, phc1} {
		eachSeed(t, func(r *rig) {
			r.measures = root
			r.locked()
			r.run(60 * second)
			r.measures = 0
			r.graph.Follow(r.now, 0)
			hanging := other(root)
			r.clocks[hanging].ns += 100e3
			r.run(20 * second)
			if !r.saw(hanging.String() + " jumped") {
				r.Errorf("%v", r.events)
			}
			r.covered(5000, 10*second)
		}, [2]clock.ID{phc, phc1})
	}
}

// TestTheShortestWayCounts compares all of three clocks with each other.
func TestTheShortestWayCounts(t *testing.T) {
	eachSeed(t, func(r *rig) {
		r.locked()
		r.run(30 * second)
		r.covered(150, 60*second)
		for _, x := range r.graph.Reports(r.now, nil)[1:] {
			if x.Parent != phc {
				r.Errorf("%v hangs from %v", x.ID, x.Parent)
			}
		}
		r.graph.Remove(r.now, phc1)
		r.within(phc, 150, 20*second)
		r.within(clock.System, 150, 20*second)
	}, [2]clock.ID{phc1, clock.System}, [2]clock.ID{phc, phc1}, [2]clock.ID{phc, clock.System})
}

// TestResidualsBeforeAnythingIsBelieved are against the clock that was added first.
func TestResidualsBeforeAnythingIsBelieved(t *testing.T) {
	eachSeed(t, func(r *rig) {
		first := r.order[0]
		residual := func(id clock.ID) (float64, bool) {
			r.measures = id
			m := r.measurement()
			return r.graph.Residual(r.now, m.At, m.Offset, m.OffsetFraction)
		}
		if _, ok := residual(phc1); ok {
			r.Error("clocks are compared that have no crossing")
		}
		r.measures = 0
		r.run(5 * second)
		for _, id := range r.order {
			if ns, ok := residual(id); !ok || math.Abs(ns-r.error(first)) > 300 {
				r.Errorf("residual of %v %.0f ns, %t, want %.0f", id, ns, ok, r.error(first))
			}
		}
	}, [2]clock.ID{phc, phc1}, [2]clock.ID{phc1, phc2})
}
