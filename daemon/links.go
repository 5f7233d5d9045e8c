// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/status"
)

// watchPause is how long it takes until interfaces are watched again after that has failed, for want of memory or files.
const watchPause = 5 * time.Second

// watchLinks tells the loop what happens to the interfaces, until the daemon ends.
func (d *Daemon) watchLinks() {
	for d.ctx.Err() == nil {
		err := d.platform.Watch(d.ctx, func(ev nic.Event) { d.loop.post(d.ctx, event{kind: linkChanged, link: ev}) })
		if d.ctx.Err() != nil {
			return
		}
		d.call(func(clock.Mono) {
			d.repeated("watch", "interfaces cannot be watched; it is tried again", err)
		})
		select {
		case <-d.ctx.Done():
		case <-time.After(watchPause):
		}
	}
}

// linkChanged follows what happens to the interfaces.
func (d *Daemon) linkChanged(now clock.Mono, ev nic.Event) {
	switch ev.Change {
	case nic.Renamed:
		d.renamed(ev.OldName, ev.Name)
		d.arrived = true
		d.interfaceGone(now, ev.OldName)
		d.interfaceThere(now, ev)
	case nic.Removed:
		d.interfaceGone(now, ev.Name)
		d.ask(&request{do: func() { delete(d.hardware.nics, ev.Name) }}) // what an interface made anew is like nobody knows
	case nic.Added:
		d.arrived = true
		d.interfaceThere(now, ev)
	case nic.LinkUp:
		d.arrived = true // of a NIC that has just been made the clock may not have been there yet
		d.linkUp(now, ev.Name)
	case nic.LinkDown:
		for _, p := range d.ports {
			if p.cfg.Interface == ev.Name {
				p.down = true
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
	d.untidy = true
}

// interfaceThere opens what belongs on an interface that has come, or was there when the watching began.
func (d *Daemon) interfaceThere(now clock.Mono, ev nic.Event) {
	for _, p := range d.ports {
		if p.cfg.Interface != ev.Name {
			continue
		}
		p.down = !ev.Up
		switch {
		case p.open && p.index != ev.Index:
			d.losePort(now, p, hwts.ErrNoInterface)
		case p.open && !ev.Up:
			d.host.PortLink(now, p.n, false, 0)
		}
		d.openPort(p)
	}
	if ev.Up {
		d.linkUp(now, ev.Name)
	}
	d.untidy = true
}

// linkUp follows a link that is up: it has the NIC stamp, looks whether that has the clock that it had before, and tells the
// ports and associations on it.
func (d *Daemon) linkUp(now clock.Mono, name string) {
	ours := false
	for _, p := range d.ports {
		if p.cfg.Interface == name {
			ours, p.down = true, false
			d.openPort(p)
		}
	}
	for n := range d.associations {
		ours = ours || d.host.AssociationInterface(n) == name
	}
	d.networkChanged(now, ours)
	if !ours && !d.inUse(name) {
		return
	}
	var changed bool
	var failed, err error
	var caps nic.Capabilities
	d.ask(&request{
		what: "up " + name,
		do: func() {
			changed, failed = d.hardware.reapply(name)
			caps, err = d.platform.Probe(name)
		},
		done: func(now clock.Mono) {
			if failed != nil {
				d.repeated("nic "+name, "timestamping cannot be configured again", failed)
			} else if changed {
				d.log.Info("timestamping configured again", "nic", name)
			}
			d.linkProbed(now, name, &caps, err)
		},
	})
}

// linkProbed tells the ports on an interface that its link is up, unless it is down again, and opens those anew whose clock
// is another one than before.
func (d *Daemon) linkProbed(now clock.Mono, name string, caps *nic.Capabilities, err error) {
	for _, p := range d.ports {
		if p.cfg.Interface != name {
			continue
		}
		var speed uint64
		if err == nil {
			d.compareClock(now, p, caps)
			speed = uint64(caps.Speed) * 1e6
		}
		d.host.PortLink(now, p.n, !p.down, speed)
	}
	for n := range d.associations {
		if d.host.AssociationInterface(n) == name {
			d.stampAssociation(n)
		}
	}
	d.untidy = true
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

// compareClock opens a port anew if the interface has another clock than it had.
func (d *Daemon) compareClock(now clock.Mono, p *portSockets, caps *nic.Capabilities) {
	want := clock.System
	if byNIC, _ := stampedByNIC(p.cfg, caps); byNIC {
		want = caps.Clock()
	}
	if p.open && want != p.clock {
		d.losePort(now, p, errOtherClock)
		d.openPort(p)
	}
	p.lost = p.lost && !p.hardware()
}

// lookForClock opens a port that has lost its clock by another one, or the same, once there is one.
func (d *Daemon) lookForClock(p *portSockets) {
	name := p.cfg.Interface
	var caps nic.Capabilities
	var err error
	d.ask(&request{
		what: "clock " + name,
		do:   func() { caps, err = d.platform.Probe(name) },
		done: func(now clock.Mono) {
			for _, p := range d.ports {
				if err == nil && p.lost && p.cfg.Interface == name {
					d.compareClock(now, p, &caps)
				}
			}
			d.untidy = true
		},
	})
}

// retry opens the ports that could not be opened, and looks for clocks that are gone, unless there is enough to be done.
func (d *Daemon) retry(now clock.Mono) {
	if d.interfaces.idle() {
		d.reopen()
	}
	if d.untold {
		d.networkChanged(now, false)
	}
}

// reopen opens the ports that are not open, and looks for clocks that are gone: their device may be there by now.
func (d *Daemon) reopen() {
	for _, p := range d.ports {
		if d.openPort(p); p.open && p.lost {
			d.lookForClock(p)
		}
	}
	for n, a := range d.associations {
		if a.lost {
			d.stampAssociation(n)
		}
	}
	d.untidy = true
}
