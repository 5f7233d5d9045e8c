// SPDX-License-Identifier: Apache-2.0

package estimate

import (
	"math"
	"slices"
)

// Plateau is the mean of the latest delays of a path, as long as they are alike. It starts anew when several in a row have
// been longer, or shorter, than chance explains. The zero Plateau knows nothing. It belongs to one goroutine.
type Plateau struct {
	mean, variance float64 // ns, ns²
	n              int
	// the last run delays, whose sum is aside, were all beyond the rest on one side
	run   int
	sign  float64
	aside float64
	first [plateauLeast]float64 // delays, as long as there are no more
}

const (
	plateauMemory = 256 // delays
	plateauLeast  = 8   // delays before their scatter says something
	plateauEdge   = 3   // standard deviations
	plateauRun    = 4   // delays in a row beyond the edge that are a change for good
	// normalDeviation is the standard deviation of normal values by the median magnitude of their deviations
	normalDeviation = 1.4826
)

// Add takes in a delay, in ns, that has a standard deviation of resolution ns anyhow.
func (p *Plateau) Add(delay, resolution float64) {
	d := delay - p.mean
	if p.n >= plateauLeast && math.Abs(d) > plateauEdge*math.Sqrt(p.variance+resolution*resolution) {
		p.beyond(delay, d)
		return
	}
	p.run, p.aside = 0, 0
	if p.n < plateauLeast {
		p.begin(delay)
		return
	}
	p.n = min(p.n+1, plateauMemory)
	p.mean += d / float64(p.n)
	p.variance += (d*d - p.variance) / float64(p.n)
}

// begin takes the median of the first delays, and their median deviation from it: one of them may be absurd.
func (p *Plateau) begin(delay float64) {
	p.first[p.n] = delay
	p.n++
	var sorted [plateauLeast]float64
	all := sorted[:p.n]
	copy(all, p.first[:p.n])
	slices.Sort(all)
	p.mean = all[p.n/2]
	for i := range all {
		all[i] = math.Abs(all[i] - p.mean)
	}
	slices.Sort(all)
	sigma := normalDeviation * all[p.n/2]
	p.variance = sigma * sigma
}

// beyond has a delay wait for others like it. A single one is chance, and counts for the mean as the edge would.
func (p *Plateau) beyond(delay, d float64) {
	if p.run > 0 && (d > 0) != (p.sign > 0) {
		p.run, p.aside = 0, 0
	}
	p.sign, p.aside = d, p.aside+delay
	if p.run++; p.run >= plateauRun {
		*p = Plateau{mean: p.aside / plateauRun, variance: p.variance, n: plateauRun}
		for i := range plateauRun {
			p.first[i] = p.mean
		}
		return
	}
	edge := math.Copysign(plateauEdge*math.Sqrt(p.variance), d)
	p.mean += edge / float64(p.n)
	p.variance += (edge*edge - p.variance) / float64(p.n)
}

// Mean returns the mean delay, in ns, and of how many.
func (p *Plateau) Mean() (ns float64, n int) { return p.mean, p.n }

// Forget empties it: it is another path.
func (p *Plateau) Forget() { *p = Plateau{} }
