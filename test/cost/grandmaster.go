// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/sysclock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

// taiOffset is TAI − UTC as the grandmaster announces it.
const taiOffset = 37 * time.Second

// grandmaster is a PTP grandmaster on one interface. Its time is CLOCK_REALTIME, carried to TAI.
type grandmaster struct {
	event, general *hwts.Conn
	mu             sync.Mutex // guards master
	master         *ptptest.Master
	stop           context.CancelFunc
	running        sync.WaitGroup
}

// newGrandmaster starts the nth one, which sends an Announce message and 2^logRate Sync messages per second.
func newGrandmaster(n *namespace, ifname string, nth, logRate int) (*grandmaster, error) {
	g := &grandmaster{}
	err := n.do(func() (err error) {
		if g.event, err = listen(ifname, hwts.EventPort, hwts.Kernel); err == nil {
			g.general, err = listen(ifname, hwts.GeneralPort, hwts.NoStamps)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("grandmaster: %w", err)
	}
	log := -int8(logRate)
	identity := wire.PortIdentity{Clock: wire.ClockIdentityFromMAC([6]byte{2, 0, 0, 0, 0, byte(nth)}), Port: 1}
	g.master = ptptest.NewMaster(ptptest.Config{MinorVersion: 1, LogSyncInterval: log, LogMinDelayReqInterval: log,
		Identity: identity}, g)
	g.master.Faults.Shift = taiOffset
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	g.running.Go(func() { _ = g.event.Serve(g) }) // they end by Close only
	g.running.Go(func() { _ = g.general.Serve(g) })
	g.running.Go(func() { g.wake(ctx) })
	return g, nil
}

func listen(ifname string, port uint16, stamps hwts.Stamps) (*hwts.Conn, error) {
	return hwts.Listen(hwts.Config{Network: hwts.UDP4, Interface: ifname, Port: port, Stamps: stamps,
		Groups: []hwts.Addr{hwts.UDP4.Primary(port)}})
}

// wake has the master send what is due.
func (g *grandmaster) wake(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
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

func (g *grandmaster) close() {
	g.stop()
	_ = errors.Join(g.event.Close(), g.general.Close()) // nothing depends on it
	g.running.Wait()
}

// Received implements hwts.Handler.
func (g *grandmaster) Received(b []byte, _ hwts.Addr, ts clock.Timestamp) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.master.Receive(sysclock.Monotonic(), b, ts)
}

// Transmitted implements hwts.Handler.
func (g *grandmaster) Transmitted(id uint32, ts clock.Timestamp) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.master.Transmitted(sysclock.Monotonic(), id, ts)
}

// SendEvent implements ptptest.Output.
func (g *grandmaster) SendEvent(b []byte) (uint32, error) {
	return g.event.Send(b, hwts.UDP4.Primary(hwts.EventPort))
}

// SendGeneral implements ptptest.Output.
func (g *grandmaster) SendGeneral(b []byte) error {
	_, err := g.general.Send(b, hwts.UDP4.Primary(hwts.GeneralPort))
	return err
}

// Time implements ptptest.Output.
func (g *grandmaster) Time() int64 { return time.Now().UnixNano() }
