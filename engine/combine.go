// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/source"
)

// bias is what a source's samples differ by from the time that the host is steered to: their weighed mean residual.
type bias struct {
	ns, weight float64
	learned    int
}

const (
	biasMemory = 32 // samples over which a bias is learned
	biasNeeded = 4
	biasSigmas = 3 // standard deviations within which a bias may as well be chance
)

// learn takes in a residual, in ns, of that variance.
func (b *bias) learn(residual, variance float64) {
	w := 1 / max(variance, 1)
	b.weight = b.weight*(1-1.0/biasMemory) + w
	b.ns += (residual - b.ns) * w / b.weight
	b.learned = min(b.learned+1, biasMemory)
}

// value returns the bias as far as it is beyond chance, in ns.
func (b *bias) value() float64 {
	square, chance := b.ns*b.ns, biasSigmas*biasSigmas/b.weight
	if !b.known() || square <= chance {
		return 0
	}
	return b.ns * (1 - chance/square)
}

func (b *bias) known() bool { return b.learned >= biasNeeded }

// followed reports whether samples of the source steer the clocks.
func (e *Engine) followed(s *tracked) bool {
	if e.leader == nil || s.suspect || s.clock != e.graph.Root() {
		return false
	}
	return s == e.leader || s.verdict.State == source.Combined && s.bias.known() && e.leader.bias.known()
}

// learnBias finds out what a source is wrong by. If a better kind of source leads, that is against this one; else it is
// against the time that the servers have in common.
func (e *Engine) learnBias(now clock.Mono, s *tracked, residual float64, m *source.Sample) {
	if !s.Traits.Combinable || s.suspect || s.verdict.State == source.Falseticker || e.leader == nil || e.leader.suspect ||
		!e.graph.Locked(now) {
		return
	}
	if !e.leader.Traits.Combinable && !e.anchored {
		e.anchored = true
		for _, o := range e.sources {
			o.bias = bias{} // it was against something worse
		}
	}
	variance := m.Variance
	if m.DelayVariance > 0 {
		variance = max(m.DelayVariance, m.Variance/64)
	}
	s.bias.learn(residual, variance)
}

// corrected returns a measurement of a source that is followed as one of the time that the host is steered to. Of what
// it bounds nothing is lost.
func (e *Engine) corrected(s *tracked, m source.Sample) source.Sample {
	ns := e.correction(s)
	m.OffsetFraction -= ns
	m.MaxError = clock.Sum(m.MaxError, clock.Nanoseconds(math.Abs(ns)))
	return m
}

// correction is by how many ns a followed server differs from the time that the host is steered to. The leader's is the
// anchor; the others are tied to the leader by what their biases differ by, in which what the host is off by itself
// cancels out. So several servers that differ pull the clock nowhere between each other's samples.
func (e *Engine) correction(s *tracked) float64 {
	switch {
	case !s.Traits.Combinable:
		return 0
	case s == e.leader || e.leader == nil:
		return e.anchor
	}
	return e.anchor + s.bias.value() - e.leader.bias.value()
}

// place has a new leader tell the time that the host has been steered to so far, as far as it is known how the two differ.
func (e *Engine) place(s *tracked) {
	e.anchor = 0
	if s.Traits.Combinable {
		e.anchor = s.bias.value()
	}
}

// settle moves the time that the host is steered to slowly towards the weighed mean of the combined servers, unless a
// better kind of source has set it.
func (e *Engine) settle(now clock.Mono) {
	if e.anchored || !e.leader.bias.known() {
		return
	}
	var sum, weight float64
	for _, s := range e.sources {
		if s.n > 0 && s.bias.known() && e.followed(s) {
			w := 1 / s.variance(now)
			sum += w * s.bias.ns
			weight += w
		}
	}
	if weight > 0 {
		e.anchor += (e.leader.bias.ns - sum/weight - e.anchor) / biasMemory
	}
}

// variance of what a source says, in ns²: its noise, and what its root distance leaves open, all of that alike.
func (s *tracked) variance(now clock.Mono) float64 {
	_, bound := s.best(now, 0)
	noise := s.jitter(0)
	return noise*noise + float64(bound)*float64(bound)/3 + 1
}
