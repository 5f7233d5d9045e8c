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
	"github.com/lockstep-time/lockstep/ntp"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
)

// driver has the engine act on real sockets and clocks. It is used by the loop only.
type driver struct{ *Daemon }

var (
	_ host.Driver     = driver{}
	_ engine.Observer = driver{}
)

var errClosed = errors.New("socket is closed")

func (d driver) SendEvent(port int, b []byte) (uint32, error) {
	p := d.ports[port]
	if p.event == nil {
		return 0, errClosed
	}
	id, err := p.event.Send(b, p.to)
	if err != nil {
		d.repeated("send "+p.cfg.Interface, "sending PTP messages", err)
	}
	return id, err
}

func (d driver) Connect(n int, server netip.AddrPort) error {
	err := d.connect(n, server)
	if err != nil && !errors.Is(err, ntp.ErrPending) {
		d.repeated("connect "+server.String(), "connecting to NTP server", err)
	}
	return err
}

func (d driver) Rebind(n int) { _ = d.Connect(n, d.associations[n].server) }

func (d driver) SendNTP(n int, b []byte) (uint32, clock.Timestamp, error) {
	a := d.associations[n]
	if a.conn == nil {
		if a.wanted == 0 {
			return 0, clock.Timestamp{}, d.Connect(n, a.server)
		}
		return 0, clock.Timestamp{}, ntp.ErrPending
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

func (d driver) Resolve(pool int, name string) {
	generation := d.generation
	d.workers.Go(func() {
		ctx, cancel := context.WithTimeout(d.ctx, resolveTimeout)
		defer cancel()
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		for i := range addrs {
			addrs[i] = addrs[i].Unmap()
		}
		d.loop.post(d.ctx, event{kind: resolved, n: pool, serial: generation, addrs: addrs, err: err})
	})
}

func (d driver) SetFrequency(id clock.ID, ppb float64) (float64, clock.Timestamp, error) {
	applied, at, err := d.clocks.setFrequency(id, ppb)
	if err != nil {
		d.repeated("frequency "+id.String(), "setting a frequency", err)
	}
	return applied, at, err
}

func (d driver) Step(id clock.ID, by time.Duration) (clock.Timestamp, error) {
	at, err := d.clocks.step(id, by)
	if err != nil {
		d.repeated("step "+id.String(), "stepping a clock", err)
	}
	return at, err
}

// Compare compares a PHC with the clock that stands for the system clock, which is always there, and no other clocks.
func (d driver) Compare(a, b clock.ID) {
	h := d.clocks.phcs[a]
	if h == nil || b != clock.System {
		return
	}
	if h.pace.AtOnce() { // the loop compares them, which spares a hand-over to another thread and back
		select {
		case d.loop.urgent <- d.clocks.compare(h, a):
		default: // the loop is that far behind; it is asked again
		}
		return
	}
	select {
	case h.compare <- struct{}{}:
	default: // the last comparison is still under way
	}
}

func (d driver) SetKernel(s clock.Status) {
	if d.clocks.kernel == nil {
		return
	}
	if err := d.clocks.kernel.SetStatus(s); err != nil {
		d.repeated("kernel", "telling the kernel the state of the system clock", err)
	}
}

func (d driver) PortSocket(n int) status.Socket { return socketStatus(d.ports[n].counters()) }

func (d driver) AssociationSocket(n int) status.Socket {
	return socketStatus(d.associations[n].counters())
}

func (d driver) Overrun() uint64 { return d.loop.dropped.Load() }

func (d driver) Event(e status.Event) { d.log.LogAttrs(d.ctx, e.Level(), e.Text(), e.Attrs()...) }

// Sampled puts the delay of a sample into the source's histogram.
func (d driver) Sampled(id source.ID, delay time.Duration) {
	if d.exporter != nil {
		d.exporter.ObserveDelay(id, delay)
	}
}

// Steered puts a clock's offset into its histogram.
func (d driver) Steered(id clock.ID, offset time.Duration) {
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
