// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/sysclock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/status"
)

const (
	// snapshotAge is up to what age a snapshot does for those who look.
	snapshotAge = 100 * time.Millisecond
	// lookPatience is how long the loop is waited for that makes one.
	lookPatience = time.Second
)

// look returns a snapshot, made now or less than snapshotAge ago; an older one, or nil, if the loop makes none in time. It
// may be called from any goroutine, but not from the loop.
func (d *Daemon) look() *status.Snapshot {
	d.looking.Lock()
	defer d.looking.Unlock()
	if d.looked != 0 && sysclock.Monotonic().Sub(d.looked) < snapshotAge {
		return d.snapshot.Load()
	}
	ctx, cancel := context.WithTimeout(d.ctx, lookPatience)
	defer cancel()
	made := make(chan struct{})
	if d.loop.post(ctx, event{kind: called, call: func(clock.Mono) { d.publish(); close(made) }}) {
		select {
		case <-made:
		case <-ctx.Done():
		}
	}
	d.looked = sysclock.Monotonic()
	return d.snapshot.Load()
}

// publish makes a new snapshot for everybody outside.
func (d *Daemon) publish() {
	when, at, err := d.clocks.now()
	if err != nil {
		return
	}
	s := d.host.Snapshot(when, time.Unix(0, at.Nanoseconds()).UTC(), d.clocks.devices())
	d.snapshot.Store(s)
}

func socketStatus(c hwts.Counters) status.Socket {
	return status.Socket{Received: c.Received, Unstamped: c.Unstamped,
		Discarded: c.Truncated + c.ControlTruncated + c.OtherInterface, ReceiveErrors: c.ReceiveErrors,
		Sent: c.Sent, SendErrors: c.SendErrors, Stamped: c.TransmitStamps, StampsLost: c.TransmitLost,
		StampsLate: c.TransmitLate, StampsForeign: c.TransmitForeign}
}
