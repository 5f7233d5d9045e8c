// SPDX-License-Identifier: Apache-2.0

package estimate

import "math"

// DelaySpread remembers the delays of recent measurements and says what a delay beyond the least one means for the
// measured offset: with an excess e the error is somewhere within ±e/2, so its variance is e²/12. The same holds for
// the window in which two clocks are read.
type DelaySpread struct {
	delays [spreadMemory]float64
	next   int
	n      int
	min    float64
	mean   float64 // of the excess
}

const (
	spreadMemory = 64
	spreadWarmUp = 6
	// an excess counts for the mean as spreadClip means at most, so that a single absurd delay does not spoil it; a mean
	// of spreadLeast ns is where it can grow from
	spreadClip  = 8
	spreadLeast = 8
)

// Variances takes in a delay, in ns, and returns two guesses of the variance of the offset measured with it, in ns²:
// one that is the same for all delays alike, and one that follows from this delay; the latter is 0 while too few delays
// are known. resolution, in ns, is the standard deviation that the stamps have anyhow.
func (d *DelaySpread) Variances(delay, resolution float64) (alike, own float64) {
	d.add(delay)
	alike = d.Alike(resolution)
	if d.n < spreadWarmUp {
		return alike, 0
	}
	// the least of n delays is itself longer than the least possible one, by about this much for n exponential ones
	excess := delay - d.min + d.mean/math.Sqrt(2*float64(d.n))
	return alike, resolution*resolution + excess*excess/12
}

// Alike returns the guess of the variance that is the same for all delays alike, in ns²; 0 before the first.
func (d *DelaySpread) Alike(resolution float64) float64 {
	if d.n == 0 {
		return 0
	}
	excess := d.mean * d.mean / 8 * (1 + 4/float64(d.n))
	if d.n < spreadWarmUp { // a few delays may be alike by chance; a quarter of them may be excess
		few := d.min / 4 / float64(d.n)
		excess = max(excess, few*few)
	}
	return resolution*resolution + excess
}

// Min returns the least delay of the recent ones, in ns; 0 if there is none.
func (d *DelaySpread) Min() float64 { return d.min }

// Forget empties it: the path has changed.
func (d *DelaySpread) Forget() { *d = DelaySpread{} }

func (d *DelaySpread) add(delay float64) {
	d.delays[d.next] = delay
	d.next = (d.next + 1) % spreadMemory
	d.n = min(d.n+1, spreadMemory)
	least := delay
	for _, v := range d.delays[:d.n] {
		least = min(least, v)
	}
	most := math.Inf(1)
	if d.n > spreadWarmUp {
		most = least + spreadClip*max(d.mean, spreadLeast)
	}
	sum := 0.0
	for _, v := range d.delays[:d.n] {
		sum += min(v, most)
	}
	d.min, d.mean = least, sum/float64(d.n)-least
}
