// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
)

// association is the socket of one NTP association.
type association struct {
	server  netip.AddrPort
	clock   clock.ID // by which its messages are timestamped
	conn    *hwts.Conn
	serial  uint32
	readers sync.WaitGroup
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
		Interface: d.engine.AssociationInterface(n), DSCP: 46}
	if server.Addr().Is6() && !server.Addr().Is4In6() {
		c.Network = hwts.UDP6
	}
	if a.clock != clock.System {
		c.Stamps, c.Clock = hwts.Hardware, a.clock
	}
	conn, err := hwts.Listen(c)
	if err != nil {
		return err
	}
	d.serials++
	a.conn, a.serial = conn, d.serials
	d.serve(&a.readers, conn, &receiver{loop: d.loop, clocks: d.clocks, n: n, serial: a.serial, ntp: true})
	return nil
}

func (d *Daemon) disconnect(a *association) {
	if a.conn != nil {
		_ = a.conn.Close()
		a.readers.Wait()
		a.conn, a.serial = nil, 0
	}
}

// stampAssociations has the messages of the associations that are bound to an interface, or to any if ifname is empty,
// timestamped by its NIC, if that can stamp NTP; else it is the kernel that does.
func (d *Daemon) stampAssociations(ctx context.Context, now clock.Mono, ifname string) {
	for n, a := range d.associations {
		bound := d.engine.AssociationInterface(n)
		if bound == "" || ifname != "" && ifname != bound || a.clock != clock.System {
			continue
		}
		caps, err := hwts.Probe(bound)
		if err != nil || !caps.Hardware() {
			continue
		}
		if err := d.stampBy(ctx, now, &caps, hwts.NTP); err != nil {
			d.log.Info("NTP is timestamped by the kernel", "interface", bound, "why", err)
			continue
		}
		a.clock = clock.PHC(caps.PHC)
		d.engine.AssociationClock(now, n, a.clock)
	}
}

// unstamp has the kernel timestamp what a clock did that is going away.
func (d *Daemon) unstamp(now clock.Mono, id clock.ID) {
	for n, a := range d.associations {
		if a.clock == id {
			a.clock = clock.System
			d.engine.AssociationClock(now, n, a.clock)
		}
	}
}
