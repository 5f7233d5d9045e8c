// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/estimate"
)

// edge is what crossings say of two clocks of the host: the free-running a less the free-running b, over the time that the
// oscillator of a shows. a is the clock with the smaller ID, so that the system clock is always a. The first crossing of two
// clocks makes their edge, and it goes with either of them.
type edge struct {
	a, b     *node
	estimate *estimate.Estimator
	open     bracket // what crossings leave open of it
	windows  estimate.DelaySpread
	lean     estimate.Lean
	window   time.Duration // of the last crossing
	method   clock.Method

	oddSince  clock.Mono // of the first crossing, since the last one as expected, that was not so; 0 if there is none
	witnessed bool       // the source has measured the root since, and found it off by miss ns
	miss      float64
}

func newEdge(a, b *node) *edge {
	e := &edge{a: a, b: b, estimate: estimate.New()}
	e.estimate.SetFrequency(0, wildFrequency)
	return e
}

// wildFrequency is the standard deviation, in ppb, of what two clocks may differ by of which nothing is known: 2 %, more than
// any clock is off. Crossings are so precise that the second one tells the frequency all the same.
const wildFrequency = 2e7

// other returns the clock that the edge joins n with, nil if n is not at either end.
func (e *edge) other(n *node) *node {
	switch n {
	case e.a:
		return e.b
	case e.b:
		return e.a
	}
	return nil
}

// carry takes an estimate of one end, when its oscillator shows at, over to the other end, to. A frequency error is one per
// unit of the clock's own time. The offset of the estimate is base + est, ns.
func (e *edge) carry(to *node, est estimate.State, base, at int64) (estimate.State, int64, int64) {
	if to == e.b {
		offset, ab := e.estimate.At(at)
		est = est.Minus(ab)
		est.Frequency /= pace(ab.Frequency)
		return est, base - offset, clock.Sum(at, -offset, -clock.Int64(ab.Offset))
	}
	offset, ab := e.estimate.At(e.estimate.Time())
	at = clock.Sum(at, offset, clock.Int64(ab.Offset)) // what the oscillator of a shows, but for what they part in the meantime
	offset, ab = e.estimate.At(at)
	est.Frequency *= pace(ab.Frequency)
	return est.Plus(ab), base + offset, at
}

// pace returns how fast b runs by the time of a, for an edge whose offset grows by ppb. What nothing runs at is not
// reckoned with: an estimate may be absurd for a while.
func pace(ppb float64) float64 { return 1 - max(-5e8, min(5e8, ppb))/1e9 }

// frequency returns what n's oscillator is wrong by, in ppb, if the other end is right, and the variance of that.
func (e *edge) frequency(n *node) (ppb, variance float64) {
	_, est := e.estimate.At(e.estimate.Time()) // over the time of a
	if n == e.b {
		return -est.Frequency / pace(est.Frequency), est.FrequencyVar
	}
	return est.Frequency, est.FrequencyVar
}

// carryBracket takes where the truth is beside the estimate of one end over to the other end, to.
func (e *edge) carryBracket(to *node, b bracket, now clock.Mono) bracket {
	if to == e.a {
		return b.plus(e.bracketNow(now))
	}
	return b.minus(e.bracketNow(now))
}

// bracketNow returns what is open now of the edge: what its crossings leave together, and not more than half of a window
// beside where chance may have put the estimate.
func (e *edge) bracketNow(now clock.Mono) bracket {
	b := e.open
	at := e.a.freeTime(e.a.reading(now))
	b.widen(runOff(e.estimate, at, 0))
	_, est := e.estimate.At(at)
	chance := float64(e.window)/2 + confidence(e.estimate.Observations())*est.Sigma()
	if low, high := max(b.low, -chance), min(b.high, chance); low <= high {
		b.low, b.high = low, high
	}
	return b
}

// resolution returns the standard deviation of a crossing whatever its window, in ns: clocks are read in whole ticks, and
// a new frequency is in force a little before or after the reading that is noted for it.
func (e *edge) resolution() float64 {
	a, b := e.a, e.b
	late := (math.Abs(b.applied-b.crossedAt) + math.Abs(a.applied-a.crossedAt)) * effectLatency // ppb · s = ns
	b.crossedAt, a.crossedAt = b.applied, a.applied
	return crossingResolution + late
}

// witness reports whether the source has seen the root move by ns, rather than not at all. It sees half of that where the
// way there was measured after the move and the way back before it: a quarter is midway between that and nothing.
func (e *edge) witness(by int64) bool { return e.miss/float64(by) > 0.25 }

// clearOdd ends what began with a crossing that was not as expected.
func (e *edge) clearOdd() { e.oddSince, e.witnessed = 0, false }

// between returns the edge of two clocks, which it makes if there is none.
func (g *Graph) between(a, b *node) *edge {
	for _, e := range g.edges {
		if e.a == a && e.b == b {
			return e
		}
	}
	e := newEdge(a, b)
	g.edges = append(g.edges, e)
	slices.SortFunc(g.edges, func(x, y *edge) int { return cmp.Or(cmp.Compare(x.a.id, y.a.id), cmp.Compare(x.b.id, y.b.id)) })
	return e
}

// edgeOf returns an edge of the clock, nil if there is none: the one to the clock with the smallest ID.
func (g *Graph) edgeOf(n *node) *edge {
	for _, e := range g.edges {
		if e.other(n) != nil {
			return e
		}
	}
	return nil
}

// hop is an edge on the way from one clock to another, and the end of it that is next.
type hop struct {
	*edge
	to *node
}

// path returns the way from one clock to another over the fewest edges, found breadth first from its end. It is valid until
// the next call, and not ok if there is no way.
func (g *Graph) path(from, to *node) (_ []hop, ok bool) {
	g.hops, g.found = g.hops[:0], append(g.found[:0], to)
	for _, n := range g.nodes {
		n.toward = nil
	}
	for i := 0; i < len(g.found) && from != to && from.toward == nil; i++ {
		for _, e := range g.edges {
			if n := e.other(g.found[i]); n != nil && n != to && n.toward == nil {
				n.toward = e
				g.found = append(g.found, n)
			}
		}
	}
	for n := from; n != to; {
		e := n.toward
		if e == nil {
			return nil, false
		}
		n = e.other(n)
		g.hops = append(g.hops, hop{e, n})
	}
	return g.hops, true
}

// carry takes an estimate of one clock, when its oscillator shows at, over to another. Both are against the scale of the
// clock that they are of. It is not ok if there is no way between the two.
func (g *Graph) carry(from, to *node, est estimate.State, base, at int64) (estimate.State, int64, int64, bool) {
	way, ok := g.path(from, to)
	for _, h := range way {
		est, base, at = h.edge.carry(h.to, est, base, at)
	}
	return est, base + g.scaleLead(from) - g.scaleLead(to), at, ok
}

// carryBracket takes where the truth is beside the estimate of one clock over to another.
func (g *Graph) carryBracket(from, to *node, b bracket, now clock.Mono) (_ bracket, ok bool) {
	way, ok := g.path(from, to)
	for _, h := range way {
		b = h.edge.carryBracket(h.to, b, now)
	}
	return b, ok && b.known
}

// follower returns the end of the edge that hangs from the root by it, nil if there is none.
func (g *Graph) follower(e *edge) *node {
	if g.root == nil {
		return nil
	}
	for _, n := range [2]*node{e.a, e.b} {
		if way, ok := g.path(g.root, n); ok && len(way) > 0 && way[len(way)-1].edge == e {
			return n
		}
	}
	return nil
}
