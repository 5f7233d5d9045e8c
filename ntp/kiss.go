// SPDX-License-Identifier: Apache-2.0

package ntp

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ntp/wire"
)

const (
	// kissHold is how long a kiss-o'-death waits to be obeyed. Whoever sees a request can answer it with a kiss, and need
	// only be nearer than the server. If the server answers the same request, its answer is there within a round trip,
	// which takes 0.6 s even by a geostationary satellite.
	kissHold = time.Second
	// A server that denies its service is asked again after firstDenial. As long as it goes on to deny, the time doubles,
	// up to lastDenial. So a lie costs an hour, and a server that means it gets a request a day.
	firstDenial, lastDenial = time.Hour, 24 * time.Hour
	// sureDenials is how many denials in a row it takes to stop a server that has given usable answers. Somebody on the way
	// who answers every request with a kiss needs as many true answers in a row to be lost: of a path that loses one in a
	// hundred, one in a million.
	sureDenials = 3
	// sureRates is how many RATE kisses in a row it takes until the interval is what the server asks for, and not just
	// twice as long.
	sureRates = 2
)

// held is the place in Client.flight of the request that a kiss answers which is not obeyed yet. It is apart from the
// other requests, since at short intervals more of them leave within kissHold than there are places.
const held = flights

// kiss is a kiss-o'-death that has come and is not obeyed yet. The request that it answers is in Client.flight[held].
type kiss struct {
	code wire.ReferenceID
	poll int8
	// due is when it is obeyed; 0: there is none.
	due clock.Mono
}

// hold takes up the kiss h for the request x, to be obeyed unless the server answers the request truly within kissHold.
// As long as one is waited for, others are ignored; the requests that they answer stay open.
func (c *Client) hold(now clock.Mono, x *exchange, h *wire.Header) Refusal {
	if x == &c.flight[held] {
		return ErrDuplicate
	}
	c.wary = true
	if c.kiss.due != 0 || c.flight[held].waiting() {
		return ErrKiss
	}
	c.kiss = kiss{code: h.ReferenceID, poll: h.Poll, due: now.Add(kissHold)}
	c.flight[held], *x = *x, exchange{}
	return ErrKiss
}

// denyKiss drops the kiss that is waited for: the server has answered the request.
func (c *Client) denyKiss() {
	code := c.kiss.code.Text(0)
	c.kiss = kiss{}
	c.status.FalseKisses++
	c.out.FalseKiss(code)
}

// obey does what the kiss says that was waited for (RFC 5905 §7.4). Codes other than these three are for people.
func (c *Client) obey(now clock.Mono) {
	k := c.kiss
	c.kiss, c.flight[held] = kiss{}, exchange{}
	c.status.Kiss = k.code.Text(0)
	switch string(k.code[:]) {
	case wire.KissRate:
		c.burst = 0
		c.drop()
		c.rates++
		if c.rates < sureRates {
			k.poll = minPoll
		}
		c.poll.rate(k.poll)
		c.next = now.Add(c.interval())
		if c.poll.current > c.cfg.MaxPoll {
			c.out.Replace("the server asks for longer poll intervals than allowed (RATE)")
		}
	case wire.KissDeny, wire.KissRstr:
		if c.denied++; c.denied < sureDenials && c.status.Header.Version != 0 {
			c.next = min(c.next, now.Add(burstGap)) // to know soon
			return
		}
		c.stop(now)
		c.out.Replace("the server denies its service (" + c.status.Kiss + ")")
	}
}

// stop sends no requests for a time that doubles with every denial in a row. A sixteenth is added at random, so that not
// all hosts that a server has denied return to it at once.
func (c *Client) stop(now clock.Mono) {
	pause := min(firstDenial<<c.denials, lastDenial)
	if pause < lastDenial {
		c.denials++
	}
	c.until = now.Add(pause + c.random(pause/16))
	c.next, c.burst, c.unanswered, c.refused = c.until, 0, 0, 0
	c.drop()
}

// ForgetKisses has the server asked as if it had never sent a kiss-o'-death: soon if one is in force, and at the intervals
// of Config. However often it is called, a server that goes on to send kisses gets no more than one request in the time of
// Config.MinPoll.
func (c *Client) ForgetKisses(now clock.Mono) {
	inForce := c.kiss.due != 0 || c.until != 0 || c.denials > 0 || c.poll.limited()
	c.forgetKisses()
	if c.running && inForce {
		c.soon(now)
	}
}

// forgetKisses forgets what the server has said by kisses. That there was one lately, wary, and how many denials there were
// in a row, is not forgotten: a server that goes on to deny its service is stopped again by the next one.
func (c *Client) forgetKisses() {
	if c.kiss.due != 0 {
		c.kiss, c.flight[held] = kiss{}, exchange{}
	}
	c.until, c.denials, c.status.Kiss = 0, 0, ""
	c.poll.forget()
}
