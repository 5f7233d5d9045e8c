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
	// alike and own as in servo.DelaySpread, ns²; open is what the path leaves open of the offset, ns, and even how much less
	// that is if the path is no more uneven than configured.
	alike, own, open, even float64
}

// read returns the offset from the master. Where the way there and the way back have been measured close enough to each
// other, their difference is what counts; else the port's own delay filter.
//
// No message is faster than time: the way there says what the offset is at most, the way back what it is at least.
func (p *port) read(m *ptp.Measurement) (r reading) {
	whole, part := m.Forward.Parts()
	r.whole, r.fraction = whole, float64(part)/65536
	filtered := m.MeanPathDelay.Nanoseconds()
	resolution := float64(hardwareResolution)
	if !p.info.Hardware {
		resolution = kernelResolution
	}
	if !p.backward.valid {
		r.fraction, r.delay, r.open = r.fraction-filtered, 2*filtered, math.Abs(filtered)
		r.alike, r.own = p.spread.Variances(r.delay, resolution)
		return r
	}
	e := p.engine
	age, _ := m.At.Sub(p.backward.at)
	drift, sigma := e.tree.Drift(e.now, p.backward.at, m.At)
	there, _ := m.Forward.Add(p.backward.span)
	both := spanNanoseconds(there) - drift
	sigma += p.backward.off
	near := e.cfg.Steering.Servo == configs.ServoAdaptive && age < 4*m.Interval+time.Second && age > -time.Second &&
		sigma < discipline.WellKnown*math.Abs(age.Seconds()) &&
		both > -2*float64(delayTolerance(p.info.Hardware)) // else the master's time has jumped between the two
	shift := filtered
	if r.delay = 2 * filtered; near {
		r.delay, shift = both, both/2
	}
	r.fraction -= shift
	r.open = min(max(math.Abs(shift), math.Abs(both-shift))+discipline.BoundSigmas*sigma, unbounded)
	doubt := discipline.BoundSigmas * sigma
	if p.info.Hardware && near && m.HasBackward && doubt < both/4 && e.tree.Locked(e.now) {
		p.floor.Add(int64(e.now), both)
	}
	r.even = max(0, min((1-p.cfg.MaxAsymmetry)/2*(p.floor.Least()-doubt), r.open))
	if near || m.HasBackward || p.spread.Min() == 0 {
		r.alike, r.own = p.spread.Variances(r.delay, resolution)
	} else {
		r.alike = p.spread.Alike(resolution)
	}
	if near {
		r.alike += sigma * sigma / 4
		if r.own > 0 {
			r.own += sigma * sigma / 4
		}
	} else {
		r.alike, r.own = filteredNoise*r.alike, 0
	}
	return r
}

const (
	// stepError is by how many ns a step may miss: drivers read the clock, and write it some time later.
	stepError = 5000
	// unbounded is a maximum error, in ns, that says nothing.
	unbounded = 1e15
	// filteredNoise is the variance of an offset by a filtered delay, by that of one by its own delay.
	filteredNoise = 3
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
