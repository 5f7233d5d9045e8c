// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/offer"
	"github.com/lockstep-time/lockstep/status"
)

const (
	// offerInterval is how often an offer is made at least; it may be made earlier by slack if there is a wake-up anyhow: that
	// of the selection is. The frequency of a clock may change by the largest slew within it.
	offerInterval = selectInterval + selectInterval/4
	// offerValidity is how long one may be used: a loop that is late by three intervals has stopped.
	offerValidity = 4 * selectInterval
)

// Offer returns what this host's time is worth to others, nil before it is known. It may be called from any goroutine.
func (e *Engine) Offer() *offer.Offer { return e.offer.Load() }

// offerSoon has a new offer made at the next opportunity: the leader, the state, a leap second or a clock has changed.
func (e *Engine) offerSoon(now clock.Mono) { e.nextOffer = min(e.nextOffer, now) }

// makeOffer makes an offer as of now.
func (e *Engine) makeOffer(now clock.Mono) *offer.Offer {
	e.nextOffer = now.Add(offerInterval)
	o := &offer.Offer{Made: now, Until: now.Add(offerValidity), UTCOffset: e.scales.Offset(), Leap: e.scales.Armed(),
		Synchronized: e.state == status.Locked || e.state == status.Holdover ||
			e.state == status.Acquiring && e.graph.Trusted(clock.System)}
	o.Lines = make([]offer.Line, 0, 4)
	if e.graph.Has(clock.System) {
		o.Lines = e.appendLine(o.Lines, now, clock.System)
	}
	for id := range e.graph.PHCs() {
		o.Lines = e.appendLine(o.Lines, now, id)
	}
	e.offer.Store(o)
	return o
}

// appendLine adds the line of a clock, if its offset is known.
func (e *Engine) appendLine(lines []offer.Line, now clock.Mono, id clock.ID) []offer.Line {
	est, known := e.graph.Estimate(now, id)
	bound, bounded := e.graph.MaxError(now, id)
	at, _, ok := e.graph.Frequency(now, id)
	if !known || !bounded || !ok {
		return lines
	}
	l := offer.Line{Clock: id, Epoch: e.epochs[id], At: at, Offset: est.Offset, Sigma: est.Sigma(), MaxError: bound}
	// the bound grows ever faster, so that the chord to its value at the end of the offer is above it
	end := now.Add(offerValidity)
	if later, ok := e.graph.Estimate(end, id); ok {
		l.Rate = (later.Offset - est.Offset) / offerValidity.Seconds()
	}
	if later, ok := e.graph.MaxError(end, id); ok {
		l.Growth = max(0, float64(later-bound)/offerValidity.Seconds())
	}
	return append(lines, l)
}
