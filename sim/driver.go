// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"math"
	"net/netip"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/host"
	"github.com/lockstep-time/lockstep/phc"
	"github.com/lockstep-time/lockstep/sim/expr"
	"github.com/lockstep-time/lockstep/status"
)

// driver has a host's engine act on simulated clocks and links.
type driver Host

var _ host.Driver = (*driver)(nil)

const (
	// crossingTime is how long a comparison of two clocks takes, resolveTime the look-up of a name.
	crossingTime = int64(50 * time.Microsecond)
	resolveTime  = int64(20 * time.Millisecond)
	// defaultWindow is that of a reading of a PHC, in ns.
	defaultWindow = 500
)

var errNoClock = errors.New("no such clock")

func (d *driver) push(e event) {
	e.at += d.world.now
	e.to = (*Host)(d)
	d.world.queue.push(e)
}

func (d *driver) SendEvent(port int, b []byte) (uint32, error) {
	d.serial++
	d.transmit((*Host)(d).portClock(port), int32(port))
	for _, l := range d.ports[port] {
		l.send(1, b, eventPort, 0)
	}
	return d.serial, nil
}

// transmit has a clock stamp the packet that is sent now, for a port or association, and the stamp come unless it gets lost.
func (d *driver) transmit(c *Clock, n int32) {
	ts := c.stamp(d.world.now)
	if delay, ok := c.stampDelay(); ok {
		d.push(event{at: delay, kind: transmitted, n: n, label: label{id: d.serial}, ts: ts})
	}
}

func (d *driver) Connect(n int, server netip.AddrPort) error {
	a := &d.assocs[n]
	d.serial++
	a.serial, a.link = d.serial, nil
	for _, r := range d.routes {
		if r.server.address == server.Addr() {
			a.link = r.link
		}
	}
	return nil
}

func (d *driver) Rebind(n int) {
	d.serial++
	d.assocs[n].serial = d.serial
}

func (d *driver) SendNTP(n int, b []byte) (uint32, clock.Timestamp, error) {
	a := &d.assocs[n]
	d.serial++
	d.requests++
	now := d.world.now
	d.transmit(a.clock, int32(-1-n))
	if a.link != nil {
		a.link.send(1, b, ntpPort, a.serial)
	}
	return d.serial, a.clock.read(now), nil
}

func (d *driver) Resolve(pool int, name string) {
	d.push(event{at: resolveTime, kind: resolve, n: int32(pool)})
	d.names = setName(d.names, pool, name)
}

// PortSocket, AssociationSocket and Overrun are zero: there are no sockets.
func (d *driver) PortSocket(int) status.Socket        { return status.Socket{} }
func (d *driver) AssociationSocket(int) status.Socket { return status.Socket{} }
func (d *driver) Overrun() uint64                     { return 0 }

func setName(names []string, i int, name string) []string {
	for len(names) <= i {
		names = append(names, "")
	}
	names[i] = name
	return names
}

var errNoName = errors.New("no such host")

// resolved answers with the addresses of all servers that have the pool's name.
func (h *Host) resolved(pool int) {
	var found []netip.Addr
	for _, r := range h.routes {
		for _, name := range r.server.names {
			if name == h.names[pool] {
				found = append(found, r.server.address)
			}
		}
	}
	err := error(nil)
	if len(found) == 0 {
		err = errNoName
	}
	h.daemon.Resolved(mono(h.world.now), pool, found, err)
}

func (d *driver) SetFrequency(id clock.ID, ppb float64) (float64, clock.Timestamp, error) {
	c := (*Host)(d).Clock(id)
	if c == nil {
		return 0, clock.Timestamp{}, errNoClock
	}
	applied := c.setFrequency(d.world.now, ppb)
	return applied, c.read(d.world.now), nil
}

func (d *driver) Step(id clock.ID, by time.Duration) (clock.Timestamp, error) {
	c := (*Host)(d).Clock(id)
	if c == nil {
		return clock.Timestamp{}, errNoClock
	}
	at := c.read(d.world.now)
	c.Step(time.Duration(d.world.now), by)
	c.steps++
	return at, nil
}

// Compare compares a PHC with the system clock, which each simulated host has, and no other clocks.
func (d *driver) Compare(a, b clock.ID) {
	if i, ok := a.PHCIndex(); ok && b == clock.System {
		d.push(event{at: crossingTime, kind: crossing, n: int32(i)})
	}
}

func (d *driver) SetKernel(s clock.Status) {
	d.system.advance(d.world.now) // a leap second that is due has been carried out
	if s.Leap != d.system.leapFor {
		d.system.arm(s.Leap)
	}
}

func (d *driver) Event(e status.Event) {
	if len(d.log) < maxLog {
		d.log = append(d.log, Event{time.Duration(d.world.now), e.Text()})
	}
}

// cross compares a PHC with the system clock.
func (h *Host) cross(index int) {
	if index >= len(h.phcs) {
		return
	}
	n, now := h.phcs[index], h.world.now
	n.advance(now)
	h.system.advance(now)
	h.world.vars = expr.Vars{Time: float64(now) / 1e9}
	readings := h.readings[:min(max(h.cfg.Steering.Crossings, 1), len(h.readings))]
	for i := range readings {
		readings[i] = n.compare(h.system)
	}
	if n.once != nil {
		shift := nanoseconds(n.once.next(&h.world.vars))
		for i := range readings {
			readings[i].Device += shift
		}
	}
	a, b, uncertainty, ok := phc.Reduce(readings)
	err := error(nil)
	if !ok {
		err = errNoClock
	}
	h.daemon.Crossed(mono(now), clock.Crossing{A: clock.At(n.id, a), B: clock.At(clock.System, b),
		Uncertainty: uncertainty, Method: clock.Extended}, err)
}

// compare reads the system clock, the PHC, and the system clock again, around the present.
func (n *nic) compare(system *Clock) phc.Reading {
	before, after := n.legs()
	r := phc.Reading{Before: system.rounded(system.ns + int64(math.Floor(system.frac-before))),
		After: system.rounded(system.ns + int64(math.Floor(system.frac+after)))}
	noise := 0.0
	if n.reading != nil {
		noise = n.reading.next(&n.world.vars) * 1e9
	}
	r.Device = n.rounded(n.ns + int64(math.Floor(n.frac+noise)))
	return r
}

// legs draws how long before and after the reading of the PHC the system clock is read, in ns.
func (n *nic) legs() (before, after float64) {
	v := &n.world.vars
	if n.before != nil && n.after != nil {
		return n.before.next(v) * 1e9, n.after.next(v) * 1e9
	}
	window := float64(defaultWindow)
	if n.window != nil {
		window = n.window.next(v) * 1e9
	}
	late := n.crossing.Asymmetry * window
	return window/2 + late, window/2 - late
}
