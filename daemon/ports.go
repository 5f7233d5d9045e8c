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

// portSockets is one PTP port, with its sockets.
type portSockets struct {
	stamping
	sockets
	cfg     configs.Port
	n       int
	open    bool
	asked   uint32 // serial of the attempt to open it that is being made, 0 if none is
	lost    bool   // its clock is gone, and looked for
	down    bool   // its link, by the last that was heard of it
	serial  uint32
	index   int           // of the interface
	counted hwts.Counters // by the sockets of before
}

// sockets are those of a port that is open.
type sockets struct {
	event platform.Conn
	// general and unicast are nil on Ethernet, where one socket does. What is sent to this host alone has a socket of its
	// own, so that only general messages can arrive by unicast.
	general, unicast platform.Conn
	to               hwts.Addr
	readers          *sync.WaitGroup
}

// conns are the sockets that are open.
func (s *sockets) conns() []platform.Conn {
	return slices.DeleteFunc([]platform.Conn{s.event, s.general, s.unicast}, func(c platform.Conn) bool { return c == nil })
}

// close closes the sockets, and waits for what reads them.
func (s *sockets) close() {
	for _, c := range s.conns() {
		_ = c.Close()
	}
	s.readers.Wait()
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

// attempt is one to open a port. What is known of the port is from when it was asked for.
type attempt struct {
	stamped
	sockets
	cfg    configs.Port
	steer  bool  // the PHC
	denied error // why the NIC may not be had take timestamps, so that it is the kernel that does
	err    error // why the port cannot be opened
}

// openPort has the sockets of a port opened, unless they are, or are being opened.
func (d *Daemon) openPort(p *portSockets) {
	if p.open || p.asked != 0 {
		return
	}
	d.serials++
	serial := d.serials
	p.asked = serial
	a := &attempt{stamped: stamped{stamping: p.stamping}, cfg: p.cfg, steer: d.cfg.Steering.PHC,
		sockets: sockets{readers: &sync.WaitGroup{}}}
	wanted := func() bool { return p.n < len(d.ports) && d.ports[p.n] == p && p.asked == serial }
	d.ask(&request{
		wanted: wanted,
		do:     func() { a.err = a.open(d.hardware) },
		done: func(now clock.Mono) {
			gone := d.adopt(now, &a.stamped)
			if a.err == nil {
				a.err = gone
			}
			d.untidy = true
			if wanted() {
				d.tried(now, p, a)
			} else {
				d.closeSockets(a.sockets)
			}
		},
	})
}

// tried takes over the sockets that were opened for a port, or tells the engine why there are none.
func (d *Daemon) tried(now clock.Mono, p *portSockets, a *attempt) {
	serial := p.asked
	p.asked, p.stamping = 0, a.stamping
	if a.denied != nil {
		d.repeated("stamp "+p.cfg.Interface, "PTP on "+p.cfg.Interface+" is timestamped by the kernel, which is less exact", a.denied)
	}
	if a.err != nil {
		d.closeSockets(a.sockets)
		d.repeated("port "+p.cfg.Interface, "PTP port is of no use", a.err)
		d.host.ClosePort(now, p.n, a.err)
		return
	}
	p.open, p.serial, p.index, p.sockets = true, serial, a.caps.Index, a.sockets
	p.lost = p.lost && !p.hardware()
	r := receiver{loop: d.loop, clocks: d.clocks, n: p.n, serial: p.serial, kind: ptpReceived}
	u := r
	u.kind = ptpUnicast
	for _, c := range p.conns() {
		if c == p.unicast {
			read(p.readers, c, &u)
		} else {
			read(p.readers, c, &r)
		}
	}
	d.host.OpenPort(now, p.n, host.PortInfo{Clock: p.clock, Hardware: p.hardware(), LinkUp: a.caps.Up && !p.down,
		Speed:    uint64(a.caps.Speed) * 1e6,
		Identity: wire.PortIdentity{Clock: d.identity(a.caps.MAC), Port: uint16(p.n + 1)}})
}

// open opens the sockets. It waits.
func (a *attempt) open(h *hardware) error {
	caps, err := h.platform.Probe(a.cfg.Interface)
	if err != nil {
		a.stamping = byKernel()
		return err
	}
	byNIC, err := stampedByNIC(a.cfg, &caps)
	if err != nil {
		return err
	}
	a.stamped = stamped{stamping: byKernel(), caps: caps}
	if byNIC {
		if err := a.stamp(h, &caps); err != nil {
			return err
		}
	}
	return a.listen(h.platform)
}

// stamp has the NIC timestamp the messages of a port. Where this process may not have it do so, and need not, it is the kernel
// that does.
func (a *attempt) stamp(h *hardware, caps *nic.Capabilities) (err error) {
	a.stamped, err = h.stampBy(caps, nic.UseOf(network(a.cfg.Transport)), a.steer)
	if a.cfg.Timestamping != configs.AutoTimestamping || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	a.stamping, a.denied = byKernel(), err
	return nil
}

// stampedByNIC decides who takes the timestamps.
func stampedByNIC(cfg configs.Port, caps *nic.Capabilities) (bool, error) {
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

// listen makes the sockets. Nothing is read yet.
func (a *attempt) listen(p platform.Host) (err error) {
	net := network(a.cfg.Transport)
	c := hwts.Config{Network: net, Interface: a.cfg.Interface, Stamps: hwts.Kernel, TTL: int(a.cfg.TTL),
		DSCP: int(a.cfg.DSCP), IngressLatency: a.cfg.IngressLatency, EgressLatency: a.cfg.EgressLatency,
		Groups: groups(net), Accept: hwts.AcceptGroups}
	if a.hardware() {
		c.Stamps, c.Clock = hwts.Hardware, a.clock
	}
	a.to = net.Primary(a.cfg.EventPort)
	if net != hwts.Ethernet {
		c.Port = a.cfg.EventPort
	}
	if a.event, err = p.Listen(c); err != nil || net == hwts.Ethernet {
		return err
	}
	c.Port, c.Stamps, c.Clock, c.DSCP = a.cfg.GeneralPort, hwts.NoStamps, 0, 0
	if a.general, err = p.Listen(c); err != nil {
		return err
	}
	c.Groups, c.Accept = nil, hwts.AcceptUnicast
	a.unicast, err = p.Listen(c)
	return err
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

// read has what a socket receives handed over, until it is closed.
func read(readers *sync.WaitGroup, c platform.Conn, h hwts.Handler) {
	readers.Go(func() { _ = c.Serve(h) }) // it ends by Close only
}

// losePort closes a port whose interface or clock is gone.
func (d *Daemon) losePort(now clock.Mono, p *portSockets, why error) {
	d.shutPort(p)
	p.stamping = byKernel()
	d.host.ClosePort(now, p.n, why)
}

// shutPort gives up the sockets of a port, and an attempt to open it. What it is timestamped by is kept for it.
func (d *Daemon) shutPort(p *portSockets) {
	p.counted = p.counters()
	d.closeSockets(p.sockets)
	p.sockets, p.open, p.serial, p.asked = sockets{}, false, 0, 0
}

// closeSockets has sockets closed, which waits for what reads them. What they receive meanwhile is not made use of.
func (d *Daemon) closeSockets(s sockets) {
	if len(s.conns()) > 0 {
		d.ask(&request{closes: true, do: s.close})
	}
}

// counters returns what the port's sockets have counted, those of before included.
func (p *portSockets) counters() hwts.Counters {
	all := p.counted
	for _, c := range p.conns() {
		all = all.Plus(c.Counters())
	}
	return all
}

// identity makes the clock identity of the NIC's address, or of the host's own random one where it has none.
func (d *Daemon) identity(mac hwts.MAC) wire.ClockIdentity {
	if mac == (hwts.MAC{}) {
		mac = d.localMAC
	}
	return wire.ClockIdentityFromMAC(mac)
}
