// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"net/netip"
	"sync"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/platform"
)

// association is the socket of one NTP association.
type association struct {
	stamping
	server  netip.AddrPort
	lost    bool // its clock is gone, and looked for
	conn    platform.Conn
	serial  uint32
	readers sync.WaitGroup
	counted hwts.Counters // by the sockets of before
}

var errUnusable = errors.New("no usable address")

// connect makes a socket for association n, with a local port drawn by the kernel.
func (d *Daemon) connect(n int, server netip.AddrPort) error {
	a := d.associations[n]
	d.disconnect(a)
	a.server = server
	if !server.IsValid() {
		return errUnusable
	}
	c := hwts.Config{Network: hwts.UDP4, Connect: server, Stamps: hwts.Kernel,
		Interface: d.host.AssociationInterface(n), DSCP: 46}
	if server.Addr().Is6() && !server.Addr().Is4In6() {
		c.Network = hwts.UDP6
	}
	if a.clock != clock.System {
		c.Stamps, c.Clock = hwts.Hardware, a.clock
	}
	conn, err := d.platform.Listen(c)
	if err != nil {
		return err
	}
	d.serials++
	a.conn, a.serial = conn, d.serials
	d.serve(&a.readers, conn, &receiver{loop: d.loop, clocks: d.clocks, n: n, serial: a.serial, kind: ntpReceived})
	return nil
}

func (d *Daemon) disconnect(a *association) {
	if a.conn != nil {
		_ = a.conn.Close()
		a.readers.Wait()
		a.counted = a.counted.Plus(a.conn.Counters())
		a.conn, a.serial = nil, 0
	}
}

// counters returns what the association's sockets have counted, those of before included.
func (a *association) counters() hwts.Counters {
	if a.conn == nil {
		return a.counted
	}
	return a.counted.Plus(a.conn.Counters())
}

// stampAssociations has the messages of all associations that are bound to an interface timestamped by its NIC.
func (d *Daemon) stampAssociations(now clock.Mono) {
	for n := range d.associations {
		d.stampAssociation(now, n)
	}
}

// stampAssociation has the messages of an association timestamped by the NIC of the interface that it is bound to, if that
// can stamp NTP; else it is the kernel that does.
func (d *Daemon) stampAssociation(now clock.Mono, n int) {
	a, bound := d.associations[n], d.host.AssociationInterface(n)
	if bound == "" {
		return
	}
	caps, err := d.platform.Probe(bound)
	if err != nil {
		return
	}
	if a.hardware() && caps.Clock() == a.clock {
		a.lost = false
		return
	}
	s := byKernel()
	if caps.Hardware() {
		s, err = d.stampBy(now, &caps, nic.NTP)
	}
	if err != nil {
		d.repeated("stamp "+bound, "NTP through "+bound+" is timestamped by the kernel", err)
	}
	a.stamping, a.lost = s, a.lost && !s.hardware()
	d.host.AssociationClock(now, n, a.clock)
}

// stampByKernel has the kernel timestamp the messages of an association whose clock or interface is going away.
func (d *Daemon) stampByKernel(now clock.Mono, n int) {
	a := d.associations[n]
	a.stamping = byKernel()
	d.host.AssociationClock(now, n, a.clock)
}
