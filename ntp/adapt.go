// SPDX-License-Identifier: Apache-2.0

package ntp

import "math"

const (
	// slowGain and fastGain are how much of the way to the most likely noise one sample goes: fast where the misses are
	// clearly not as expected, by significant standard deviations.
	slowGain, fastGain, significant = 0.1, 0.5, 3
	// Misses that resemble the ones before them by more than alike standard deviations of chance make the wander grow,
	// by boostGain of what is beyond; those that do so by less than unlike let it go back by boostDecay a sample.
	alike, unlike, boostGain, boostDecay = 3, 0.5, 0.3, 0.97
	// Samples count for this if they are expected to miss by less than cleanBy times what the best ones are.
	cleanBy = 2
	// As long as less than one miss in spikesPer is far off, those say nothing of the noise.
	spikesPer = 4
	// boostMax limits the factor on the wander.
	boostMax = 1e4
)

// adapt compares the misses in the window with what was to be expected of them.
func (e *Estimator) adapt() {
	first := 1
	if !e.hasPrior {
		first = unsure
	}
	n := float64(e.n - first)
	spoilt := e.spoilt(first)
	var sum, surplus, weight float64
	for i := first; i < e.n; i++ {
		p := e.point(i)
		z := math.Abs(p.miss / p.missSD)
		switch {
		case z > outlier && spoilt:
			z = outlier
		case z > outlier:
			z = 1
		}
		expected := p.missSD * p.missSD
		sum += z * z * expected
		surplus += (z*z - 1) / expected
		weight += 1 / (expected * expected)
	}
	e.jitter = math.Sqrt(sum / n)
	e.adaptNoise(surplus/weight, 1/math.Sqrt(weight))
	if !spoilt {
		e.adaptWander(e.correlation(first, cleanBy*math.Sqrt(math.Sqrt(n/weight))))
	}
}

// correlation of the misses with the ones before them, in standard deviations of what chance makes of it. Only samples
// that were expected to miss by less than limit count: what one-sided queues add is not by chance.
func (e *Estimator) correlation(first int, limit float64) float64 {
	var square, product, last, n float64
	for i := first; i < e.n; i++ {
		if p := e.point(i); p.missSD < limit {
			z := max(min(p.miss/p.missSD, outlier), -outlier)
			square += z * z
			product += z * last
			last = z
			n++
		}
	}
	if square == 0 {
		return 0
	}
	return product / square * math.Sqrt(n)
}

// spoilt reports whether too many predictions from the first-th on are far off to call these exceptions.
func (e *Estimator) spoilt(first int) bool {
	far := 0
	for i := first; i < e.n; i++ {
		if p := e.point(i); math.Abs(p.miss) > outlier*p.missSD {
			far++
		}
	}
	return far*spikesPer > e.n-first
}

// adaptNoise moves the noise towards the most likely one (by Fisher's scoring), which is surplus more than the present
// one, give or take √2 sd. It leans to none by one sd, since chance can raise it above zero but not lower it below.
func (e *Estimator) adaptNoise(surplus, sd float64) {
	gain := slowGain
	if math.Abs(surplus) > significant*sd {
		gain = fastGain
	}
	e.noise = max(e.noise+gain*(surplus-sd), 0)
}

// adaptWander sees that the misses are like throws of a coin, as those of the best estimate are. correlation is that of
// each miss with the one before it, in standard deviations of what chance makes of it.
func (e *Estimator) adaptWander(correlation float64) {
	switch {
	case correlation > alike:
		e.boost = min(e.boost*math.Exp(boostGain*(correlation-alike)), boostMax)
	case correlation < unlike:
		e.boost = max(e.boost*boostDecay, 1)
	}
}
