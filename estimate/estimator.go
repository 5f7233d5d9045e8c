// SPDX-License-Identifier: Apache-2.0

package estimate

import "math"

// Observation is one measured offset of a free-running oscillator: of the clock as it would be had it never been
// steered.
type Observation struct {
	// Time that the free-running oscillator shows, in ns. Observations come in the order of Time.
	Time int64
	// Offset from the reference is the sum of the two, in ns.
	Offset         int64
	OffsetFraction float64
	// Variance of Offset, in ns², if nothing but chance is at work; a guess does, its scale is learned.
	Variance float64
	// DelayVariance is the same for the case that what delays a message beyond the least delay is what makes the error.
	// 0 if nothing is known of the delay.
	DelayVariance float64
}

// Verdict on an observation.
type Verdict uint8

const (
	// Used: it went into the estimate.
	Used Verdict = iota
	// Outlier: it is too far from what was expected; the estimate is as before.
	Outlier
	// Jumped: so many outliers agree that the reference or the clock has moved; the estimate is as before.
	Jumped
)

const (
	models       = 2 * len(walks)
	typicalWalk  = 0.0 // decimal exponent of what a plain crystal does: 1 ppb per root second
	walkSpread   = 1.2 // standard deviation of that exponent among oscillators
	memory       = 80  // observations over which models are compared
	scaleMemory  = 64  // observations over which the scale of the noise is learned
	scalePrior   = 2   // observations that the guess of the noise is worth
	gate         = 6   // standard deviations beyond which an observation is an outlier
	gateAfter    = 8   // observations before the guess of the noise is trusted in that
	firstDoubt   = 1e4 // times its variance the noise may be until then
	jumpAfter    = 5   // outliers in a row that are a jump
	mostBend     = 1e6 // ppb by which an oscillator may change at once: a clock that stops is another matter
	unknownSigma = 5e5 // ppb: nothing is known of an oscillator's frequency
)

// walks are the random walks of the frequency that the models assume: decimal exponents of how much its variance grows by,
// in ppb² per second. What no crystal does is there for clocks that are not made of one.
var walks = [...]float64{-5, -4, -3, -2, -1, 0, 1, 2, 3, 5, 7.5, 10}

// model is a Kalman filter over offset and frequency for one hypothesis about the oscillator's wander and the nature of
// the noise. Its covariances are in units of scale.
type model struct {
	walk          float64 // growth of the frequency's variance, (ppb²/s) / scale
	byDelay       bool
	x, f          float64
	pxx, pxf, pff float64
	scale         float64 // of the noise against its guess
	sum, weight   float64 // of normalised squared innovations
	logLikelihood float64
}

// Estimator finds offset and frequency of a free-running oscillator from noisy offsets, and with them how much the
// oscillator wanders and how noisy the offsets are. It runs one Kalman filter for each of a set of hypotheses and
// weighs them by how well each has predicted the recent observations.
type Estimator struct {
	bank     [models]model
	weights  [models]float64
	base     int64 // offset, in ns, that all filters leave out to keep their precision
	time     int64
	seen     int
	outliers int
	first    deviation // of these outliers in a row
	rigid    bool      // outliers that run away are no frequency that has changed
	// fresh says that mean and wander, the weighed means of the models, are those of the models as they are
	fresh  bool
	mean   State
	wander float64
}

// deviation of an observation from what was expected, in ns, dt seconds after the last one used.
type deviation struct{ ns, dt float64 }

// New returns an Estimator that knows nothing.
func New() *Estimator {
	e := &Estimator{}
	e.Forget()
	return e
}

// Forget makes it know nothing.
func (e *Estimator) Forget() {
	*e = Estimator{rigid: e.rigid}
	for i := range e.bank {
		e.bank[i] = model{
			walk: math.Pow(10, walks[i%len(walks)]), byDelay: i >= len(walks), scale: 1,
			pff: unknownSigma * unknownSigma,
		}
	}
	e.weigh()
}

// SetRigid says whether the oscillator's frequency is known not to change all of a sudden. If so, it is the reference that
// has gone wrong where outliers run away, as much as where they jump.
func (e *Estimator) SetRigid(rigid bool) { e.rigid = rigid }

// Known reports whether there is an offset at all: from an observation or a seed.
func (e *Estimator) Known() bool { return e.seen > 0 }

// Observations returns how many have been used since the estimator knew nothing or was seeded.
func (e *Estimator) Observations() int { return e.seen }

// SetFrequency says what is known of the oscillator's frequency error before the first observation: ppb ± sigma.
func (e *Estimator) SetFrequency(ppb, sigma float64) {
	e.fresh = false
	for i := range e.bank {
		e.bank[i].f, e.bank[i].pff, e.bank[i].pxf = ppb, sigma*sigma, 0
	}
}

// Seed has the estimator start at time from what another one knows of the same oscillator: offset ns + est, and the
// wander in ppb per root second.
func (e *Estimator) Seed(time int64, offset int64, est State, wander float64) {
	e.Forget()
	e.time, e.base, e.seen = time, offset, gateAfter // what it starts from is as good as observed
	exponent := 2 * math.Log10(max(wander, 1e-6))
	for i := range e.bank {
		m := &e.bank[i]
		m.x, m.f = est.Offset, est.Frequency
		m.pxx, m.pxf, m.pff = est.OffsetVar, est.Cov, est.FrequencyVar
		off := (math.Log10(m.walk) - exponent) / 0.5
		m.logLikelihood = -off * off / 2
	}
	e.weigh()
}

// Observe takes an observation in. An outlier changes nothing.
func (e *Estimator) Observe(o Observation) Verdict {
	if e.seen == 0 {
		e.time, e.base = o.Time, o.Offset
		for i := range e.bank {
			m := &e.bank[i]
			m.x, m.pxx, m.pxf = o.OffsetFraction, m.variance(o), 0
		}
		e.seen, e.fresh = 1, false
		return Used
	}
	z := float64(o.Offset-e.base) + o.OffsetFraction
	dt := float64(o.Time-e.time) / 1e9
	if v := e.judge(z, dt, o); v != Used {
		return v
	}
	for i := range e.bank {
		e.bank[i].observe(z, dt, o, e.seen)
	}
	e.time = o.Time
	e.seen++
	e.weigh()
	return Used
}

// Expects reports whether an observation is one that Observe would use.
func (e *Estimator) Expects(o Observation) bool {
	if e.seen == 0 {
		return true
	}
	_, within := e.deviates(float64(o.Offset-e.base)+o.OffsetFraction, float64(o.Time-e.time)/1e9, o)
	return within
}

// deviates returns how an observation deviates from the weighed prediction, and whether it is within the gate. One of before
// the last is not.
func (e *Estimator) deviates(z, dt float64, o Observation) (d deviation, within bool) {
	p := e.combined().After(dt, 0)
	variance, doubt := p.OffsetVar, 1.0
	if e.seen < gateAfter {
		doubt = firstDoubt // the guess of the noise may be far off
	}
	for i := range e.bank {
		m := &e.bank[i]
		variance += e.weights[i] * m.scale * (doubt*m.variance(o) + m.walk*dt*dt*dt/3)
	}
	d = deviation{z - p.Offset, dt}
	return d, dt >= 0 && d.ns*d.ns <= gate*gate*variance
}

// judge holds an observation against the prediction, and counts outliers that agree. If they run further and further away it
// is the frequency that has changed, and nothing has jumped.
func (e *Estimator) judge(z, dt float64, o Observation) Verdict {
	d, within := e.deviates(z, dt, o)
	if within {
		e.outliers = 0
		return Used
	}
	if e.outliers > 0 && (d.ns > 0) != (e.first.ns > 0) {
		e.outliers = 0
	}
	if e.outliers == 0 {
		e.first = d
	}
	if e.outliers++; e.outliers < jumpAfter {
		return Outlier
	}
	if ran, dt := d.ns-e.first.ns, d.dt-e.first.dt; !e.rigid && e.first.dt >= 0 && dt > 0 &&
		math.Abs(ran) > math.Abs(d.ns)/2 && math.Abs(ran) < mostBend*dt {
		e.bend(ran / dt)
		return Used
	}
	return Jumped
}

// bend allows for a frequency that has changed by ppb since the first outlier.
func (e *Estimator) bend(ppb float64) {
	e.outliers, e.fresh = 0, false
	for i := range e.bank {
		m := &e.bank[i]
		m.pff += ppb * ppb / m.scale
		m.pxx += e.first.ns * e.first.ns / m.scale
	}
}

// Jump moves the estimated offset by d ns, uncertain by sigma ns: the reference or the clock has been set.
func (e *Estimator) Jump(d int64, sigma float64) {
	e.base += d
	e.outliers, e.fresh = 0, false
	for i := range e.bank {
		m := &e.bank[i]
		m.pxx += sigma * sigma / m.scale
	}
}

// At returns the estimate when the free-running oscillator shows time: its offset is the sum of the two results.
func (e *Estimator) At(time int64) (offset int64, est State) {
	dt := float64(time-e.time) / 1e9
	if dt < 0 {
		est = e.combined()
		est.Offset += est.Frequency * dt
		return e.base, est
	}
	return e.base, e.combined().After(dt, e.Wander())
}

// Wander returns the estimated random walk of the frequency, in ppb per root second.
func (e *Estimator) Wander() float64 {
	e.refresh()
	return e.wander
}

// MostWander returns the random walk of the frequency, in ppb per root second, that the observations hardly allow to be
// exceeded.
func (e *Estimator) MostWander() float64 {
	var most, beyond float64
	for i := len(walks) - 1; i >= 0 && beyond < unlikely; i-- {
		alike, byDelay := &e.bank[i], &e.bank[i+len(walks)]
		beyond += e.weights[i] + e.weights[i+len(walks)]
		most = max(alike.walk*alike.scale, byDelay.walk*byDelay.scale)
	}
	return max(math.Sqrt(most), e.Wander())
}

// unlikely is the weight of the models that may be left out of account.
const unlikely = 0.01

// Noise returns the standard deviation that is believed of an observation's offset, in ns.
func (e *Estimator) Noise(o Observation) float64 {
	var variance float64
	for i := range e.bank {
		variance += e.weights[i] * e.bank[i].scale * e.bank[i].variance(o)
	}
	return math.Sqrt(variance)
}

// Time returns what the free-running oscillator showed at the last observation used.
func (e *Estimator) Time() int64 { return e.time }

// combined is the weighed mean of the models' estimates at e.time, less base.
func (e *Estimator) combined() State {
	e.refresh()
	return e.mean
}

// refresh weighs the models' results, if they have changed since it was done last.
func (e *Estimator) refresh() {
	if e.fresh {
		return
	}
	var exponent float64
	for i := range e.bank {
		exponent += e.weights[i] * math.Log10(e.bank[i].walk*e.bank[i].scale)
	}
	e.fresh, e.mean, e.wander = true, e.average(), math.Pow(10, exponent/2)
}

func (e *Estimator) average() (c State) {
	for i := range e.bank {
		c.Offset += e.weights[i] * e.bank[i].x
		c.Frequency += e.weights[i] * e.bank[i].f
	}
	for i := range e.bank {
		m, w := &e.bank[i], e.weights[i]
		dx, df := m.x-c.Offset, m.f-c.Frequency
		c.OffsetVar += w * (m.scale*m.pxx + dx*dx)
		c.FrequencyVar += w * (m.scale*m.pff + df*df)
		c.Cov += w * (m.scale*m.pxf + dx*df)
	}
	return c
}

// weigh turns likelihoods and what is known of oscillators in general into weights.
func (e *Estimator) weigh() {
	e.fresh = false
	best := math.Inf(-1)
	for i := range e.bank {
		m := &e.bank[i]
		off := (math.Log10(m.walk*m.scale) - typicalWalk) / walkSpread
		e.weights[i] = m.logLikelihood - off*off/2
		best = max(best, e.weights[i])
	}
	var sum float64
	for i := range e.weights {
		e.weights[i] = math.Exp(e.weights[i] - best)
		sum += e.weights[i]
	}
	for i := range e.weights {
		e.weights[i] /= sum
	}
}

func (m *model) variance(o Observation) float64 {
	if m.byDelay && o.DelayVariance > 0 {
		return o.DelayVariance
	}
	return o.Variance
}

// observe predicts over dt seconds and corrects by the offset z.
func (m *model) observe(z, dt float64, o Observation, seen int) {
	m.x += m.f * dt
	m.pxx += 2*dt*m.pxf + dt*dt*m.pff + m.walk*dt*dt*dt/3
	m.pxf += dt*m.pff + m.walk*dt*dt/2
	m.pff += m.walk * dt

	innovation := z - m.x
	s := m.pxx + m.variance(o)
	kx, kf := m.pxx/s, m.pxf/s
	m.x += kx * innovation
	m.f += kf * innovation
	m.pff -= kf * m.pxf
	m.pxf -= kx * m.pxf
	m.pxx -= kx * m.pxx

	if seen < 2 { // the frequency was anybody's guess: the innovation says nothing of the noise
		return
	}
	n := innovation * innovation / s
	const keep = 1 - 1.0/scaleMemory
	m.sum, m.weight = keep*m.sum+n, keep*m.weight+1
	m.scale = (scalePrior + m.sum) / (scalePrior + m.weight)
	m.logLikelihood = (1-1.0/memory)*m.logLikelihood - (math.Log(m.scale*s)+n/m.scale)/2
}
