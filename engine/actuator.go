// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"log/slog"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
)

// actuator passes on to the driver what the graph does, and to the sources what that does to their timestamps.
type actuator Engine

func (a *actuator) SetFrequency(id clock.ID, ppb float64) (float64, clock.Timestamp, error) {
	applied, at, err := a.driver.SetFrequency(id, ppb)
	if err == nil {
		a.tell(source.Change{Kind: source.Steered, Clock: id, At: at, Frequency: applied})
	}
	return applied, at, err
}

func (a *actuator) tell(c source.Change) {
	for _, s := range a.sources {
		s.source.ClockChanged(a.now, c)
	}
}

func (a *actuator) Step(id clock.ID, d time.Duration) (clock.Timestamp, error) {
	at, err := a.driver.Step(id, d)
	if err != nil {
		return at, err
	}
	a.tell(source.Change{Kind: source.Stepped, Clock: id, At: at, By: d})
	for _, o := range a.sources {
		if o.sample.At.Clock() == id {
			o.sample = source.Sample{} // its reading is one of before
		}
	}
	(*Engine)(a).outdate(id)
	if id == clock.System {
		(*Engine)(a).rearmLeap(a.now)
	}
	return at, nil
}

func (a *actuator) Changed(id clock.ID, what discipline.Change, d time.Duration) {
	e := (*Engine)(a)
	now, off := e.now, slog.Duration("offset", d)
	switch what {
	case discipline.Stepped:
		e.steps++
		e.moved(now, id)
		e.tell(now, status.ClockStepped, id.String(), off)
	case discipline.Locked:
		e.tell(now, status.ClockLocked, id.String(), off)
	case discipline.Lost:
		e.tell(now, status.ClockLost, id.String(), off)
	case discipline.Jumped:
		e.tell(now, status.ClockSet, id.String(), off)
		e.moved(now, id)
		if id == clock.System {
			e.rearmLeap(now)
		}
	case discipline.Panicked:
		e.tell(now, status.ClockPanicked, id.String(), off)
		e.setState(now, status.Panicked, status.Reason{Code: status.PanicThreshold, Clock: id, A: d})
	}
}

// moved has readings of the clock from before told from those after.
func (e *Engine) moved(now clock.Mono, id clock.ID) {
	e.epochs[id]++
	e.offerSoon(now)
}
