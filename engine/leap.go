// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/source"
)

// armedLeap is a leap second to come.
type armedLeap struct {
	leap   clock.Leap
	at     int64 // the end of the UTC day that has it, ns since 1970 UTC as POSIX counts
	listed bool  // by the leap-seconds list
}

// pastLeap is a leap second that the kernel has done and the sources are yet to confirm, if leap is one.
type pastLeap struct {
	leap clock.Leap
	at   clock.Mono
	utc  utcOffset // with it
}

// leapAdvice is what the list and the sources have to say of the end of this UTC day.
type leapAdvice struct {
	// announced by so many of the sources that know of leap seconds
	announced     clock.Leap
	votes, voters int
	// due is what is to be armed, and why it is that.
	due clock.Leap
	why leapReason
}

type leapReason uint8

const (
	leapUnheardOf leapReason = iota
	leapListed
	leapNotListed
	leapOfOtherDay
	leapOfMinority
	leapOfMajority
)

// String returns a clause.
func (a leapAdvice) String() string {
	by := fmt.Sprintf("announced by %d of %d sources", a.votes, a.voters)
	switch a.why {
	case leapListed:
		return "by the leap-seconds list"
	case leapNotListed:
		return by + ", but the leap-seconds list has it otherwise"
	case leapOfOtherDay:
		return by + ", but today is not the last day of a month"
	case leapOfMinority:
		return by + ", which is no majority"
	case leapOfMajority:
		return by
	}
	return "nobody announces it"
}

func (a leapAdvice) doubtful() bool { return a.announced != clock.NoLeap && a.announced != a.due }

// doubt says why an announcement is not believed, empty if it is or there is none.
func (a leapAdvice) doubt() string {
	if !a.doubtful() {
		return ""
	}
	return "a leap second is " + a.String()
}

const (
	day = 86400 * int64(time.Second)
	// afterLeap is how long after the end of a day announcements may still be about that, ns.
	afterLeap = int64(time.Hour)
)

// adviseLeap settles which leap second the UTC day has at its end, given what the system clock reads. A list that has not
// expired by then decides alone. Else it takes the majority of the sources that know of leap seconds, and the last day
// of a month: others have none (RFC 5905 §7.3; ITU-R TF.460-6 prefers June and December).
func (e *Engine) adviseLeap(utc int64) leapAdvice {
	end := (utc/day + 1) * day
	a := e.announcedLeap()
	if e.listDecides(utc) {
		a.due, _ = e.env.Leaps.NextLeap(clock.Instant{Nanoseconds: utc, Scale: clock.UTC}, time.Duration(end-utc))
		a.why = leapListed
		if a.doubtful() {
			a.why = leapNotListed
		}
		return a
	}
	switch lastDay := time.Unix(0, end).UTC().Day() == 1; {
	case a.announced == clock.NoLeap:
	case !lastDay && utc%day < afterLeap:
		a = leapAdvice{} // it may be the one just done
	case !lastDay:
		a.why = leapOfOtherDay
	case 2*a.votes <= a.voters:
		a.why = leapOfMinority
	default:
		a.why, a.due = leapOfMajority, a.announced
	}
	return a
}

// listDecides reports whether the leap-seconds list says what the end of this UTC day is like.
func (e *Engine) listDecides(utc int64) bool {
	list := e.env.Leaps
	return list != nil && list.Expires().Nanoseconds > (utc/day+1)*day
}

// announcedLeap counts what the truechimers announce: NTP servers, and grandmasters that know UTC. A grandmaster has one
// vote, through however many ports it is seen.
func (e *Engine) announcedLeap() (a leapAdvice) {
	var votes [3]int // by kind of leap second, from -1
	for i, p := range e.ports {
		if p.truechimer() && p.stated() && !p.options.Unconfigured && !e.votedBefore(i) {
			votes[1+p.leap()]++
		}
	}
	for _, c := range e.clients {
		if c.truechimer() {
			votes[1+c.leap]++
		}
	}
	a.voters = votes[0] + votes[1] + votes[2]
	a.announced, a.votes = clock.LeapInsert, votes[2]
	if votes[0] > votes[2] {
		a.announced, a.votes = clock.LeapDelete, votes[0]
	}
	if a.votes == 0 {
		a.announced = clock.NoLeap
	}
	return a
}

// votedBefore reports whether an earlier port sees the grandmaster of port i.
func (e *Engine) votedBefore(i int) bool {
	for _, o := range e.ports[:i] {
		if o.truechimer() && o.stated() && o.parent.Grandmaster == e.ports[i].parent.Grandmaster {
			return true
		}
	}
	return false
}

func (s *tracked) truechimer() bool {
	v := s.verdict.State
	return !s.suspect && (v == source.Selected || v == source.Combined || v == source.Usable)
}

// leap returns what the grandmaster announces (IEEE 1588-2019 §8.2.4.4, §8.2.4.5).
func (p *port) leap() clock.Leap {
	switch {
	case p.time.Leap61 == p.time.Leap59:
		return clock.NoLeap
	case p.time.Leap61:
		return clock.LeapInsert
	}
	return clock.LeapDelete
}

// checkLeap arms a leap second for the end of the day, and enters it into the clocks' history once the kernel has done
// it: when the system clock has passed the end of the day. While no source can be asked what is armed stays.
func (e *Engine) checkLeap(now clock.Mono) {
	at, _, ok := e.tree.Frequency(now, clock.System)
	if !ok {
		return
	}
	utc := at.Nanoseconds()
	if e.armed.leap != clock.NoLeap && utc >= e.armed.at-leapLength(e.armed.leap) {
		e.leapNow(now) // the kernel does what it is armed for, with a source or without
		return
	}
	if day-utc%day < int64(time.Second)*2 { // too late to change anything today
		if e.armed.leap != clock.NoLeap && !e.armed.listed {
			e.tree.Misreckon(time.Second)
		}
		return
	}
	silent, unsure := e.leader == nil && !e.listDecides(utc), e.tree.Steers(clock.System) && !e.tree.Trusted(clock.System)
	if silent || unsure || now < e.armFrom {
		return
	}
	a := e.adviseLeap(utc)
	e.advise(now, a)
	if a.due != e.armed.leap {
		e.arm(now, armedLeap{a.due, (utc/day + 1) * day, a.why == leapListed || a.why == leapNotListed}, a)
	}
}

// advise tells of an announcement that is not believed.
func (e *Engine) advise(now clock.Mono, a leapAdvice) {
	changed := a.announced != e.advice.announced || a.why != e.advice.why
	e.advice = a
	if changed && a.doubtful() {
		e.note(now, a.doubt())
	}
}

func (e *Engine) arm(now clock.Mono, l armedLeap, why leapAdvice) {
	e.armed = l
	if l.leap == clock.NoLeap {
		e.note(now, fmt.Sprintf("the leap second is not armed any more: %v", why))
		return
	}
	e.note(now, fmt.Sprintf("a leap second is armed for the end of the UTC day: %v", why))
}

// takeUpLeap takes over what a daemon of before, or another program, has armed in the kernel.
func (e *Engine) takeUpLeap(now clock.Mono, leap clock.Leap, at clock.Timestamp) {
	if leap != clock.NoLeap && leap != e.armed.leap {
		e.armed = armedLeap{leap: leap, at: (at.Nanoseconds()/day + 1) * day}
		e.note(now, "a leap second was armed in the kernel already; it stays until the sources say otherwise")
	}
}

// rearmLeap has the leap second armed anew. The kernel has a day in mind when it is armed, forgets that when the clock is
// set, and looks anew once a second (kernel/time/ntp.c).
func (e *Engine) rearmLeap(now clock.Mono) {
	if e.armed.leap != clock.NoLeap {
		e.armed, e.armFrom, e.nextKernel = armedLeap{}, now.Add(2*time.Second), now
		e.tree.Misreckon(0)
	}
}

// leapNow enters the leap second that the kernel has just done.
func (e *Engine) leapNow(now clock.Mono) {
	leap := e.armed.leap
	e.tree.LeapSecond(now, leap)
	text := "leap second"
	if e.utc.known {
		e.setUTCSeconds(e.utc.seconds + int(leap))
		text = fmt.Sprintf("leap second: TAI−UTC is %d s from now on", e.utc.seconds)
	}
	e.note(now, text)
	if !e.armed.listed {
		e.past = pastLeap{leap, now, e.utc}
		e.tree.Misreckon(time.Second)
	}
	e.armed = armedLeap{}
}

func (e *Engine) setUTCSeconds(seconds int) {
	e.utc.seconds, e.env.Saved.UTCOffset = seconds, seconds
}

// leapLength is how much earlier than at the end of the day the kernel acts: a deleted second is never shown.
func leapLength(l clock.Leap) int64 {
	if l == clock.LeapDelete {
		return int64(time.Second)
	}
	return 0
}

// reviewLeap ends the doubt about a leap second that was announced, once most sources have shown what they have made of
// it: the maximum error allows for the whole second until then.
func (e *Engine) reviewLeap(now clock.Mono) {
	l := e.past
	if l.leap == clock.NoLeap {
		return
	}
	done, undone, voters := 0, 0, 0
	for _, s := range e.sources {
		switch e.leapWitness(now, s) {
		case leapDone:
			done, voters = done+1, voters+1
		case leapUndone:
			undone, voters = undone+1, voters+1
		case leapUnseen:
			voters++
		}
	}
	switch {
	case l.utc.known && e.utc.known && e.utc.seconds != l.utc.seconds, 2*undone > voters:
		e.undoLeap(now)
	case 2*done > voters:
		e.note(now, fmt.Sprintf("the leap second is confirmed by %d of %d sources", done, voters))
	default:
		return
	}
	e.past = pastLeap{}
	e.tree.Misreckon(0)
}

type leapSight uint8

const (
	leapNoWitness leapSight = iota
	leapUnseen
	leapDone
	leapUndone
)

const (
	// leapSettled is how long after a leap second an exchange with a server is surely of after it, and leapPatience within
	// what time grandmasters announce the new offset.
	leapSettled, leapPatience = 2 * time.Second, 30 * time.Second
	// leapTolerance is by how many ns a source may be off and yet tell one second from the next.
	leapTolerance = 250e6
)

// leapWitness says what a source has made of the last leap second: an NTP server by the time that it tells, a
// grandmaster, whose TAI does not know any, by the offset that it announces.
func (e *Engine) leapWitness(now clock.Mono, s *tracked) leapSight {
	if state, _ := e.standing(now, s); state != source.Usable || s.options.NoSelect || s.options.Unconfigured {
		return leapNoWitness
	}
	if s.kind == source.PTP {
		return e.leapStated(now, s)
	}
	if s.n == 0 || s.latest().at.Sub(e.past.at) < leapSettled {
		return leapUnseen
	}
	off := s.latest().residual
	switch undone := off + float64(e.past.leap)*1e9; {
	case -leapTolerance < off && off < leapTolerance:
		return leapDone
	case -leapTolerance < undone && undone < leapTolerance:
		return leapUndone
	}
	return leapNoWitness
}

func (e *Engine) leapStated(now clock.Mono, s *tracked) leapSight {
	for _, p := range e.ports {
		if s != &p.tracked || !p.stated() || !e.past.utc.known {
			continue
		}
		switch seconds := int(p.time.UTCOffset); {
		case seconds == e.past.utc.seconds:
			return leapDone
		case now.Sub(e.past.at) < leapPatience:
			return leapUnseen
		case seconds == e.past.utc.seconds-int(e.past.leap):
			return leapUndone
		}
	}
	return leapNoWitness
}

// undoLeap takes back what was reckoned for a leap second that the sources have not had. What remains is a system clock
// that is a second off, to be steered like any other.
func (e *Engine) undoLeap(now clock.Mono) {
	l := e.past
	e.tree.NoLeapSecond(l.leap)
	if e.utc.known && e.utc.seconds == l.utc.seconds {
		e.setUTCSeconds(e.utc.seconds - int(l.leap))
	}
	e.relateScale(e.leader)
	for _, s := range e.sources {
		if s.kind == source.NTP {
			s.forgetBefore(l.at.Add(leapSettled))
			s.shift(-float64(l.leap) * 1e9)
			s.bias = bias{}
			s.renew()
		}
	}
	e.note(now, "the sources have had no leap second: the system clock is a second off")
}
