// SPDX-License-Identifier: Apache-2.0

package timescale

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

// Undone is a leap second that the sources have not had. What was measured before Since says nothing of the time after it.
type Undone struct {
	Leap  clock.Leap
	Since clock.Mono
}

// ReviewLeap ends the uncertainty about a leap second that was announced, once most sources have shown whether they had it:
// until then the maximum error allows for the whole second. It reports a leap second that they have not had: then the system
// clock is a second off, to be steered as any other offset.
func (k *Keeper) ReviewLeap(now clock.Mono, witnesses []Witness) (undone Undone, ok bool) {
	l := k.past
	if l.leap == clock.NoLeap {
		return undone, false
	}
	done, not, voters := 0, 0, 0
	for i := range witnesses {
		switch k.sight(now, &witnesses[i]) {
		case leapSeen:
			done, voters = done+1, voters+1
		case leapMissed:
			not, voters = not+1, voters+1
		case leapUnseen:
			voters++
		}
	}
	switch {
	case l.offset.Known && k.offset.Known && k.offset.Seconds != l.offset.Seconds, 2*not > voters:
		k.clocks.NoLeapSecond(l.leap)
		if k.offset.Known && k.offset.Seconds == l.offset.Seconds {
			k.setSeconds(k.offset.Seconds - int(l.leap))
		}
		k.tell(now, Event{Kind: LeapUndone, Leap: l.leap})
		undone, ok = Undone{l.leap, l.at.Add(leapSettled)}, true
	case 2*done > voters:
		k.tell(now, Event{Kind: LeapConfirmed, Leap: l.leap, Advice: Advice{Votes: done, Voters: voters}})
	default:
		return undone, false
	}
	k.past = pastLeap{}
	k.clocks.SetUTCUncertainty(0)
	return undone, ok
}

// sight is what a source shows of the last leap second.
type sight uint8

const (
	leapNoWitness sight = iota
	leapUnseen
	leapSeen
	leapMissed
)

const (
	// leapSettled is how long after a leap second an exchange with a server is surely one of after it, and leapPatience
	// within what time grandmasters announce the new offset: a few announce intervals of up to 16 s.
	leapSettled, leapPatience = 2 * time.Second, 30 * time.Second
	// leapTolerance is by how many ns a source may be off and yet tell one second from the next.
	leapTolerance = 250e6
)

// sight says what a source has made of the last leap second: one on UTC by the time that it tells, one on TAI, which has no
// leap seconds, by the offset that it announces.
func (k *Keeper) sight(now clock.Mono, w *Witness) sight {
	switch {
	case !w.Usable || !w.Followable || !w.Configured:
		return leapNoWitness
	case w.Claim.Scale != clock.UTC:
		return k.sightOfOffset(now, w)
	case !w.HasResidual || w.At.Sub(k.past.at) < leapSettled:
		return leapUnseen
	}
	switch without := w.Residual + float64(k.past.leap)*1e9; {
	case -leapTolerance < w.Residual && w.Residual < leapTolerance:
		return leapSeen
	case -leapTolerance < without && without < leapTolerance:
		return leapMissed
	}
	return leapNoWitness
}

func (k *Keeper) sightOfOffset(now clock.Mono, w *Witness) sight {
	if !w.states() || !k.past.offset.Known {
		return leapNoWitness
	}
	switch {
	case w.Claim.Offset == k.past.offset.Seconds:
		return leapSeen
	case now.Sub(k.past.at) < leapPatience:
		return leapUnseen
	case w.Claim.Offset == k.past.offset.Seconds-int(k.past.leap):
		return leapMissed
	}
	return leapNoWitness
}
