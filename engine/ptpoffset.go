// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/ptp"
)

// reading is what a Sync and the last delay measurement tell together.
type reading struct {
	// whole + fraction is the offset from the master, delay the one there and back, in ns.
	whole           int64
	fraction, delay float64
	// alike and own as in estimate.DelaySpread, ns²; open is what the path leaves open of the offset, ns, and even how much less
	// that is if the path is no more uneven than configured.
	alike, own, open, even float64
	// oneWay says that it rests on a mean path delay: the way back was not measured along with it
	oneWay bool
}

// read returns the offset from the master. Where the way there and the way back have been measured close enough to each
// other, their difference is what counts; else the port's own delay filter. Of several Syncs for one Delay_Req, only one is
// taken with it: the others would have its error in common. They are taken with the mean of the delays measured so far.
//
// No message is faster than time: the way there says what the offset is at most, the way back what it is at least.
func (p *port) read(m *ptp.Measurement) (r reading) {
	whole, part := m.Forward.Parts()
	r.whole, r.fraction = whole, float64(part)/65536
	filtered, resolution := m.MeanPathDelay.Nanoseconds(), p.resolution()
	if !p.backward.valid {
		r.fraction, r.delay, r.open = r.fraction-filtered, 2*filtered, math.Abs(filtered)
		r.alike, r.own = p.spread.Variances(r.delay, resolution)
		return r
	}
	w := p.ways(m)
	if m.HasBackward && w.near {
		p.learnDelay(w)
	}
	mean, n := p.level.Mean()
	shift := w.both / 2
	switch {
	case !w.near:
		shift, r.delay = filtered, 2*filtered
		if m.HasBackward || p.spread.Min() == 0 {
			p.spread.Variances(r.delay, resolution)
		}
		r.alike = filteredNoise * p.spread.Alike(resolution)
	case m.HasBackward || n < levelNeeded:
		r.delay = w.both
		r.alike, r.own = p.spread.Variances(r.delay, resolution)
		r.alike += w.sigma * w.sigma / 4
		if r.own > 0 {
			r.own += w.sigma * w.sigma / 4
		}
	default:
		shift, r.delay, r.oneWay = mean/2, w.both, true
		r.alike = p.spread.Alike(resolution) * (oneWayNoise + levelNoise/float64(n))
	}
	r.fraction -= shift
	p.bound(&r, w, shift)
	return r
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
	e := p.engine
	age, _ := m.At.Sub(p.backward.at)
	drift, sigma := e.tree.Drift(e.now, p.backward.at, m.At)
	there, _ := m.Forward.Add(p.backward.span)
	w.both, w.sigma = spanNanoseconds(there)-drift, sigma+p.backward.off
	w.near = e.cfg.Steering.Servo == configs.ServoAdaptive && age < 4*m.Interval+time.Second && age > -time.Second &&
		w.sigma < discipline.WellKnown*math.Abs(age.Seconds()) &&
		w.both > -2*float64(delayTolerance(p.info.Hardware)) // else the master's time has jumped between the two
	return w
}

// learnDelay takes in what the path takes there and back.
func (p *port) learnDelay(w ways) {
	p.level.Add(w.both, p.resolution())
	if p.info.Hardware && w.doubt() < w.both/4 && p.engine.tree.Locked(p.engine.now) {
		p.floor.Add(int64(p.engine.now), w.both)
	}
}

// bound says how far the offset may be off, for a way there that is taken to be shift ns.
func (p *port) bound(r *reading, w ways, shift float64) {
	r.open = min(max(math.Abs(shift), math.Abs(w.both-shift))+w.doubt(), unbounded)
	r.even = max(0, min((1-p.cfg.MaxAsymmetry)/2*(p.floor.Least()-w.doubt()), r.open))
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
