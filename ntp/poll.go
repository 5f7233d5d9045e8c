// SPDX-License-Identifier: Apache-2.0

package ntp

import "time"

const (
	// minPoll and maxPoll are the limits of poll exponents: 62.5 ms, and 36 hours (RFC 5905 §7.2).
	minPoll, maxPoll = -4, 17
	// silentPoll is the longest interval at which a silent server is asked, where the configured ones are shorter: 64 s.
	silentPoll = 6
	// rateExcess is how far beyond the configured limit a server can lengthen the interval by RATE: to four times that.
	// Whoever forges a kiss must not put a server out of use for much longer than its user has agreed to wait.
	rateExcess = 2
	// After rateAnswers usable answers at the interval that a server has asked for by RATE, half of it is tried: a server
	// that limits for good gets one request in nine too early. If it then says RATE again, it takes twice as many answers
	// the next time, up to maxRateAnswers, with which it is one in 65.
	rateAnswers, maxRateAnswers = 8, 64

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
	floor int8
	// own is the interval that is asked at without a floor, current the longer one of these two.
	own, current int8
	score        int
	// answers is how many usable answers are lacking until the floor is lowered, needed how many that takes. tried: it has
	// been lowered since the last RATE, and may turn out to be too low.
	answers, needed int
	tried           bool
}

func (p *pollControl) reset(least, most int8) {
	*p = pollControl{min: least, max: most, floor: minPoll - 1, own: least, current: least, needed: rateAnswers}
}

// set moves to poll as far as the limits allow, those of the server first.
func (p *pollControl) set(poll int8) {
	p.own = min(max(poll, p.min), p.max)
	p.current = max(p.own, p.floor)
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
		p.set(p.own - 1)
	}
}

// rate obeys a RATE kiss: the interval at least doubles, and is not below what the server says, as far as a server can ask
// for.
func (p *pollControl) rate(server int8) {
	if p.tried {
		p.needed = min(2*p.needed, maxRateAnswers)
	}
	p.floor = min(max(p.current+1, server), p.max+rateExcess, maxPoll)
	p.current = max(p.own, p.floor)
	p.answers, p.tried, p.score = p.needed, false, 0
}

// answered counts a usable answer, and lowers what the server has asked for by RATE when there were enough of them.
func (p *pollControl) answered() {
	if !p.limited() && !p.tried {
		return
	}
	if p.answers--; p.answers > 0 {
		return
	}
	if !p.limited() { // it has limited nothing for as long as that
		p.tried, p.needed = false, rateAnswers
		return
	}
	p.floor, p.answers, p.tried = p.floor-1, p.needed, true
	if p.floor <= p.min {
		p.floor = minPoll - 1
	}
	p.current = max(p.own, p.floor)
}

// forget is the end of what the server has asked for by RATE: the interval is the shortest one again.
func (p *pollControl) forget() {
	if p.limited() {
		p.floor = minPoll - 1
		p.set(p.min)
	}
	p.tried, p.needed = false, rateAnswers
}

// lost shortens the interval to a server that has become silent, so that its return is noticed soon.
func (p *pollControl) lost() {
	if p.current > max(p.min, silentPoll) {
		p.set(min(p.own, silentPoll))
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
