// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/status"
)

const (
	// choresInterval is more than that of the engine's selections, and choresSlack how much earlier the chores are done if the
	// loop is awake anyhow: so they are done with each selection, and take no wake-up of their own.
	choresInterval = 1250 * time.Millisecond
	choresSlack    = 500 * time.Millisecond
	saveInterval   = time.Minute
	// readyPatience is how long the service manager is kept waiting for a source: a host without one has to boot too.
	readyPatience = 3 * time.Minute
)

// Wake implements waker: it does what is due of the host's and of the daemon's own, and some of what is due soon.
func (d *Daemon) Wake(now clock.Mono) {
	d.host.Wake(now)
	if d.nextWatchdog <= now {
		d.nextWatchdog = now.Add(d.opt.Watchdog)
		d.tell(d.opt.Notify.Watchdog)
	}
	if d.nextChores <= now.Add(choresSlack) {
		d.nextChores = now.Add(choresInterval)
		d.chores(now)
	}
}

// NextWake implements waker.
func (d *Daemon) NextWake() clock.Mono { return min(d.host.NextWake(), d.nextWatchdog, d.nextChores) }

// chores does what is to be done about once a second.
func (d *Daemon) chores(now clock.Mono) {
	state, why, bound := d.host.State(now)
	d.state = state
	if !d.ready && (state == status.Locked || now.Sub(d.started) > readyPatience) {
		d.ready = true
		d.tell(d.opt.Notify.Ready)
	}
	d.tellState(state, why, bound)
	d.retry(now)
	d.resteerClocks()
	if now.Sub(d.inspected) >= inspectInterval {
		d.inspect(now)
		d.search()
	}
	if now.Sub(d.saved) >= saveInterval || d.saved == 0 && state == status.Locked {
		d.save(now)
	}
}

// toldState is what the service manager shows.
type toldState struct {
	state status.State
	why   string
	bound time.Duration // 0 if it is not known
}

// same reports whether there is nothing to tell after o: a maximum error that differs by less than a quarter is the same.
func (s toldState) same(o toldState) bool {
	return s.state == o.state && s.why == o.why && (s.bound-o.bound).Abs() <= min(s.bound, o.bound)/4
}

// tellState has the service manager show the state, if that has changed.
func (d *Daemon) tellState(state status.State, why string, bound time.Duration) {
	s := toldState{state, why, bound}
	if d.opt.Notify == nil || s.same(d.toldState) {
		return
	}
	d.toldState = s
	text := fmt.Sprintf("%s: %s", state, why)
	if bound > 0 {
		text += fmt.Sprintf(", maximum error %v", bound)
	}
	d.tell(func() error { return d.opt.Notify.Status(text) })
}
