// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/status"
)

// watchPause is how long it takes until interfaces are watched again after that has failed, for want of memory or files.
const watchPause = 5 * time.Second

// watchLinks tells the loop what happens to the interfaces, until ctx is done.
func (d *Daemon) watchLinks(ctx context.Context) {
	for ctx.Err() == nil {
		err := nic.Watch(ctx, func(ev nic.Event) { d.loop.post(ctx, event{kind: linkChanged, link: ev}) })
		if ctx.Err() != nil {
			return
		}
		d.loop.post(ctx, event{kind: called, call: func(clock.Mono) {
			d.repeated("watch", "interfaces cannot be watched; it is tried again", err)
		}})
		select {
		case <-ctx.Done():
		case <-time.After(watchPause):
		}
	}
}

// linkChanged follows what happens to the interfaces.
func (d *Daemon) linkChanged(ctx context.Context, now clock.Mono, ev nic.Event) {
	switch ev.Change {
	case nic.Renamed:
		d.renamed(ev.OldName, ev.Name)
		d.arrived = true
		d.interfaceGone(now, ev.OldName)
		d.interfaceThere(ctx, now, ev)
	case nic.Removed:
		d.interfaceGone(now, ev.Name)
		delete(d.nics, ev.Name) // what an interface made anew is like nobody knows
	case nic.Added:
		d.arrived = true
		d.interfaceThere(ctx, now, ev)
	case nic.LinkUp:
		d.arrived = true // of a NIC that has just been made the clock may not have been there yet
		d.reapply(ev.Name)
		d.linkUp(ctx, now, ev.Name)
	case nic.LinkDown:
		for _, p := range d.ports {
			if p.cfg.Interface == ev.Name {
				d.host.PortLink(now, p.n, false, 0)
			}
		}
	}
}

// interfaceGone closes what there is on an interface of that name.
func (d *Daemon) interfaceGone(now clock.Mono, name string) {
	for _, p := range d.ports {
		if p.cfg.Interface == name {
			d.losePort(now, p, hwts.ErrNoInterface)
		}
	}
	for n, a := range d.associations {
		if d.host.AssociationInterface(n) == name {
			d.disconnect(a)
			d.stampByKernel(now, n)
		}
	}
	d.tidy(now)
}

// interfaceThere opens what belongs on an interface that has come, or was there when the watching began.
func (d *Daemon) interfaceThere(ctx context.Context, now clock.Mono, ev nic.Event) {
	for _, p := range d.ports {
		switch {
		case p.cfg.Interface != ev.Name:
			continue
		case p.open && p.index != ev.Index:
			d.losePort(now, p, hwts.ErrNoInterface)
		case p.open && !ev.Up:
			d.host.PortLink(now, p.n, false, 0)
		}
		d.openPort(ctx, now, p)
	}
	if ev.Up {
		d.reapply(ev.Name)
		d.linkUp(ctx, now, ev.Name)
	}
	d.tidy(now)
}

// linkUp tells the ports and associations on an interface that its link is up, and looks whether it has the clock that
// it had before.
func (d *Daemon) linkUp(ctx context.Context, now clock.Mono, name string) {
	ours := false
	for _, p := range d.ports {
		if p.cfg.Interface != name {
			continue
		}
		ours = true
		d.openPort(ctx, now, p)
		speed := d.checkClock(ctx, now, p)
		d.host.PortLink(now, p.n, true, speed)
	}
	for n := range d.associations {
		if d.host.AssociationInterface(n) == name {
			ours = true
			d.stampAssociation(ctx, now, n)
		}
	}
	d.tidy(now)
	d.networkChanged(now, ours)
}

// What is done to interfaces that nothing is bound to has servers asked anew no more often than this: on a host of
// containers they come and go all the time.
const (
	networkPause       = 16 * time.Second
	lockedNetworkPause = 10 * time.Minute
)

// networkChanged tells the engine that servers may be reached otherwise than before; soon if that is urgent, or rare.
func (d *Daemon) networkChanged(now clock.Mono, urgent bool) {
	pause := networkPause
	if d.state == status.Locked {
		pause = lockedNetworkPause
	}
	if d.untold = !urgent && d.told != 0 && now.Sub(d.told) < pause; d.untold {
		return
	}
	d.told = now
	d.host.NetworkChanged(now)
}

var errOtherClock = errors.New("its clock has changed")

// checkClock opens a port anew if the interface has another clock than it had. It returns the speed of the link in bit/s.
func (d *Daemon) checkClock(ctx context.Context, now clock.Mono, p *portSockets) (speed uint64) {
	caps, err := d.machine.probe(p.cfg.Interface)
	if err != nil {
		return 0
	}
	want := clock.System
	if byNIC, _ := hardware(p.cfg, &caps); byNIC {
		want = caps.Clock()
	}
	if p.open && want != p.clock {
		d.losePort(now, p, errOtherClock)
		d.openPort(ctx, now, p)
	}
	p.lost = p.lost && !p.hardware()
	return uint64(caps.Speed) * 1e6
}

// retry opens the ports that could not be opened, and looks for clocks that are gone: their device may be there by now.
func (d *Daemon) retry(now clock.Mono) {
	for _, p := range d.ports {
		if d.openPort(d.ctx, now, p); p.lost {
			d.checkClock(d.ctx, now, p)
		}
	}
	for n, a := range d.associations {
		if a.lost {
			d.stampAssociation(d.ctx, now, n)
		}
	}
	d.tidy(now)
	if d.untold {
		d.networkChanged(now, false)
	}
}
