// SPDX-License-Identifier: Apache-2.0

package ntp

import "time"

const (
	// minPoll and maxPoll are the limits of poll exponents: 62.5 ms, and 36 hours (RFC 5905 §7.2).
	minPoll, maxPoll = -4, 17
	// silentPoll is the longest interval at which a silent server is asked, where the configured ones are shorter: 64 s.
	silentPoll = 6
	// ratePoll is the longest interval that a server can impose by RATE, where the configured ones are shorter: 17 min.
	// A packet that somebody on the way has changed must not put a server out of use for days.
	ratePoll = 10

	// A good prediction counts for one, a bad one against four and against all good ones before it; the interval changes
	// at a sum of ±scoreLimit.
	scoreLimit = 8
	badScore   = 4
	// A prediction is good up to goodMiss standard deviations, bad beyond badMiss.
	goodMiss, badMiss = 2, 4
)

// pollControl chooses the poll interval. All values are exponents of two, in seconds.
type pollControl struct {
	min, max int8
	// floor is what the server has asked for by RATE; below minPoll if it has not.
	floor   int8
	current int8
	score   int
}

func (p *pollControl) reset(min, max int8) {
	*p = pollControl{min: min, max: max, floor: minPoll - 1, current: min}
}

// set moves to poll as far as the limits allow, those of the server first.
func (p *pollControl) set(poll int8) {
	p.current = max(min(max(poll, p.min), p.max), p.floor)
	p.score = 0
}

// limited reports whether the server has asked for less requests.
func (p *pollControl) limited() bool { return p.floor >= minPoll }

// hint counts a prediction that missed by miss where samples have a standard deviation of noise.
func (p *pollControl) hint(miss, noise time.Duration) {
	switch miss = miss.Abs(); {
	case miss <= goodMiss*noise:
		p.score++
	case miss > badMiss*noise:
		p.score = min(p.score, 0) - badScore
	}
	switch {
	case p.score >= scoreLimit:
		p.set(p.current + 1)
	case p.score <= -scoreLimit:
		p.set(p.current - 1)
	}
}

// rate obeys a RATE kiss: the interval at least doubles, for good, and is not below what the server says, as far as a
// server can ask for.
func (p *pollControl) rate(server int8) {
	p.floor = min(max(p.current+1, server), max(p.max, ratePoll))
	p.set(p.floor)
}

// lost shortens the interval to a server that has become silent, so that its return is noticed soon.
func (p *pollControl) lost() {
	if p.current > max(p.min, silentPoll) {
		p.set(silentPoll)
	}
}

// silent lengthens a short interval to a server that stays silent.
func (p *pollControl) silent() {
	if p.current < silentPoll {
		p.set(p.current + 1)
	}
}

// back ends what silent did.
func (p *pollControl) back() { p.set(p.min) }
