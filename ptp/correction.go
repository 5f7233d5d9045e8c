// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/ptp/wire"
)

// What transparent clocks add to a correctionField is the time that they held the message: it is a residence time. Two
// things follow for a true one. It is not negative. And t2 − t1 of a Sync and t4 − t3 of a Delay_Req, nothing taken off,
// make up the time of a whole round trip, however far apart the clocks are, so that the corrections of both together
// are not longer than that: the path delay, half of what remains, is not negative.
//
// The second is known exactly for each path delay, at the instant of its Delay_Req. A Sync after that is held against the
// last way back that belonged to a good path delay, and the clocks' drift since is allowed for. As long as path delay
// after path delay shows that the corrections are too large, no Sync that has one is used.

const (
	// maxCorrection is what a correctionField is believed up to.
	maxCorrection = wire.TimeInterval(time.Second) << 16
	// maxDrift is how fast the clocks may move apart, the known frequency corrections aside, as a divisor: 500 ppm.
	maxDrift = 2000
	// tooManyContradictions is how many path delays in a row have to show too large corrections.
	tooManyContradictions = 3
)

// plausible reports whether a correctionField is below 1 s either way.
func plausible(c wire.TimeInterval) bool { return c < maxCorrection && c > -maxCorrection }

// tolerance is by how much timestamps may make a span shorter than 0.
func (p *Port) tolerance() wire.TimeInterval { return wire.TimeInterval(p.cfg.DelayTolerance) << 16 }

// residence reports whether c can be the time that a message was held on its way.
func (p *Port) residence(c wire.TimeInterval) bool { return c < maxCorrection && c >= -p.tolerance() }

// overcorrected reports whether the correction of a Sync that arrived at reading t2 is longer than the round trip.
func (p *Port) overcorrected(t2 int64, forward Span, correction wire.TimeInterval) bool {
	d := &p.delay
	if correction <= p.tolerance() {
		return false
	}
	if d.contradictions >= tooManyContradictions {
		return true
	}
	if !d.bounded {
		return false
	}
	sum, ok := forward.Add(d.backward)
	left, within := sum.Interval()
	if !ok || !within {
		return false // one of the clocks has been set
	}
	remains := left.Nanoseconds() - p.steering.moved(d.backwardAt, t2)
	allowed := 2*p.tolerance().Nanoseconds() + math.Abs(float64(t2-d.backwardAt))/maxDrift
	held := (correction + d.backwardCorrection).Nanoseconds()
	// A round trip that is negative by itself is not the corrections' doing: one of the clocks has been set.
	return remains < -allowed && remains+held >= -allowed
}

// contradiction takes note of a path delay that the corrections made negative, given the Syncs around it.
func (d *delayMechanism) contradiction(around *point) Reason {
	if !around.mixed {
		d.contradictions = min(d.contradictions+1, tooManyContradictions)
	}
	return ReasonCorrection
}
