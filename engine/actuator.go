// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/status"
)

// actuator passes on to the driver what the tree does, and to the protocols what that does to their timestamps.
type actuator Engine

func (a *actuator) SetFrequency(id clock.ID, ppb float64) (float64, clock.Timestamp, error) {
	applied, at, err := a.driver.SetFrequency(id, ppb)
	if err == nil {
		for _, p := range a.ports {
			if p.core != nil && p.clock == id {
				p.core.Steered(at, applied)
			}
		}
	}
	return applied, at, err
}

func (a *actuator) Step(id clock.ID, d time.Duration) (clock.Timestamp, error) {
	at, err := a.driver.Step(id, d)
	if err != nil {
		return at, err
	}
	now := a.now
	for _, p := range a.ports {
		if p.clock == id {
			if p.core != nil {
				p.core.Stepped(now, d)
				p.stepped = true
			}
			p.stepBackward(d)
		}
	}
	for _, c := range a.clients {
		if c.stamps == id {
			c.core.Stepped()
		}
	}
	for _, o := range a.sources {
		if o.sample.At.Clock() == id {
			o.sample = discipline.Measurement{} // its reading is one of before
		}
	}
	for phc := range a.tree.PHCs() {
		if phc == id || id == clock.System {
			a.stale[phc] = a.comparing[phc]
		}
	}
	if id == clock.System {
		(*Engine)(a).rearmLeap(now)
	}
	return at, nil
}

func (a *actuator) Changed(id clock.ID, what discipline.Change, d time.Duration) {
	e := (*Engine)(a)
	now := e.now
	switch what {
	case discipline.Stepped:
		e.steps++
		e.note(now, fmt.Sprintf("%v stepped by %v", id, d))
	case discipline.Locked:
		e.note(now, fmt.Sprintf("%v locked, offset %v", id, d))
	case discipline.Lost:
		e.note(now, fmt.Sprintf("%v is %v off, not locked any more", id, d))
	case discipline.Jumped:
		e.note(now, fmt.Sprintf("%v was set by somebody else, by %v", id, d))
		if id == clock.System {
			e.rearmLeap(now)
		}
	case discipline.Panicked:
		text := fmt.Sprintf("%v is %v off, more than the panic threshold: nothing is steered until told to resume", id, d)
		e.note(now, text)
		e.setState(now, status.Panicked, text)
	}
}
