// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

const (
	// compareInterval is the time between crossings of two clocks, and between updates of the clocks' frequencies: chosen by
	// simulation.
	compareInterval = 125 * time.Millisecond
	// answerTimeout is the time after which a comparison is asked for again: the driver may be unable to make it now.
	answerTimeout = 2 * time.Second
)

// pair of clocks, the one with the smaller ID last: the system clock if it is one of them.
type pair struct{ a, b clock.ID }

func pairOf(x, y clock.ID) pair { return pair{max(x, y), min(x, y)} }

// comparison of a pair of clocks that the driver was asked for.
type comparison struct {
	asked clock.Mono
	// underWay: it has not been handed over yet; stale: it is of no use, as one of the clocks was stepped or replaced since.
	underWay, stale bool
}

// compare has each PHC compared with the system clock. Without one that is the first PHC for the others.
func (e *Engine) compare(now clock.Mono) {
	middle := clock.ID(0)
	if e.graph.Has(clock.System) {
		middle = clock.System
	}
	for id := range e.graph.PHCs() {
		if middle == 0 {
			middle = id
			continue
		}
		p := pairOf(id, middle)
		c := e.comparisons[p]
		if c.underWay && now.Sub(c.asked) < answerTimeout {
			continue // one at a time: there must be no doubt which one is from before a step
		}
		c.underWay, c.asked = true, now
		e.comparisons[p] = c
		e.driver.Compare(p.a, p.b)
	}
}

// Crossed hands over the comparison that the driver was asked for. If err says that there is none, the readings of c say
// nothing but which clocks it is about.
func (e *Engine) Crossed(now clock.Mono, c clock.Crossing, err error) {
	e.now = now
	ends := [2]clock.ID{c.A.Clock(), c.B.Clock()}
	p := pairOf(ends[0], ends[1])
	asked := e.comparisons[p]
	stale := asked.stale
	asked.stale, asked.underWay = false, false
	e.comparisons[p] = asked
	if err != nil || stale || e.paused(now) {
		return
	}
	e.graph.Cross(now, c)
	for _, end := range ends {
		if end != e.graph.Root() {
			e.observe(now, end)
		}
	}
}

// outdate has the comparisons of a clock ignored that are under way.
func (e *Engine) outdate(id clock.ID) {
	for p, c := range e.comparisons {
		if p.a == id || p.b == id {
			c.stale = c.underWay
			e.comparisons[p] = c
		}
	}
}
