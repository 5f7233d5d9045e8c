// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"iter"
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

// Report on one clock.
type Report struct {
	ID    clock.ID
	Scale clock.Scale
	// Root says that the source measures this clock; Parent is the clock it hangs from otherwise, 0 if from none.
	Root   bool
	Parent clock.ID
	// Steered: it has a servo, of that name.
	Steered bool
	Servo   string
	// Known says that Offset and MaxError are.
	Known                       bool
	Offset, OffsetRMS, MaxError time.Duration
	// Frequency correction in force, and the learned one that cancels the oscillator's error; ppb.
	Frequency, Learned float64
	Locked             bool
	Updated            clock.Mono
	Steps              uint64
	// Method and Window of the PHC's last crossing with the system clock, or else with another clock; 0 of the system clock.
	Method clock.Method
	Window time.Duration
	Err    error
}

// Reports appends a report on each clock to dst, the root first.
func (g *Graph) Reports(now clock.Mono, dst []Report) []Report {
	if g.root != nil {
		dst = append(dst, g.report(g.root, now))
	}
	for _, n := range g.nodes {
		if n != g.root {
			dst = append(dst, g.report(n, now))
		}
	}
	return dst
}

func (g *Graph) report(n *node, now clock.Mono) Report {
	r := Report{ID: n.id, Scale: n.scale, Root: n == g.root, Steered: n.servo != nil, Frequency: n.applied,
		Learned: n.servoHold(), Locked: n.locked, Updated: n.steered, Steps: n.steps, Err: n.err,
		Offset: clock.Nanoseconds(n.offset), OffsetRMS: clock.Nanoseconds(n.rms())}
	if n.servo != nil {
		r.Servo = n.servo.Name()
	}
	if e := g.edgeOf(n); e != nil && n.id != clock.System {
		r.Method, r.Window = e.method, e.window
	}
	r.MaxError, r.Known = g.MaxError(now, n.id)
	if g.root != nil && n != g.root && r.Known {
		way, _ := g.path(g.root, n)
		r.Parent = way[len(way)-1].edge.other(n).id
	}
	return r
}

// PHCs ranges over the clocks of the graph but for the system clock.
func (g *Graph) PHCs() iter.Seq[clock.ID] {
	return func(yield func(clock.ID) bool) {
		for _, n := range g.nodes {
			if n.id != clock.System && !yield(n.id) {
				return
			}
		}
	}
}

// Locked reports whether all clocks that are steered and can be related to the source are locked, and there is one.
func (g *Graph) Locked(now clock.Mono) bool {
	found := false
	for _, n := range g.nodes {
		if n.servo == nil {
			continue
		}
		if _, ok := g.estimate(n, now); !ok {
			continue
		}
		if !n.locked {
			return false
		}
		found = true
	}
	return found
}
