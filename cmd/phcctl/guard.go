// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/lockstep-time/lockstep/internal/plain"
	"github.com/lockstep-time/lockstep/phc"
)

// ident is the clock that a result is about.
type ident struct {
	Device string `json:"device"`
	Driver string `json:"driver"`
}

func identify(d *phc.Device) ident { return ident{d.Name(), d.Driver()} }

// String is how the clock is called in what is written for people.
func (i ident) String() string {
	if i.Driver == "" {
		return i.Device
	}
	return fmt.Sprintf("%s (%s)", i.Device, i.Driver)
}

// heldError: other processes have the clock open, or may have.
type heldError struct {
	what string
	// holders are those that are known; there may be more.
	holders []phc.Holder
}

func (e *heldError) Error() string {
	if len(e.holders) == 0 {
		return fmt.Sprintf(
			"%s may be in use by a process that this user may not look into; be root, or add --force to change it all the same",
			e.what)
	}
	return fmt.Sprintf("%s may be steered by %s, which has it open; add --force to change it all the same",
		e.what, names(e.holders))
}

// names lists processes.
func names(holders []phc.Holder) string {
	var who []string
	for _, h := range holders {
		who = append(who, fmt.Sprintf("%s (pid %d)", plain.Short(h.Command), h.PID))
	}
	return strings.Join(who, ", ")
}

// writers returns the processes that may change a clock; complete is false if there may be more.
func (a *app) writers(index int) (found []phc.Holder, complete bool, err error) {
	all, complete, err := a.holders(index)
	for _, h := range all {
		if h.Writable {
			found = append(found, h)
		}
	}
	return found, complete, err
}

// mayChange fails if another process has the clock open for writing, or may have, and --force was not given.
func (a *app) mayChange(d *phc.Device) error { return a.mayTouch(identify(d).String(), d.Index()) }

// mayTouch is mayChange for whatever belongs to the clock of that index.
func (a *app) mayTouch(what string, index int) error {
	if a.force {
		return nil
	}
	writers, complete, err := a.writers(index)
	if err != nil {
		return err
	}
	if len(writers) > 0 || !complete {
		return &heldError{what, writers}
	}
	return nil
}

// mayChangeVirtual is mayChange for the number of virtual clocks: where some are to go, nobody may so much as read any.
func (a *app) mayChangeVirtual(d *phc.Device, fewer bool) error {
	if err := a.mayChange(d); err != nil || a.force || !fewer {
		return err
	}
	infos, err := a.list()
	if err != nil {
		return err
	}
	for _, i := range infos {
		if i.Parent != d.Index() {
			continue
		}
		holders, complete, err := a.holders(i.Index)
		if err != nil {
			return err
		}
		if len(holders) > 0 || !complete {
			return &heldError{"the virtual clock " + i.Device, holders}
		}
	}
	return nil
}
