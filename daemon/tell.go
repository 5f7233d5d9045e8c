// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/sysclock"
)

const (
	quietInterval = time.Minute // within which the same trouble is not told twice
	maxQuiet      = 256         // kinds of trouble that are remembered: servers of a pool may come and go
	maxNotices    = 64          // to the service manager that wait; it is told about two a second
)

// tell notifies the service manager, which may be slow, beside the loop. Only the loop calls it.
func (d *Daemon) tell(notify func() error) {
	if d.opt.Notify == nil {
		return
	}
	select {
	case d.notices <- notify:
	default: // it has not read for a while
	}
}

// notify passes on what is to be told, in that order, until the end.
func (d *Daemon) notify() {
	for notify := range d.notices {
		if err := notify(); err != nil {
			d.log.Debug("telling the service manager", "err", err)
		}
	}
}

// repetition is trouble that has been told.
type repetition struct {
	told  clock.Mono
	count int
}

// repeated logs trouble once per interval, with how often it has come since.
func (d *Daemon) repeated(key, text string, err error) {
	if times, due := d.due(key); due {
		d.log.Warn(text, "err", err, "times", times)
	}
}

// due tells whether trouble is to be told now, and how often it has come since it was told last.
func (d *Daemon) due(key string) (times int, due bool) {
	now := sysclock.Monotonic()
	r := d.quiet[key]
	if r == nil {
		if len(d.quiet) >= maxQuiet {
			clear(d.quiet)
		}
		r = &repetition{}
		d.quiet[key] = r
	}
	r.count++
	if r.told != 0 && now.Sub(r.told) < quietInterval {
		return 0, false
	}
	times = r.count
	r.told, r.count = now, 0
	return times, true
}
