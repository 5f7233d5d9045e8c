// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"slices"
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

// recent holds the latest measurements of a source.
type recent struct {
	points  [recentPoints]point
	next, n int
}

// recentPoints is the size of the clock filter of RFC 5905 §10.
const recentPoints = 8

// point is one measurement.
type point struct {
	at       clock.Mono
	residual float64 // ns by which the source was other than the host believed
	bound    time.Duration
}

func (r *recent) add(p point) {
	r.points[r.next] = p
	r.next = (r.next + 1) % recentPoints
	r.n = min(r.n+1, recentPoints)
}

// point returns the one that came back measurements before the latest; back is less than n.
func (r *recent) point(back int) *point {
	return &r.points[(r.next+2*recentPoints-1-back)%recentPoints]
}

func (r *recent) latest() *point { return r.point(0) }

// latestResidual is 0 if there is none.
func (r *recent) latestResidual() float64 {
	if r.n == 0 {
		return 0
	}
	return r.latest().residual
}

// jitter returns the standard deviation of the latest residuals from one to the next, in ns, apart from a trend of that
// ratio: from their median difference, which a jump does not touch.
func (r *recent) jitter(trend float64) float64 {
	var all [recentPoints]float64
	differences := all[:0]
	for i := 1; i < r.n; i++ {
		differences = append(differences, math.Abs(r.moved(i-1, i, trend)))
	}
	if len(differences) == 0 {
		return 0
	}
	slices.Sort(differences)
	return normalMedian * differences[len(differences)/2]
}

// moved returns by how much the residual differs between two points, apart from a trend.
func (r *recent) moved(later, earlier int, trend float64) float64 {
	a, b := r.point(later), r.point(earlier)
	return a.residual - b.residual - trend*float64(a.at.Sub(b.at))
}

// normalMedian is the standard deviation of normal values by the median magnitude of the difference of two of them.
const normalMedian = 1.0484

// shift moves the residuals when the host's belief has moved by ns.
func (r *recent) shift(ns float64) {
	for i := range r.n {
		r.point(i).residual -= ns
	}
}

// forgetBefore drops what was measured before then.
func (r *recent) forgetBefore(then clock.Mono) {
	for r.n > 0 && r.point(r.n-1).at < then {
		r.n--
	}
}

// best returns the point with the least error now, and that error, for a host whose clock may run off by rate (ratio).
func (r *recent) best(now clock.Mono, rate float64) (p point, bound time.Duration) {
	bound = math.MaxInt64
	for i := range r.n {
		q := *r.point(i)
		b := clock.Sum(q.bound, clock.Nanoseconds(rate*float64(now.Sub(q.at))))
		if b <= bound {
			p, bound = q, b
		}
	}
	return p, bound
}

// trend returns how fast, as a ratio, the host's clock runs off from the source, as the latest measurements tell, and by
// how much that may be wrong.
func (r *recent) trend() (ratio, rate float64) {
	if r.n < trendNeeded {
		return 0, wildRate
	}
	first, last := r.point(r.n-1), r.point(0)
	span := float64(max(1, last.at.Sub(first.at)))
	if rate = float64(clock.Sum(first.bound, last.bound)) / span; rate >= wildRate {
		return 0, wildRate
	}
	return (last.residual - first.residual) / span, rate
}
