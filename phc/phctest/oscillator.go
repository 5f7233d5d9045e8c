// SPDX-License-Identifier: Apache-2.0

package phctest

import (
	"math"
	"math/rand/v2"

	"github.com/lockstep-time/lockstep/clock"
)

// oscillator is a clock's course: an integral of a frequency that wanders, and is corrected.
type oscillator struct {
	// wander is the random walk of the frequency, in ppb per square root of a second.
	wander float64
	rand   *rand.Rand

	at   int64   // true time that the state holds for
	ns   int64   // what the clock reads, and
	frac float64 // the fraction of a nanosecond beyond it, in [0, 1)
	// own is the frequency error of the oscillator, adjustment what the hardware corrects; both in ppb.
	own, adjustment float64
}

// advance brings the clock to the true time now. Time that goes back leaves it as it is.
func (o *oscillator) advance(now int64) {
	dt := now - o.at
	if dt <= 0 {
		return
	}
	o.at = now
	seconds := float64(dt) * 1e-9
	// Parts per billion times seconds are nanoseconds. The correction scales the wrong frequency, not the true one.
	drift := (o.own + o.adjustment + o.own*o.adjustment*1e-9) * seconds
	if o.wander > 0 {
		// Frequency and phase of an integrated random walk over dt are correlated; two independent normal numbers give both,
		// so the statistics do not depend on how often the clock is read.
		n1, n2 := o.rand.NormFloat64(), o.rand.NormFloat64()
		root := o.wander * math.Sqrt(seconds)
		drift += root * seconds * (n1/2 + n2/(2*math.Sqrt(3)))
		o.own += root * n1
	}
	o.shift(dt, drift)
}

// shift adds whole and fractional nanoseconds.
func (o *oscillator) shift(whole int64, more float64) {
	more += o.frac
	floor := math.Floor(more)
	o.ns += whole + clock.Int64(floor)
	o.frac = more - floor
}
