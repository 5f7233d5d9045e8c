// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"math"

	"github.com/lockstep-time/lockstep/estimate"
)

// bracket is where the truth is, as far as it can be vouched for: the root's free-running clock less true time is within
// [low, high] of what is estimated, in ns. Each measurement is off by its own maximum error at most, so that what several
// of them have in common is narrower than any of them. How far the estimate may run off between measurements widens it.
type bracket struct {
	low, high float64
	known     bool
}

// widen by what may go wrong on either side.
func (b *bracket) widen(ns float64) { b.low, b.high = b.low-ns, b.high+ns }

// moved says that the estimate has moved by ns.
func (b *bracket) moved(ns float64) { b.low, b.high = b.low-ns, b.high-ns }

// narrow takes in a measurement that puts the truth within bound of ns beside the estimate. If that contradicts what was
// vouched for before, one of the two is wrong, and both remain possible.
func (b *bracket) narrow(ns, bound float64) {
	low, high := ns-bound, ns+bound
	switch {
	case !b.known:
		*b = bracket{low, high, true}
	case low > b.high || high < b.low:
		b.low, b.high = min(b.low, low), max(b.high, high)
	default:
		b.low, b.high = max(b.low, low), min(b.high, high)
	}
}

// admit makes it possible besides that the truth is within bound of the estimate.
func (b *bracket) admit(bound float64) { b.low, b.high = min(b.low, -bound), max(b.high, bound) }

// most returns how far a clock can be off at most that is estimated to be offset ns ahead.
func (b *bracket) most(offset float64) float64 {
	return max(math.Abs(offset+b.low), math.Abs(offset+b.high))
}

// half returns half of the width.
func (b *bracket) half() float64 { return (b.high - b.low) / 2 }

// plus returns where the truth is for the sum of two offsets, minus for their difference.
func (b bracket) plus(o bracket) bracket {
	return bracket{b.low + o.low, b.high + o.high, b.known && o.known}
}

func (b bracket) minus(o bracket) bracket {
	return bracket{b.low - o.high, b.high - o.low, b.known && o.known}
}

// observe has an estimate, and the bracket beside it, follow an observation that may be off by bound ns at most. The
// oscillator is taken to wander by so many ppb per root second at least.
func (b *bracket) observe(e *estimate.Estimator, o estimate.Observation, bound, wander float64) estimate.Verdict {
	return observe(e, o, wander, limit{b, bound})
}

// brackets are two of one estimate. The full one assumes nothing of how a delay is shared between the way there and
// the way back: with it the host votes on its sources. The stated one, which is reported, takes it to be shared as evenly as
// the configuration says.
type brackets struct{ full, stated bracket }

// observe is the same for both: a measurement is off by even ns less at most if its delay is shared evenly.
func (p *brackets) observe(e *estimate.Estimator, o estimate.Observation, bound, even, wander float64) estimate.Verdict {
	return observe(e, o, wander, limit{&p.full, bound}, limit{&p.stated, bound - even})
}

func (p *brackets) moved(ns float64) {
	p.full.moved(ns)
	p.stated.moved(ns)
}

func (p *brackets) admit(bound float64) {
	p.full.admit(bound)
	p.stated.admit(bound)
}

// limit is what one observation may be off by, in ns, and the bracket that it narrows.
type limit struct {
	*bracket
	ns float64
}

func observe(e *estimate.Estimator, o estimate.Observation, wander float64, limits ...limit) estimate.Verdict {
	_, before := e.At(o.Time)
	ran := runOff(e, o.Time, wander)
	v := e.Observe(o)
	if v != estimate.Used {
		return v
	}
	base, est := e.At(o.Time)
	for _, l := range limits {
		if l.known {
			l.widen(ran)
			l.moved(est.Offset - before.Offset)
		}
		l.narrow(float64(o.Offset-base)+o.OffsetFraction-est.Offset, l.ns)
	}
	return v
}

// runOff returns by how much a clock may have run off, in ns, from where it is believed to be since it was observed last
// and until its oscillator shows at: confidence standard deviations.
func runOff(e *estimate.Estimator, at int64, wander float64) float64 {
	last := e.Time()
	_, est := e.At(last)
	est = estimate.State{FrequencyVar: est.FrequencyVar}.After(float64(max(0, at-last))/1e9, max(wander, e.MostWander()))
	return confidence(e.Observations()) * est.Sigma()
}

// confidence is how many standard deviations a maximum error covers after so many observations.
func confidence(observations int) float64 {
	return BoundSigmas * (1 + fewSamples/float64(max(observations, 1)))
}

// BoundSigmas is how many standard deviations a maximum error covers. As long as there are about fewSamples or less, the
// standard deviation is itself a guess, and as many times more are covered as one sample would need for each. Chosen by
// simulation: the bound is to cover all samples of a run.
const (
	BoundSigmas = 5
	fewSamples  = 4
)
