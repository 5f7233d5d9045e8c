// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/sysclock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/status"
)

// look returns the latest snapshot, nil if there is none yet, and has it renewed often while somebody does so. It may be
// called from any goroutine.
func (d *Daemon) look() *status.Snapshot {
	d.watched.Store(int64(sysclock.Monotonic()))
	return d.snapshot.Load()
}

// publish makes a new snapshot for everybody outside, and does what is due now and then.
func (d *Daemon) publish(now clock.Mono) {
	if now.Sub(d.published) < idleInterval && now.Sub(clock.Mono(d.watched.Load())) > watchedFor {
		return
	}
	when, at, err := d.clocks.now()
	if err != nil {
		return
	}
	s := d.host.Snapshot(when, time.Unix(0, at.Nanoseconds()).UTC(), d.clocks.devices())
	d.snapshot.Store(s)
	if !d.ready && (s.State == status.Locked || s.Time.Sub(s.Started) > readyPatience) {
		d.ready = true
		d.tell(d.opt.Notify.Ready)
	}
	if now.Sub(d.published) >= time.Second {
		d.published = now
		text := fmt.Sprintf("%s: %s", s.State, s.Reason)
		if s.MaxError > 0 {
			text += fmt.Sprintf(", maximum error %v", s.MaxError)
		}
		d.tell(func() error { return d.opt.Notify.Status(text) })
		d.retry(now)
		d.resteerClocks()
		if now.Sub(d.inspected) >= inspectInterval {
			d.inspect(now)
			d.search()
		}
	}
	if now.Sub(d.saved) >= saveInterval || d.saved == 0 && s.State == status.Locked {
		d.save(now)
	}
}

func socketStatus(c hwts.Counters) status.Socket {
	return status.Socket{Received: c.Received, Unstamped: c.Unstamped,
		Discarded: c.Truncated + c.ControlTruncated + c.OtherInterface, ReceiveErrors: c.ReceiveErrors,
		Sent: c.Sent, SendErrors: c.SendErrors, Stamped: c.TransmitStamps, StampsLost: c.TransmitLost,
		StampsLate: c.TransmitLate, StampsForeign: c.TransmitForeign}
}
