// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/ptp"
)

// portSockets are the sockets of one PTP port.
type portSockets struct {
	cfg     configs.Port
	n       int
	open    bool
	serial  uint32
	caps    hwts.Capabilities
	event   *hwts.Conn
	general *hwts.Conn // nil on Ethernet, where one socket does
	to      hwts.Addr
	readers sync.WaitGroup
}

func network(t configs.Transport) hwts.Network {
	switch t {
	case configs.UDP6:
		return hwts.UDP6
	case configs.L2:
		return hwts.Ethernet
	}
	return hwts.UDP4
}

// receiver hands what a socket receives to the loop. It implements hwts.Handler.
type receiver struct {
	loop   *loop
	clocks *clocks
	n      int
	serial uint32
	ntp    bool
}

func (r *receiver) Received(b []byte, from hwts.Addr, ts clock.Timestamp) {
	e := event{kind: ptpReceived, n: r.n, serial: r.serial, ts: r.clocks.systemStamp(ts), from: from.UDP.Addr()}
	if r.ntp {
		e.kind = ntpReceived
	}
	r.loop.datagram(e, b)
}

func (r *receiver) Transmitted(id uint32, ts clock.Timestamp) {
	e := event{kind: ptpTransmitted, n: r.n, serial: r.serial, id: id, ts: r.clocks.systemStamp(ts)}
	if r.ntp {
		e.kind = ntpTransmitted
	}
	r.loop.transmitted(e)
}

// openPort opens the sockets of port n, or tells the engine why it cannot.
func (d *Daemon) openPort(ctx context.Context, now clock.Mono, p *portSockets) {
	if p.open {
		return
	}
	info, err := d.tryPort(ctx, now, p)
	if err != nil {
		d.shutPort(p)
		d.repeated("port "+p.cfg.Interface, "PTP port is of no use", err)
		d.engine.ClosePort(now, p.n, err)
		return
	}
	p.open = true
	d.engine.OpenPort(now, p.n, info)
}

func (d *Daemon) tryPort(ctx context.Context, now clock.Mono, p *portSockets) (engine.PortInfo, error) {
	caps, err := hwts.Probe(p.cfg.Interface)
	if err != nil {
		return engine.PortInfo{}, err
	}
	p.caps = caps
	hardware, err := d.hardware(p)
	if err != nil {
		return engine.PortInfo{}, err
	}
	info := engine.PortInfo{Clock: clock.System, Hardware: hardware, LinkUp: caps.Up, Speed: uint64(caps.Speed) * 1e6,
		Identity: ptp.PortIdentity{Clock: d.identity(caps.MAC), Port: uint16(p.n + 1)}}
	if hardware {
		if err := d.stampBy(ctx, now, &p.caps, hwts.UseOf(network(p.cfg.Transport))); err != nil {
			return info, err
		}
		info.Clock = clock.PHC(caps.PHC)
	}
	return info, d.listen(p, info)
}

// hardware decides who takes the timestamps.
func (d *Daemon) hardware(p *portSockets) (bool, error) {
	switch p.cfg.Timestamping {
	case configs.KernelTimestamping:
		return false, nil
	case configs.HardwareTimestamping:
		if !p.caps.Hardware() {
			return false, fmt.Errorf("%s: no hardware timestamps by %s (driver %s): %w",
				p.cfg.Interface, p.caps.NIC, p.caps.Driver, clock.ErrNotSupported)
		}
	}
	return p.caps.Hardware(), nil
}

// stampBy has the NIC of an interface take timestamps, and opens its PHC.
func (d *Daemon) stampBy(ctx context.Context, now clock.Mono, caps *hwts.Capabilities, use hwts.Use) error {
	nic := d.nics[caps.NIC]
	if nic == nil {
		nic = hwts.NewConfigurator(caps.NIC)
		d.nics[caps.NIC] = nic
	}
	granted, err := nic.Acquire(use)
	if err != nil {
		return err
	}
	id := clock.PHC(caps.PHC)
	fresh := d.clocks.phcs[id] == nil
	h, err := d.clocks.open(ctx, d.loop, caps.PHC, d.cfg.Steering.Crossings)
	if err != nil {
		return err
	}
	if !slices.Contains(h.interfaces, caps.NIC) {
		h.interfaces = append(h.interfaces, caps.NIC)
	}
	if !fresh {
		return nil
	}
	d.log.Info("hardware timestamps", "interface", caps.Interface, "nic", caps.NIC, "for", use.String(),
		"config", granted.String(), "clock", h.device.Name(), "driver", caps.Driver)
	ci, err := infoOf(h.device, d.cfg.Steering.PHC, true)
	if err != nil {
		d.clocks.close(id)
		return err
	}
	d.engine.AddClock(now, ci)
	return nil
}

// listen makes the sockets and starts reading them.
func (d *Daemon) listen(p *portSockets, info engine.PortInfo) error {
	net := network(p.cfg.Transport)
	c := hwts.Config{Network: net, Interface: p.cfg.Interface, Stamps: hwts.Kernel, TTL: int(p.cfg.TTL),
		DSCP: int(p.cfg.DSCP), IngressLatency: p.cfg.IngressLatency, EgressLatency: p.cfg.EgressLatency,
		Groups: []hwts.Addr{net.Primary(p.cfg.EventPort)}}
	if info.Hardware {
		c.Stamps, c.Clock = hwts.Hardware, info.Clock
	}
	p.to = net.Primary(p.cfg.EventPort)
	if net != hwts.Ethernet {
		c.Port = p.cfg.EventPort
	}
	var err error
	if p.event, err = hwts.Listen(c); err != nil {
		return err
	}
	d.serials++
	p.serial = d.serials
	r := &receiver{loop: d.loop, clocks: d.clocks, n: p.n, serial: p.serial}
	d.serve(&p.readers, p.event, r)
	if net == hwts.Ethernet {
		return nil
	}
	c.Port, c.Stamps, c.Clock, c.DSCP = p.cfg.GeneralPort, hwts.NoStamps, 0, 0
	c.Groups = []hwts.Addr{net.Primary(p.cfg.GeneralPort)}
	if p.general, err = hwts.Listen(c); err != nil {
		return err
	}
	d.serve(&p.readers, p.general, r)
	return nil
}

func (d *Daemon) serve(readers *sync.WaitGroup, c *hwts.Conn, h hwts.Handler) {
	readers.Go(func() { _ = c.Serve(h) }) // it ends by Close only
}

// shutPort closes the sockets of a port.
func (d *Daemon) shutPort(p *portSockets) {
	for _, c := range []*hwts.Conn{p.event, p.general} {
		if c != nil {
			_ = c.Close()
		}
	}
	p.readers.Wait()
	p.event, p.general, p.open, p.serial = nil, nil, false, 0
}

// identity makes the clock identity of the NIC's address, or of the host's own random one where it has none.
func (d *Daemon) identity(mac hwts.MAC) ptp.ClockIdentity {
	if mac == (hwts.MAC{}) {
		mac = d.localMAC
	}
	return ptp.ClockIdentityFromMAC(mac)
}

// linkChanged follows what happens to the interfaces.
func (d *Daemon) linkChanged(ctx context.Context, now clock.Mono, ev hwts.Event) {
	for _, p := range d.ports {
		if p.cfg.Interface != ev.Name && p.caps.NIC != ev.Name && (ev.OldName == "" || p.cfg.Interface != ev.OldName) {
			continue
		}
		d.portChanged(ctx, now, p, ev)
	}
	if ev.Change == hwts.LinkUp || ev.Change == hwts.Added && ev.Up {
		d.stampAssociations(ctx, now, ev.Name)
		d.engine.NetworkChanged(now)
	}
}

func (d *Daemon) portChanged(ctx context.Context, now clock.Mono, p *portSockets, ev hwts.Event) {
	mine := p.cfg.Interface == ev.Name
	switch {
	case ev.Change == hwts.Removed && mine, ev.Change == hwts.Renamed && p.cfg.Interface == ev.OldName:
		d.losePort(now, p, hwts.ErrNoInterface)
	case ev.Change == hwts.Added && p.open && p.caps.Index != ev.Index && mine:
		d.losePort(now, p, hwts.ErrNoInterface)
		d.openPort(ctx, now, p)
	case ev.Change == hwts.Added || ev.Change == hwts.Renamed:
		d.openPort(ctx, now, p)
	case ev.Change == hwts.LinkUp:
		d.linkUp(ctx, now, p, mine)
	case ev.Change == hwts.LinkDown && mine:
		d.engine.PortLink(now, p.n, false, 0)
	}
}

// linkUp has the NIC take timestamps again, which some forget when the link is down, and opens the port if it is not.
func (d *Daemon) linkUp(ctx context.Context, now clock.Mono, p *portSockets, mine bool) {
	if !p.open {
		d.openPort(ctx, now, p)
		return
	}
	if nic := d.nics[p.caps.NIC]; nic != nil {
		if changed, err := nic.Reapply(); err != nil {
			d.repeated("nic "+p.caps.NIC, "timestamping cannot be configured again", err)
		} else if changed {
			d.log.Info("timestamping configured again", "nic", p.caps.NIC)
		}
	}
	if mine {
		caps, err := hwts.Probe(p.cfg.Interface)
		if err == nil && caps.PHC != p.caps.PHC {
			d.losePort(now, p, errors.New("its clock has changed"))
			d.openPort(ctx, now, p)
			return
		}
		d.engine.PortLink(now, p.n, true, uint64(caps.Speed)*1e6)
	}
}

// losePort closes a port, and its clock if no other port uses that.
func (d *Daemon) losePort(now clock.Mono, p *portSockets, why error) {
	index := p.caps.PHC
	d.shutPort(p)
	d.engine.ClosePort(now, p.n, why)
	for _, o := range d.ports {
		if o.open && o.caps.PHC == index {
			return
		}
	}
	if id := clock.PHC(index); index >= 0 && d.clocks.phcs[id] != nil {
		d.unstamp(now, id)
		d.clocks.close(id)
		d.engine.RemoveClock(now, id)
	}
	delete(d.nics, p.caps.NIC)
}
