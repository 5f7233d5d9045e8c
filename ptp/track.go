// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

// point is one Sync: at reading t2 of the measured clock, t2 − t1 − corrections was forward.
type point struct {
	t2      int64
	forward Span
	// correction is the sum of the correctionFields.
	correction wire.TimeInterval
	seq        uint16
	at         clock.Mono // when it was used
	// doubtful: it was not measured by, since the correction seems too large. mixed, of a point between two Syncs: one
	// of them was doubtful and the other was not.
	doubtful, mixed bool
}

// track holds the latest Sync messages of the parent, from which t2 − t1 is known at any instant among them.
type track struct {
	ring [32]point
	n    int
	next int
}

func (t *track) point(back int) *point {
	return &t.ring[(t.next-1-back+2*len(t.ring))%len(t.ring)]
}

func (t *track) add(p point) {
	t.ring[t.next] = p
	t.next = (t.next + 1) % len(t.ring)
	t.n = min(t.n+1, len(t.ring))
}

func (t *track) clear() { t.n, t.next = 0, 0 }

// has reports whether one of the Syncs has the sequenceId.
func (t *track) has(seq uint16) bool {
	for i := range t.n {
		if t.point(i).seq == seq {
			return true
		}
	}
	return false
}

// minAgreeing is how many former Syncs a new one has to continue to be the parent's: one of them may have been forged.
const minAgreeing = 2

// distrust drops the Syncs that arrived at reading t2 or later, if at least minAgreeing older ones remain. Otherwise it
// keeps all, since a forged one agrees with none of the parent's. Fewer than minAgreeing are no evidence, and are dropped.
func (t *track) distrust(t2 int64) {
	later := 0
	for later < t.n && t.point(later).t2 >= t2 {
		later++
	}
	switch {
	case t.n < minAgreeing:
		t.clear()
	case t.n-later >= minAgreeing:
		t.n -= later
		t.next = (t.next - later + len(t.ring)) % len(t.ring)
	}
}

// step moves the clock's readings by d ns, and with them what was measured.
func (t *track) step(d int64) {
	for i := range t.n {
		p := t.point(i)
		p.t2 += d
		p.forward, _ = p.forward.Add(Span{ns: d})
	}
}

type bracket uint8

const (
	bracketed bracket = iota
	tooEarly          // before the oldest Sync
	tooLate           // after the latest one
)

// forwardAt returns what t2 − t1 − corrections would have been for a Sync that arrived at reading t.
//
// A path delay is half of the sum of two differences taken at different instants, and a clock that is wrong by 100 ppm
// moves by 10 µs in the 0.1 s between them. So the forward difference is interpolated to the instant of the Delay_Req:
// what the frequency corrections did between the two Syncs around it is taken out, the rest is the oscillator's drift
// and runs straight, and the part that the corrections did up to t is put in again. Interpolating needs the Sync after
// the Delay_Req, which costs no time, since the delay is first used with that very Sync; and unlike an estimate of the
// rate it adds no noise of its own: the weights of the two Syncs are between 0 and 1.
//
// The point returned has t2 = at and an interpolated correction. Not ok if the differences are out of range.
func (t *track) forwardAt(at int64, s *steering) (p point, where bracket, ok bool) {
	if t.n == 0 || at > t.point(0).t2 {
		return point{}, tooLate, false
	}
	for i := 1; i < t.n; i++ {
		a, b := t.point(i), t.point(i-1)
		if at < a.t2 {
			continue
		}
		gap, ok := b.forward.Sub(a.forward)
		drift, within := gap.Interval()
		if !ok || !within {
			return point{}, bracketed, false
		}
		share := float64(at-a.t2) / float64(b.t2-a.t2)
		ns := share*(drift.Nanoseconds()-s.moved(a.t2, b.t2)) + s.moved(a.t2, at)
		moved, within := intervalOf(ns)
		forward, ok := a.forward.Add(intervalSpan(moved))
		correction := a.correction + wire.TimeInterval(clock.Int64(share*(float64(b.correction)-float64(a.correction))))
		return point{t2: at, forward: forward, correction: correction, mixed: a.doubtful != b.doubtful},
			bracketed, within && ok
	}
	return point{}, tooEarly, false
}
