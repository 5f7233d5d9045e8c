// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
)

// actuator passes on to the driver what the tree does, and to the sources what that does to their timestamps.
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
	for phc := range a.tree.PHCs() {
		if phc == id || id == clock.System {
			a.stale[phc] = a.comparing[phc]
		}
	}
	if id == clock.System {
		(*Engine)(a).rearmLeap(a.now)
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
