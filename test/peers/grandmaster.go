// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/sysclock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

// TAIOffset is TAI − UTC as a Grandmaster announces it and adds it to the machine's time.
const TAIOffset = 37 * time.Second

// GrandmasterConfig says what a Grandmaster is and where.
type GrandmasterConfig struct {
	ptptest.Config
	Network   hwts.Network
	Interface string
	// EventPort and GeneralPort are the UDP ports it sends to and receives from, 0: 319 and 320. Ethernet has none.
	EventPort, GeneralPort uint16
}

// Grandmaster runs a ptptest.Master over sockets. Its methods may be called from any goroutine.
type Grandmaster struct {
	cfg            GrandmasterConfig
	event, general *hwts.Conn // the same one on Ethernet
	stop           chan struct{}
	running        sync.WaitGroup

	mu      sync.Mutex // guards what follows
	master  *ptptest.Master
	unicast bool
	client  hwts.Addr // that sent the latest Delay_Req
	// The latest messages that were sent, oldest first.
	events, generals [][]byte
}

// NewGrandmaster starts a grandmaster that announces ptptest.Good until Close. The sockets are made by the calling thread,
// in its network namespace.
func NewGrandmaster(cfg GrandmasterConfig) (*Grandmaster, error) {
	if cfg.EventPort == 0 {
		cfg.EventPort = hwts.EventPort
	}
	if cfg.GeneralPort == 0 {
		cfg.GeneralPort = hwts.GeneralPort
	}
	g := &Grandmaster{cfg: cfg, stop: make(chan struct{})}
	if err := g.listen(); err != nil {
		return nil, fmt.Errorf("grandmaster: %w", err)
	}
	g.master = ptptest.NewMaster(cfg.Config, g)
	g.running.Go(func() { _ = g.event.Serve(g) }) // it ends by Close only
	g.running.Go(g.wake)
	return g, nil
}

func (g *Grandmaster) listen() (err error) {
	c := hwts.Config{Network: g.cfg.Network, Interface: g.cfg.Interface, Stamps: hwts.Kernel,
		Groups: []hwts.Addr{g.cfg.Network.Primary(g.cfg.EventPort)}}
	if g.cfg.Network == hwts.Ethernet {
		g.event, err = hwts.Listen(c)
		g.general = g.event
		return err
	}
	c.Port = g.cfg.EventPort
	if g.event, err = hwts.Listen(c); err != nil {
		return err
	}
	c.Port, c.Stamps, c.Groups = g.cfg.GeneralPort, hwts.NoStamps, nil
	if g.general, err = hwts.Listen(c); err != nil {
		return errors.Join(err, g.event.Close())
	}
	return nil
}

// wake has the master send what is due.
func (g *Grandmaster) wake() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-g.stop:
			return
		case <-timer.C:
		}
		g.mu.Lock()
		g.master.Wake(sysclock.Monotonic())
		next := g.master.NextWake()
		g.mu.Unlock()
		timer.Reset(max(0, next.Sub(sysclock.Monotonic())))
	}
}

// Close stops the grandmaster. It must be called once.
func (g *Grandmaster) Close() error {
	close(g.stop)
	err := g.event.Close()
	if g.general != g.event {
		err = errors.Join(err, g.general.Close())
	}
	g.running.Wait()
	return err
}

// Change calls f, which may change the master's Properties and Faults.
func (g *Grandmaster) Change(f func(*ptptest.Master)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(g.master)
}

// AnswerByUnicast has Delay_Resp messages be sent to those alone that asked, as masters in hybrid mode do. UDP only.
func (g *Grandmaster) AnswerByUnicast() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unicast = true
}

// Sent returns the latest 48 event messages and the latest 48 general messages that were sent, oldest first.
func (g *Grandmaster) Sent() (events, generals [][]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return clone(g.events), clone(g.generals)
}

func clone(messages [][]byte) (all [][]byte) {
	for _, b := range messages {
		all = append(all, bytes.Clone(b))
	}
	return all
}

// latest returns the latest 47 messages and b.
func latest(messages [][]byte, b []byte) [][]byte {
	return append(messages[max(0, len(messages)-47):], bytes.Clone(b))
}

// tai returns a kernel timestamp on the grandmaster's timescale.
func tai(ts clock.Timestamp) clock.Timestamp {
	if ts.IsZero() {
		return ts
	}
	return ts.Add(TAIOffset)
}

// Received implements hwts.Handler.
func (g *Grandmaster) Received(b []byte, from hwts.Addr, ts clock.Timestamp) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.client = hwts.UDPAddr(netip.AddrPortFrom(from.UDP.Addr(), g.cfg.GeneralPort))
	g.master.Receive(sysclock.Monotonic(), b, tai(ts))
}

// Transmitted implements hwts.Handler.
func (g *Grandmaster) Transmitted(id uint32, ts clock.Timestamp) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.master.Transmitted(sysclock.Monotonic(), id, tai(ts))
}

// SendEvent implements ptptest.Output.
func (g *Grandmaster) SendEvent(b []byte) (uint32, error) {
	g.events = latest(g.events, b)
	return g.event.Send(b, g.cfg.Network.Primary(g.cfg.EventPort))
}

// SendGeneral implements ptptest.Output.
func (g *Grandmaster) SendGeneral(b []byte) error {
	g.generals = latest(g.generals, b)
	to := g.cfg.Network.Primary(g.cfg.GeneralPort)
	if g.unicast && wire.MessageType(b[0]&0xf) == wire.MessageDelayResp {
		to = g.client
	}
	_, err := g.general.Send(b, to)
	return err
}

// Time implements ptptest.Output.
func (g *Grandmaster) Time() int64 { return Now() }

// Now returns the grandmaster's time: nanoseconds of TAI since 1970.
func Now() int64 { return time.Now().Add(TAIOffset).UnixNano() }
