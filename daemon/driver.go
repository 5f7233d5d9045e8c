// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/host"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/source"
)

// driver has the engine act on real sockets and clocks. It is used by the loop only.
type driver Daemon

var (
	_ host.Driver     = (*driver)(nil)
	_ engine.Observer = (*driver)(nil)
)

var errClosed = errors.New("socket is closed")

func (d *driver) SendEvent(port int, b []byte) (uint32, error) {
	p := d.ports[port]
	if p.event == nil {
		return 0, errClosed
	}
	id, err := p.event.Send(b, p.to)
	if err != nil {
		(*Daemon)(d).repeated("send "+p.cfg.Interface, "sending PTP messages", err)
	}
	return id, err
}

func (d *driver) Connect(n int, server netip.AddrPort) error {
	err := (*Daemon)(d).connect(n, server)
	if err != nil {
		(*Daemon)(d).repeated("connect "+server.String(), "connecting to NTP server", err)
	}
	return err
}

func (d *driver) Rebind(n int) { _ = d.Connect(n, d.associations[n].server) }

func (d *driver) SendNTP(n int, b []byte) (uint32, clock.Timestamp, error) {
	a := d.associations[n]
	if a.conn == nil {
		d.Rebind(n)
	}
	if a.conn == nil {
		return 0, clock.Timestamp{}, errClosed
	}
	k, _, err := d.clocks.get(a.clock)
	if err != nil {
		return 0, clock.Timestamp{}, err
	}
	at, err := k.Now()
	if err != nil {
		return 0, at, err
	}
	id, err := a.conn.Send(b, hwts.Addr{})
	return id, at, err
}

// resolveTimeout bounds a look-up of a name.
const resolveTimeout = 20 * time.Second

func (d *driver) Resolve(pool int, name string) {
	ctx, loop := d.ctx, d.loop
	generation := d.generation
	d.workers.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
		defer cancel()
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		for i := range addrs {
			addrs[i] = addrs[i].Unmap()
		}
		loop.post(d.ctx, event{kind: resolved, n: pool, serial: generation, addrs: addrs, err: err})
	})
}

func (d *driver) SetFrequency(id clock.ID, ppb float64) (float64, clock.Timestamp, error) {
	applied, at, err := d.clocks.setFrequency(id, ppb)
	if err != nil {
		(*Daemon)(d).repeated("frequency "+id.String(), "setting a frequency", err)
	}
	return applied, at, err
}

func (d *driver) Step(id clock.ID, by time.Duration) (clock.Timestamp, error) {
	at, err := d.clocks.step(id, by)
	if err != nil {
		(*Daemon)(d).repeated("step "+id.String(), "stepping a clock", err)
	}
	return at, err
}

func (d *driver) Compare(id clock.ID) {
	h := d.clocks.phcs[id]
	if h == nil {
		return
	}
	if h.quick.Load() >= quickAfter {
		select {
		case d.loop.urgent <- d.clocks.compare(h, id):
		default: // the loop is that far behind; it is asked again
		}
		return
	}
	select {
	case h.compare <- struct{}{}:
	default: // the last comparison is still under way
	}
}

func (d *driver) SetKernel(s clock.Status) {
	if d.clocks.kernel == nil {
		return
	}
	if err := d.clocks.kernel.SetStatus(s); err != nil {
		(*Daemon)(d).repeated("kernel", "telling the kernel the state of the system clock", err)
	}
}

func (d *driver) Event(text string) { d.log.Info(text) }

// Sampled puts the delay of a sample into the source's histogram.
func (d *driver) Sampled(id source.ID, delay time.Duration) {
	if d.exporter != nil {
		d.exporter.ObserveDelay(id, delay)
	}
}

// Steered puts a clock's offset into its histogram.
func (d *driver) Steered(id clock.ID, offset time.Duration) {
	if d.exporter == nil {
		return
	}
	name, known := d.names[id]
	if !known {
		name = id.String()
		d.names[id] = name
	}
	d.exporter.ObserveOffset(name, offset)
}
