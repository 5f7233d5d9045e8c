// SPDX-License-Identifier: Apache-2.0

package ntp

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

const (
	// window is the number of samples that are weighed anew with every further one.
	window = 64
	// blocks is the number of windows over which the shortest delay is remembered.
	blocks = 4
	// settled is the number of samples from which on noise and wander are estimated.
	settled = 8
	// unsure is the number of first samples whose predictions say nothing, for want of a frequency.
	unsure = 4
	// outlier is the number of standard deviations beyond which a sample counts as if it were no further away.
	outlier = 3
	// movedBy and movedFor: so many samples in a row that are so many standard deviations off to the same side mean that
	// the source has moved.
	movedBy, movedFor = 6, 4
)

// EstimatorConfig describes the clock that an Estimator measures. A field left zero takes the default stated with it.
type EstimatorConfig struct {
	// Wander is the random walk of the clock's frequency, in ppb per √s. Default 1.
	Wander float64
	// FrequencySD is the standard deviation of the clock's frequency before anything was measured, in ppb. Default
	// 500000.
	FrequencySD float64
}

// Estimator estimates offset and frequency of a clock to a source from noisy samples.
//
// It works in the time of the clock's free-running oscillator: the offsets handed to it are those that the clock would
// have had it never been steered. Their model is a straight line whose slope, the frequency, wanders at random, seen
// through noise. The noise of a sample is known from its delay: exchanges that took longer than the shortest one were
// held up in queues, more or less in one of the directions. The estimate is the line of least weighted squares, where
// older samples count less by what the oscillator may have wandered since: a Kalman filter that is run again over the
// latest 64 samples with every new one, because their weights change as more becomes known of the shortest delay. Samples
// further back are kept as their estimate. Noise that does not show in the delay is estimated from what the predictions
// miss, and wander beyond the one given from misses that resemble the ones before them.
//
// An addition takes time for the 64 samples, and no memory.
type Estimator struct {
	wander, frequencySD float64

	ring [window]point
	head int
	n    int

	// prior is the estimate at the latest sample that has left the window, if there was one.
	prior    line
	priorAt  clock.Mono
	hasPrior bool
	// firstFrequency and its variance are assumed before the first sample, in ppb and ppb².
	firstFrequency, firstVariance float64

	now   line
	nowAt clock.Mono

	// least are the shortest delays of windows past, a block each, and of the block being filled.
	least   [blocks]float64
	block   int
	inBlock int
	counted int

	// floor and surplus are of the delays in the window: the shortest delay, and by how much that is taken to exceed the
	// true one.
	floor, surplus float64

	// noise is the variance that does not show in the delay, in ns²; boost is the factor on the wander; jitter the
	// standard deviation of the misses.
	noise, boost, jitter float64
	restarts             uint64
}

// point is a sample: x and the others in ns; miss and missSD of its prediction by the ones before it.
type point struct {
	at           clock.Mono
	x            float64
	sd           float64
	delay        float64
	miss, missSD float64
}

// Estimate is what is known of a clock at one instant.
type Estimate struct {
	// Offset of the free-running clock to the source, positive when the clock is ahead, and its standard deviation, in
	// ns.
	Offset, OffsetSD float64
	// Frequency error of the free-running clock, positive when it is fast, and its standard deviation, in ppb.
	Frequency, FrequencySD float64
	// Jitter is the standard deviation of a sample from its prediction, in ns.
	Jitter float64
	// Samples is the number of samples in the window, 0 to 64. With none, all else is zero; with one, nothing is known
	// of the frequency.
	Samples int
	// Restarts counts how often the source has moved away from what was predicted.
	Restarts uint64
}

// Verdict is how a sample agreed with its prediction.
type Verdict struct {
	// Miss is the sample less its prediction, SD the standard deviation to be expected of that, in ns. Both are zero for
	// a first sample.
	Miss, SD float64
	// Noise is the standard deviation of a typical sample, whatever the prediction, in ns. Client.Hint wants Miss and
	// Noise: at good poll intervals the noise is what prevails in the misses.
	Noise float64
	// Restarted: the source has moved, and the estimate was begun anew with the last 4 samples.
	Restarted bool
}

// NewEstimator returns an Estimator that knows nothing.
func NewEstimator(cfg EstimatorConfig) *Estimator {
	if cfg.Wander <= 0 {
		cfg.Wander = 1
	}
	if cfg.FrequencySD <= 0 {
		cfg.FrequencySD = 5e5
	}
	e := &Estimator{wander: cfg.Wander, frequencySD: cfg.FrequencySD}
	e.Reset()
	return e
}

// Reset forgets all samples.
func (e *Estimator) Reset() {
	*e = Estimator{
		wander: e.wander, frequencySD: e.frequencySD,
		firstVariance: e.frequencySD * e.frequencySD, boost: 1, restarts: e.restarts,
	}
	for i := range e.least {
		e.least[i] = math.Inf(1)
	}
}

// SetWander sets the random walk of the clock's frequency, in ppb per √s. It must be positive.
func (e *Estimator) SetWander(ppb float64) { e.wander = ppb }

// Shift adds ns to the offsets of all samples and of the estimate: the zero of the free-running time is set elsewhere.
// Offsets are best kept below 1e15 ns, where a float64 resolves an eighth of a nanosecond.
func (e *Estimator) Shift(ns float64) {
	for i := range e.n {
		e.point(i).x += ns
	}
	e.prior.x += ns
	e.now.x += ns
}

// Add takes a sample: at the instant t the free-running clock was offset ns ahead of the source, measured by an exchange
// with that delay, by means that alone cause a standard deviation of uncertainty. Instants must increase; it is not ok,
// and the sample ignored, if t is not later than the latest one or the offset is not a finite number.
func (e *Estimator) Add(t clock.Mono, offset float64, delay, uncertainty time.Duration) (v Verdict, ok bool) {
	if e.n > 0 && t <= e.point(e.n-1).at || math.IsNaN(offset) || math.IsInf(offset, 0) {
		return Verdict{}, false
	}
	e.push(point{at: t, x: offset, sd: max(float64(uncertainty), 0.5), delay: float64(delay)})
	e.fit()
	if e.moved() {
		e.restart()
		e.fit()
		v.Restarted = true
	}
	if e.n >= settled {
		e.adapt()
		e.clean()
	}
	latest := e.point(e.n - 1)
	v.Miss, v.SD, v.Noise = latest.miss, latest.missSD, e.typicalSD()
	return v, true
}

// At returns the estimate for the instant t, which may be before the latest sample or after it.
func (e *Estimator) At(t clock.Mono) Estimate {
	if e.n == 0 {
		return Estimate{Restarts: e.restarts}
	}
	l := e.now
	l.advance(t.Sub(e.nowAt).Seconds(), e.walk())
	return Estimate{
		Offset: l.x, OffsetSD: math.Sqrt(l.xx), Frequency: l.f, FrequencySD: math.Sqrt(l.ff),
		Jitter: e.jitter, Samples: e.n, Restarts: e.restarts,
	}
}

// point returns the i-th sample of the window, the oldest being 0.
func (e *Estimator) point(i int) *point { return &e.ring[(e.head+i)%window] }

// push appends a sample to the window; the oldest one becomes part of the prior where there is no room.
func (e *Estimator) push(p point) {
	if e.n == window {
		e.prior, e.priorAt = e.step(e.prior, e.priorAt, e.hasPrior, e.point(0))
		e.hasPrior = true
		e.head = (e.head + 1) % window
		e.n--
	}
	e.n++
	*e.point(e.n - 1) = p
	if e.inBlock == window {
		e.block, e.inBlock = (e.block+1)%blocks, 0
		e.least[e.block] = math.Inf(1)
	}
	e.inBlock++
	e.counted = min(e.counted+1, blocks*window)
	e.least[e.block] = min(e.least[e.block], p.delay)
}

// delays finds the shortest delay, and how much longer typical ones are.
func (e *Estimator) delays() {
	e.floor = math.Inf(1)
	for _, d := range e.least {
		e.floor = min(e.floor, d)
	}
	root := 0.0
	for i := range e.n {
		root += math.Sqrt(e.point(i).delay - e.floor)
	}
	root /= float64(e.n)
	typical := root * root
	// Two directions with exponential queues of mean j: a typical excess of 1.77 j in this sense, and the least of n is
	// 1.25 j/√n on average.
	e.surplus = 0.71 * typical / math.Sqrt(float64(e.counted))
}

// variance of a sample, in ns².
func (e *Estimator) variance(p *point) float64 {
	sd := max(p.sd, (p.delay-e.floor+e.surplus)*excessToSD)
	return sd*sd + e.noise
}

// typicalSD is the root mean square of what the samples in the window vary by, in ns.
func (e *Estimator) typicalSD() float64 {
	sum := 0.0
	for i := range e.n {
		sum += e.variance(e.point(i))
	}
	return math.Sqrt(sum / float64(e.n))
}

// walk is the variance by which the frequency wanders, in ppb² per second.
func (e *Estimator) walk() float64 { return e.wander * e.wander * e.boost * e.boost }

// fit runs over the window.
func (e *Estimator) fit() {
	e.delays()
	l, at, has := e.prior, e.priorAt, e.hasPrior
	for i := range e.n {
		p := e.point(i)
		l, at = e.step(l, at, has, p)
		has = true
	}
	e.now, e.nowAt = l, at
}

// step takes the estimate from at to the sample p, which corrects it, and notes in p by how much it missed.
func (e *Estimator) step(l line, at clock.Mono, has bool, p *point) (line, clock.Mono) {
	r := e.variance(p)
	if !has {
		p.miss, p.missSD = 0, 0
		return line{x: p.x, f: e.firstFrequency, xx: r, ff: e.firstVariance}, p.at
	}
	l.advance(p.at.Sub(at).Seconds(), e.walk())
	p.miss, p.missSD = p.x-l.x, math.Sqrt(l.xx+r)
	if far := math.Abs(p.miss) / outlier; far > p.missSD {
		r = far*far - l.xx
	}
	l.correct(p.miss, r)
	return l, p.at
}

// moved reports whether the latest samples say that the source is elsewhere.
func (e *Estimator) moved() bool {
	if e.n < 2*movedFor {
		return false
	}
	nearest, furthest := math.Inf(1), 0.0
	side := math.Copysign(1, e.point(e.n-1).miss)
	for i := e.n - movedFor; i < e.n; i++ {
		p := e.point(i)
		if p.miss*side < movedBy*p.missSD {
			return false
		}
		nearest, furthest = min(nearest, p.miss*side), max(furthest, p.miss*side)
	}
	return furthest < 2*nearest
}

// restart keeps the latest samples and the frequency, less sure of it than before, and than their misses tell.
func (e *Estimator) restart() {
	first, last := e.point(e.n-movedFor), e.point(e.n-1)
	slope := math.Abs(last.miss-first.miss) / last.at.Sub(first.at).Seconds()
	slack := min(100+10*math.Sqrt(e.now.ff)+slope, e.frequencySD)
	e.firstFrequency, e.firstVariance = e.now.f, slack*slack
	e.restarts++
	e.hasPrior = false
	e.head = (e.head + e.n - movedFor) % window
	e.n = movedFor
}

// clean forgets the first sample of all as long as the ones after it contradict it: it has set the frequency wrong.
func (e *Estimator) clean() {
	if !e.hasPrior && e.spoilt(unsure) {
		e.head = (e.head + 1) % window
		e.n--
	}
}

// line is an estimate: offset x in ns, frequency f in ns/s, and their variances and covariance.
type line struct {
	x, f, xx, xf, ff float64
}

// advance moves the estimate by dt seconds, back if negative, with the frequency wandering by q (ns/s)² per second.
func (l *line) advance(dt, q float64) {
	l.x += l.f * dt
	l.xx += dt * (2*l.xf + dt*l.ff)
	l.xf += dt * l.ff
	l.ff += q * math.Abs(dt)
	l.xx = max(l.xx, 0) + q*math.Abs(dt*dt*dt)/3
	l.xf += q * dt * math.Abs(dt) / 2
}

// correct takes in a sample that was missed by miss and has the variance r.
func (l *line) correct(miss, r float64) {
	s := l.xx + r
	l.x += miss * l.xx / s
	l.f += miss * l.xf / s
	l.ff = max(l.ff-l.xf*l.xf/s, 1e-9*l.ff)
	l.xx *= r / s
	l.xf *= r / s
}
