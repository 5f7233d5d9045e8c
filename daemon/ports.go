// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/host"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/platform"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

// portSockets are the sockets of one PTP port.
type portSockets struct {
	stamping
	cfg    configs.Port
	n      int
	open   bool
	lost   bool // its clock is gone, and looked for
	serial uint32
	index  int // of the interface
	event  platform.Conn
	// general and unicast are nil on Ethernet, where one socket does. What is sent to this host alone has a socket of its
	// own, so that only general messages can arrive by unicast.
	general, unicast platform.Conn
	to               hwts.Addr
	readers          sync.WaitGroup
	counted          hwts.Counters // by the sockets of before
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
	kind   kind // of the events of what is received
}

func (r *receiver) Received(b []byte, from hwts.Addr, ts clock.Timestamp) {
	r.loop.datagram(event{kind: r.kind, n: r.n, serial: r.serial, ts: r.clocks.systemStamp(ts),
		from: ptp.Address{IP: from.UDP.Addr(), MAC: from.MAC}}, b)
}

func (r *receiver) Transmitted(id uint32, ts clock.Timestamp) {
	e := event{kind: ptpTransmitted, n: r.n, serial: r.serial, id: id, ts: r.clocks.systemStamp(ts)}
	if r.kind == ntpReceived {
		e.kind = ntpTransmitted
	}
	r.loop.transmitted(e)
}

// openPort opens the sockets of port n, or tells the engine why it cannot.
func (d *Daemon) openPort(now clock.Mono, p *portSockets) {
	if p.open {
		return
	}
	info, err := d.tryPort(now, p)
	if err != nil {
		d.shutPort(p)
		d.repeated("port "+p.cfg.Interface, "PTP port is of no use", err)
		d.host.ClosePort(now, p.n, err)
		return
	}
	p.open = true
	d.host.OpenPort(now, p.n, info)
}

func (d *Daemon) tryPort(now clock.Mono, p *portSockets) (host.PortInfo, error) {
	caps, err := d.platform.Probe(p.cfg.Interface)
	if err != nil {
		p.stamping = byKernel()
		return host.PortInfo{}, err
	}
	p.index = caps.Index
	byNIC, err := hardware(p.cfg, &caps)
	if err != nil {
		return host.PortInfo{}, err
	}
	if p.stamping = byKernel(); byNIC {
		if err := d.stampPort(now, p, &caps); err != nil {
			return host.PortInfo{}, err
		}
	}
	info := host.PortInfo{Clock: p.clock, Hardware: p.hardware(), LinkUp: caps.Up, Speed: uint64(caps.Speed) * 1e6,
		Identity: wire.PortIdentity{Clock: d.identity(caps.MAC), Port: uint16(p.n + 1)}}
	return info, d.listen(p, info)
}

// stampPort has the NIC timestamp the messages of a port. Where this process may not have it do so, and need not, it is
// the kernel that does.
func (d *Daemon) stampPort(now clock.Mono, p *portSockets, caps *nic.Capabilities) (err error) {
	p.stamping, err = d.stampBy(now, caps, nic.UseOf(network(p.cfg.Transport)))
	if p.cfg.Timestamping != configs.AutoTimestamping || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	p.stamping = byKernel()
	d.repeated("stamp "+p.cfg.Interface, "PTP on "+p.cfg.Interface+" is timestamped by the kernel, which is less exact", err)
	return nil
}

// hardware decides who takes the timestamps.
func hardware(cfg configs.Port, caps *nic.Capabilities) (bool, error) {
	switch cfg.Timestamping {
	case configs.KernelTimestamping:
		return false, nil
	case configs.HardwareTimestamping:
		if !caps.Hardware() {
			return false, fmt.Errorf("%s: no hardware timestamps by %s; timestamping = \"auto\" or \"kernel\" does without: %w",
				cfg.Interface, nameOf(caps), clock.ErrNotSupported)
		}
	}
	return caps.Hardware(), nil
}

// nameOf tells a NIC and its driver, if it has one.
func nameOf(caps *nic.Capabilities) string {
	if caps.Driver == "" {
		return caps.NIC
	}
	return fmt.Sprintf("%s (driver %s)", caps.NIC, caps.Driver)
}

// listen makes the sockets and starts reading them.
func (d *Daemon) listen(p *portSockets, info host.PortInfo) error {
	net := network(p.cfg.Transport)
	c := hwts.Config{Network: net, Interface: p.cfg.Interface, Stamps: hwts.Kernel, TTL: int(p.cfg.TTL),
		DSCP: int(p.cfg.DSCP), IngressLatency: p.cfg.IngressLatency, EgressLatency: p.cfg.EgressLatency,
		Groups: groups(net), Accept: hwts.AcceptGroups}
	if info.Hardware {
		c.Stamps, c.Clock = hwts.Hardware, info.Clock
	}
	p.to = net.Primary(p.cfg.EventPort)
	if net != hwts.Ethernet {
		c.Port = p.cfg.EventPort
	}
	var err error
	if p.event, err = d.platform.Listen(c); err != nil {
		return err
	}
	d.serials++
	p.serial = d.serials
	r := receiver{loop: d.loop, clocks: d.clocks, n: p.n, serial: p.serial, kind: ptpReceived}
	d.serve(&p.readers, p.event, &r)
	if net == hwts.Ethernet {
		return nil
	}
	c.Port, c.Stamps, c.Clock, c.DSCP = p.cfg.GeneralPort, hwts.NoStamps, 0, 0
	if p.general, err = d.platform.Listen(c); err != nil {
		return err
	}
	d.serve(&p.readers, p.general, &r)
	c.Groups, c.Accept = nil, hwts.AcceptUnicast
	if p.unicast, err = d.platform.Listen(c); err != nil {
		return err
	}
	u := r
	u.kind = ptpUnicast
	d.serve(&p.readers, p.unicast, &u)
	return nil
}

// unicast hands over a message to all ports that it may be for: of sockets at one UDP port of one interface the kernel gives
// it to the latest, whatever its domain.
func (d *Daemon) unicast(now clock.Mono, e *event) {
	at := d.ports[e.n].cfg
	for _, p := range d.ports {
		if p.cfg.Interface == at.Interface && p.cfg.Transport == at.Transport && p.cfg.GeneralPort == at.GeneralPort {
			d.host.PTPUnicast(now, p.n, e.buffer.data(), e.from)
		}
	}
}

// groups are those that masters of a network send to. Over Ethernet some use that of the peer delay mechanism, which
// bridges do not forward, for everything (ITU-T G.8275.1).
func groups(net hwts.Network) []hwts.Addr {
	all := []hwts.Addr{net.Primary(0)}
	if net == hwts.Ethernet {
		all = append(all, net.PeerDelay(0))
	}
	return all
}

func (d *Daemon) serve(readers *sync.WaitGroup, c platform.Conn, h hwts.Handler) {
	readers.Go(func() { _ = c.Serve(h) }) // it ends by Close only
}

// losePort closes a port whose interface or clock is gone.
func (d *Daemon) losePort(now clock.Mono, p *portSockets, why error) {
	d.shutPort(p)
	p.stamping = byKernel()
	d.host.ClosePort(now, p.n, why)
}

// shutPort closes the sockets of a port. What it is timestamped by is kept for it.
func (d *Daemon) shutPort(p *portSockets) {
	for _, c := range p.conns() {
		_ = c.Close()
	}
	p.readers.Wait()
	p.counted = p.counters()
	p.event, p.general, p.unicast, p.open, p.serial = nil, nil, nil, false, 0
}

// counters returns what the port's sockets have counted, those of before included.
func (p *portSockets) counters() hwts.Counters {
	all := p.counted
	for _, c := range p.conns() {
		all = all.Plus(c.Counters())
	}
	return all
}

// conns are the sockets that are open.
func (p *portSockets) conns() []platform.Conn {
	return slices.DeleteFunc([]platform.Conn{p.event, p.general, p.unicast}, func(c platform.Conn) bool { return c == nil })
}

// identity makes the clock identity of the NIC's address, or of the host's own random one where it has none.
func (d *Daemon) identity(mac hwts.MAC) wire.ClockIdentity {
	if mac == (hwts.MAC{}) {
		mac = d.localMAC
	}
	return wire.ClockIdentityFromMAC(mac)
}
