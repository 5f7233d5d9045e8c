// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"net/netip"
	"sync"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/ntp"
	"github.com/lockstep-time/lockstep/platform"
)

// association is one NTP association, with its socket.
type association struct {
	stamping
	server  netip.AddrPort
	asked   uint32 // serial of the look for a NIC to stamp it that is being taken, 0 if none is
	lost    bool   // its clock is gone, and looked for
	wanted  uint32 // serial of the socket that it is to have, 0 if it has that, or none
	making  bool   // a socket is being made: that one, or one that is not wanted any more
	conn    platform.Conn
	serial  uint32
	readers *sync.WaitGroup
	counted hwts.Counters // by the sockets of before
}

var errUnusable = errors.New("no usable address")

// connect has a socket made for association n, with a local port drawn by the kernel, in place of the one that it has.
func (d *Daemon) connect(n int, server netip.AddrPort) error {
	a := d.associations[n]
	d.disconnect(a)
	a.server = server
	if !server.IsValid() {
		return errUnusable
	}
	d.serials++
	a.wanted = d.serials
	d.makeSocket(n, a)
	return ntp.ErrPending
}

// makeSocket makes the socket that an association is to have, one at a time.
func (d *Daemon) makeSocket(n int, a *association) {
	if a.making || d.ctx.Err() != nil {
		return
	}
	a.making = true
	c := hwts.Config{Network: hwts.UDP4, Connect: a.server, Stamps: hwts.Kernel,
		Interface: d.host.AssociationInterface(n), DSCP: 46}
	if addr := a.server.Addr(); addr.Is6() && !addr.Is4In6() {
		c.Network = hwts.UDP6
	}
	if a.clock != clock.System {
		c.Stamps, c.Clock = hwts.Hardware, a.clock
	}
	serial := a.wanted
	var conn platform.Conn
	var err error
	d.begin(&request{
		do: func() { conn, err = d.platform.Listen(c) },
		done: func(now clock.Mono) {
			a.making = false
			if a.wanted == serial {
				a.wanted = 0
				d.connected(now, n, conn, serial, err)
				return
			}
			if err == nil {
				d.closeConn(conn, &sync.WaitGroup{})
			}
			if a.wanted != 0 {
				d.makeSocket(n, a)
			}
		},
	})
}

// connected takes over the socket that was made for association n, or tells the engine why there is none.
func (d *Daemon) connected(now clock.Mono, n int, conn platform.Conn, serial uint32, err error) {
	a := d.associations[n]
	if err != nil {
		d.repeated("connect "+a.server.String(), "connecting to NTP server", err)
	} else {
		a.conn, a.serial, a.readers = conn, serial, &sync.WaitGroup{}
		read(a.readers, conn, &receiver{loop: d.loop, clocks: d.clocks, n: n, serial: serial, kind: ntpReceived})
	}
	d.host.Connected(now, n, err)
}

// disconnect gives up the socket of an association, and one that is being made for it.
func (d *Daemon) disconnect(a *association) {
	a.wanted = 0
	if a.conn != nil {
		a.counted = a.counters()
		d.closeConn(a.conn, a.readers)
		a.conn, a.serial = nil, 0
	}
}

// closeConn closes a socket, and waits for what reads it, beside the loop.
func (d *Daemon) closeConn(c platform.Conn, readers *sync.WaitGroup) {
	d.begin(&request{do: func() {
		_ = c.Close()
		readers.Wait()
	}})
}

// counters returns what the association's sockets have counted, those of before included.
func (a *association) counters() hwts.Counters {
	if a.conn == nil {
		return a.counted
	}
	return a.counted.Plus(a.conn.Counters())
}

// stampAssociation has the messages of an association timestamped by the NIC of the interface that it is bound to, if that
// can stamp NTP; else it is the kernel that does.
func (d *Daemon) stampAssociation(n int) {
	a, bound := d.associations[n], d.host.AssociationInterface(n)
	if bound == "" {
		return
	}
	d.serials++
	serial := d.serials
	a.asked = serial
	wanted := func() bool { return n < len(d.associations) && d.associations[n] == a && a.asked == serial }
	before, steer := a.stamping, d.cfg.Steering.PHC
	var s stamped
	var known bool
	var err error
	d.ask(&request{
		wanted: wanted,
		do:     func() { s, known, err = d.hardware.stampNTP(bound, before, steer) },
		done: func(now clock.Mono) {
			gone := d.adopt(now, &s)
			if err == nil {
				err = gone
			}
			d.untidy = true
			if !wanted() {
				return
			}
			if a.asked = 0; !known {
				return
			}
			if err != nil {
				d.repeated("stamp "+bound, "NTP through "+bound+" is timestamped by the kernel", err)
			}
			a.stamping, a.lost = s.stamping, (a.lost || gone != nil) && !s.hardware()
			d.host.AssociationClock(now, n, a.clock)
		},
	})
}

// stampNTP has the NIC of an interface timestamp NTP, unless it does so by the clock of before. It is not known what the
// interface can do while that is not there.
func (h *hardware) stampNTP(bound string, before stamping, steer bool) (s stamped, known bool, err error) {
	s.stamping = byKernel()
	caps, err := h.platform.Probe(bound)
	if err != nil {
		return s, false, nil
	}
	if caps.Hardware() && !(before.hardware() && caps.Clock() == before.clock) {
		s, err = h.stampBy(&caps, nic.NTP, steer)
	} else if caps.Hardware() {
		s.stamping, s.phc = before, h.phcs[before.clock]
	}
	return s, true, err
}

// stampByKernel has the kernel timestamp the messages of an association whose clock or interface is going away.
func (d *Daemon) stampByKernel(now clock.Mono, n int) {
	a := d.associations[n]
	a.stamping, a.asked = byKernel(), 0
	d.host.AssociationClock(now, n, a.clock)
}
