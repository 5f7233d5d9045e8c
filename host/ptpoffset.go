// SPDX-License-Identifier: Apache-2.0

package host

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/source"
)

// read returns a sample of the clock against the master. Where the way there and the way back have been measured close
// enough to each other, their difference is what counts; else the port's own delay filter. Of several Syncs for one
// Delay_Req, only one is taken with it: the others would have its error in common. They are taken with the mean of the
// delays measured so far.
//
// No message arrives before it was sent: the way there says what the offset is at most, the way back what it is at least.
func (p *port) read(m *ptp.Measurement) source.Sample {
	s := source.Sample{At: m.At, Interval: m.Interval}
	whole, part := m.Forward.Parts()
	s.Offset, s.OffsetFraction = whole, float64(part)/65536
	filtered, resolution := m.MeanPathDelay.Nanoseconds(), p.resolution()
	if !p.backward.valid {
		s.OffsetFraction -= filtered
		s.Delay = clock.Nanoseconds(2 * filtered)
		s.MaxError = clock.Sum(p.accuracy(), clock.Nanoseconds(math.Abs(filtered)))
		s.Variance, s.DelayVariance = p.spread.Variances(2*filtered, resolution)
		return s
	}
	w := p.ways(m)
	if m.HasBackward && w.near {
		p.learnDelay(w)
	}
	mean, n := p.level.Mean()
	shift, delay := w.both/2, w.both
	switch {
	case !w.near:
		shift, delay = filtered, 2*filtered
		if m.HasBackward || p.spread.Min() == 0 {
			p.spread.Variances(delay, resolution)
		}
		s.Variance = filteredNoise * p.spread.Alike(resolution)
	case m.HasBackward || n < levelNeeded:
		s.Variance, s.DelayVariance = p.spread.Variances(delay, resolution)
		s.Variance += w.sigma * w.sigma / 4
		if s.DelayVariance > 0 {
			s.DelayVariance += w.sigma * w.sigma / 4
		}
	default:
		shift, s.OneWay = mean/2, true
		s.Variance = p.spread.Alike(resolution) * (oneWayNoise + levelNoise/float64(n))
	}
	s.OffsetFraction -= shift
	s.Delay = clock.Nanoseconds(delay)
	open, even := p.bound(w, shift)
	s.MaxError, s.Even = clock.Sum(p.accuracy(), clock.Nanoseconds(open)), clock.Nanoseconds(even)
	return s
}

// ways is what the way from the master took and the way to it that was measured last: together, and by how much that may be
// wrong, ns. They are near if they are close enough to each other for their difference to tell the offset.
type ways struct {
	both, sigma float64
	near        bool
}

// doubt is by how many ns both may be wrong at most.
func (w ways) doubt() float64 { return discipline.BoundSigmas * w.sigma }

func (p *port) ways(m *ptp.Measurement) (w ways) {
	h := p.host
	age, _ := m.At.Sub(p.backward.at)
	drift, sigma := h.Clocks().Drift(h.now, p.backward.at, m.At)
	there, _ := m.Forward.Add(p.backward.span)
	w.both, w.sigma = spanNanoseconds(there)-drift, sigma+p.backward.off
	w.near = !h.law.ByMeasurement && age < 4*m.Interval+time.Second && age > -time.Second &&
		w.sigma < discipline.WellKnown*math.Abs(age.Seconds()) &&
		w.both > -2*float64(delayTolerance(p.info.Hardware)) // else the master's time has jumped between the two
	return w
}

// learnDelay takes in what the path takes there and back.
func (p *port) learnDelay(w ways) {
	p.level.Add(w.both, p.resolution())
	if p.info.Hardware && w.doubt() < w.both/4 && p.host.Clocks().Locked(p.host.now) {
		p.floor.Add(int64(p.host.now), w.both)
	}
}

// bound says by how many ns the offset may be off, for a way there that is taken to be shift ns, and how much less that is
// if the two ways are no more uneven than configured.
func (p *port) bound(w ways, shift float64) (open, even float64) {
	open = min(max(math.Abs(shift), math.Abs(w.both-shift))+w.doubt(), unbounded)
	return open, max(0, min((1-p.cfg.MaxAsymmetry)/2*(p.floor.Least()-w.doubt()), open))
}

// resolution returns the standard deviation of the port's timestamps apart from the path, ns.
func (p *port) resolution() float64 {
	if p.info.Hardware {
		return hardwareResolution
	}
	return kernelResolution
}

const (
	// stepError is by how many ns a step may miss: drivers read the clock, and write it some time later.
	stepError = 5000
	// unbounded is a maximum error, in ns, that says nothing.
	unbounded = 1e15
	// filteredNoise is the variance of an offset by a filtered delay, by that of one by its own delay.
	filteredNoise = 3
	// oneWayNoise is the same for one of which only the way there is its own, and levelNoise what the mean delay adds, times
	// the number of delays: all offsets have its error in common, so it counts as often as an estimate averages them.
	oneWayNoise = 2
	levelNoise  = 64
	// levelNeeded is how many delays make a mean.
	levelNeeded = 4
)

// stepBackward carries the way to the master over a step of the clock by d.
func (p *port) stepBackward(d time.Duration) {
	b := &p.backward
	if !b.valid {
		return
	}
	b.span, b.valid = b.span.Sub(ptp.SpanOf(d))
	b.at, b.off = b.at.Add(d), b.off+stepError
}

func spanNanoseconds(s ptp.Span) float64 {
	whole, part := s.Parts()
	return float64(whole) + float64(part)/65536
}

// accuracy returns what the grandmaster and the timestamps may be wrong by.
func (p *port) accuracy() time.Duration {
	b := time.Duration(hardwareResolution)
	if accuracy, ok := p.parent.Quality.Accuracy.Bound(); ok {
		b += accuracy
	}
	if !p.info.Hardware {
		b += kernelResolution
	}
	return b
}
