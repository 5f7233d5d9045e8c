// SPDX-License-Identifier: Apache-2.0

package timescale

import (
	"fmt"
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

// armedLeap is a leap second to come.
type armedLeap struct {
	leap   clock.Leap
	at     int64 // the end of the UTC day that has it, ns since 1970 UTC as POSIX counts
	listed bool  // by the leap-seconds list
}

// pastLeap is a leap second that the kernel has carried out and the sources have not confirmed yet, if leap is one.
type pastLeap struct {
	leap   clock.Leap
	at     clock.Mono
	offset Offset // with it
}

// Advice is what the list and the sources say of the end of this UTC day.
type Advice struct {
	// Announced by Votes of the Voters sources that know of leap seconds.
	Announced     clock.Leap
	Votes, Voters int
	// Due is what is to be armed, Why the reason.
	Due clock.Leap
	Why AdviceReason
}

// AdviceReason says why a leap second is due or not.
type AdviceReason uint8

// The reasons.
const (
	// NotAnnounced: no source announces one.
	NotAnnounced AdviceReason = iota
	// Listed: the leap-seconds list says so. NotListed: it contradicts what is announced.
	Listed
	NotListed
	// OtherDay: today is not the last day of a month.
	OtherDay
	// ByMinority, ByMajority of the sources that know of leap seconds.
	ByMinority
	ByMajority
)

// String returns a clause.
func (a Advice) String() string {
	by := fmt.Sprintf("announced by %d of %d sources", a.Votes, a.Voters)
	switch a.Why {
	case Listed:
		return "by the leap-seconds list"
	case NotListed:
		return by + ", but the leap-seconds list has it otherwise"
	case OtherDay:
		return by + ", but today is not the last day of a month"
	case ByMinority:
		return by + ", which is no majority"
	case ByMajority:
		return by
	}
	return "nobody announces it"
}

// Doubtful reports whether another leap second is announced than the one that is due.
func (a Advice) Doubtful() bool { return a.Announced != clock.NoLeap && a.Announced != a.Due }

// Doubt says why an announcement is not believed, empty if it is or there is none.
func (a Advice) Doubt() string {
	if !a.Doubtful() {
		return ""
	}
	return "a leap second is " + a.String()
}

const (
	day = 86400 * int64(time.Second)
	// afterLeap is how long after the end of a day announcements may still be about that end, ns. Servers take down the leap
	// indicator with their next poll or later.
	afterLeap = int64(time.Hour)
	// lastChance is how long before the end of the day nothing is armed or disarmed any more: the kernel looks once a second
	// (kernel/time/ntp.c), and needs to have seen the change.
	lastChance = 2 * time.Second
)

// Armed returns the leap second that the kernel is to carry out at the end of this UTC day.
func (k *Keeper) Armed() clock.Leap { return k.armed.leap }

// Advice returns the latest advice.
func (k *Keeper) Advice() Advice { return k.advice }

// advise says which leap second the UTC day has at its end, given what the system clock reads. A list that has not expired
// by then decides alone. Otherwise it takes the majority of the sources that know of leap seconds, and the last day of a
// month: other days have none (RFC 5905 §7.3; ITU-R TF.460-6 prefers June and December).
func (k *Keeper) advise(utc int64, witnesses []Witness) Advice {
	end := (utc/day + 1) * day
	a := announced(witnesses)
	if k.listDecides(utc) {
		a.Due, _ = k.cfg.Leaps.NextLeap(clock.Instant{Nanoseconds: utc, Scale: clock.UTC}, time.Duration(end-utc))
		a.Why = Listed
		if a.Doubtful() {
			a.Why = NotListed
		}
		return a
	}
	switch lastDay := time.Unix(0, end).UTC().Day() == 1; {
	case a.Announced == clock.NoLeap:
	case !lastDay && utc%day < afterLeap:
		a = Advice{} // it may be the one just carried out
	case !lastDay:
		a.Why = OtherDay
	case 2*a.Votes <= a.Voters:
		a.Why = ByMinority
	default:
		a.Why, a.Due = ByMajority, a.Announced
	}
	return a
}

// listDecides reports whether the leap-seconds list says what the end of this UTC day is like.
func (k *Keeper) listDecides(utc int64) bool {
	list := k.cfg.Leaps
	return list != nil && list.Expires().Nanoseconds > (utc/day+1)*day
}

// announced counts what the truechimers announce: sources on UTC, and sources on TAI that know UTC.
func announced(witnesses []Witness) (a Advice) {
	var votes [3]int // by kind of leap second, from -1
	for i := range witnesses {
		if w := &witnesses[i]; w.votesOnLeap() && !votedBefore(witnesses[:i], w) {
			votes[1+w.Claim.Leap]++
		}
	}
	a.Voters = votes[0] + votes[1] + votes[2]
	a.Announced, a.Votes = clock.LeapInsert, votes[2]
	if votes[0] > votes[2] {
		a.Announced, a.Votes = clock.LeapDelete, votes[0]
	}
	if a.Votes == 0 {
		a.Announced = clock.NoLeap
	}
	return a
}

func (w *Witness) votesOnLeap() bool {
	return w.truechimer() && (w.Claim.Scale == clock.UTC || w.states() && w.Configured)
}

// votedBefore reports whether an earlier source has the same reference.
func votedBefore(earlier []Witness, w *Witness) bool {
	for i := range earlier {
		if o := &earlier[i]; w.Claim.Reference != 0 && o.Claim.Reference == w.Claim.Reference && o.truechimer() && o.states() {
			return true
		}
	}
	return false
}

// CheckLeap arms a leap second for the end of the day, and enters it into the clocks' history once the kernel has carried it
// out: when the system clock has passed the end of the day. While the host follows no source, what is armed stays.
func (k *Keeper) CheckLeap(now clock.Mono, following bool, witnesses []Witness) {
	at, _, ok := k.clocks.Frequency(now, clock.System)
	if !ok {
		return
	}
	utc := at.Nanoseconds()
	if left, ok := k.UntilLeap(now); ok && left <= 0 {
		k.carriedOut(now) // the kernel does what it is armed for, with a source or without
		return
	}
	if day-utc%day < int64(lastChance) {
		if k.armed.leap != clock.NoLeap && !k.armed.listed {
			k.clocks.SetUTCUncertainty(time.Second)
		}
		return
	}
	silent, unsure := !following && !k.listDecides(utc), k.clocks.Steers(clock.System) && !k.clocks.Trusted(clock.System)
	if silent || unsure || now < k.armFrom {
		return
	}
	a := k.advise(utc, witnesses)
	changed := a.Announced != k.advice.Announced || a.Why != k.advice.Why
	k.advice = a
	if changed && a.Doubtful() {
		k.tell(now, Event{Kind: LeapDoubted, Advice: a})
	}
	if a.Due != k.armed.leap {
		k.armed = armedLeap{a.Due, (utc/day + 1) * day, a.Why == Listed || a.Why == NotListed}
		k.tell(now, Event{Kind: LeapArmed, Leap: a.Due, Advice: a})
	}
}

// UntilLeap returns how long it is, by the system clock, until the kernel carries out the leap second that it is armed for;
// negative if that should have happened. It is not ok if none is armed.
func (k *Keeper) UntilLeap(now clock.Mono) (left time.Duration, ok bool) {
	at, _, ok := k.clocks.Frequency(now, clock.System)
	if !ok || k.armed.leap == clock.NoLeap {
		return 0, false
	}
	return time.Duration(k.armed.at - leapLength(k.armed.leap) - at.Nanoseconds()), true
}

// TakeUp takes over what an earlier daemon, or another program, has armed in the kernel, when the system clock reads at.
func (k *Keeper) TakeUp(now clock.Mono, leap clock.Leap, at clock.Timestamp) {
	if leap != clock.NoLeap && leap != k.armed.leap {
		k.armed = armedLeap{leap: leap, at: (at.Nanoseconds()/day + 1) * day}
		k.tell(now, Event{Kind: LeapTakenOver, Leap: leap})
	}
}

// Rearm has a leap second armed anew, and reports whether there is one. The kernel notes the day when a leap second is
// armed, forgets it when the clock is set, and looks again once a second (kernel/time/ntp.c).
func (k *Keeper) Rearm(now clock.Mono) bool {
	if k.armed.leap == clock.NoLeap {
		return false
	}
	k.armed, k.armFrom = armedLeap{}, now.Add(2*time.Second)
	k.clocks.SetUTCUncertainty(0)
	return true
}

// carriedOut enters the leap second that the kernel has just carried out.
func (k *Keeper) carriedOut(now clock.Mono) {
	leap := k.armed.leap
	k.clocks.LeapSecond(now, leap)
	if k.offset.Known {
		k.setSeconds(k.offset.Seconds + int(leap))
	}
	k.tell(now, Event{Kind: LeapCarriedOut, Leap: leap, Offset: k.offset})
	if !k.armed.listed {
		k.past = pastLeap{leap, now, k.offset}
		k.clocks.SetUTCUncertainty(time.Second)
	}
	k.armed = armedLeap{}
}

func (k *Keeper) setSeconds(seconds int) { k.offset.Seconds, k.cfg.Saved = seconds, seconds }

// leapLength is how much earlier than at the end of the day the kernel acts: a deleted second is never shown.
func leapLength(l clock.Leap) int64 {
	if l == clock.LeapDelete {
		return int64(time.Second)
	}
	return 0
}
