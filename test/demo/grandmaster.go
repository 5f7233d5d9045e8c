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

const loopback = "lo"

// grandmaster is a PTP grandmaster on loopback. Its time is CLOCK_REALTIME, carried to TAI.
type grandmaster struct {
	event, general         *hwts.Conn
	toEvents, toGeneral    hwts.Addr
	mu                     sync.Mutex // guards master
	master                 *ptptest.Master
	stop                   context.CancelFunc
	running                sync.WaitGroup
	eventPort, generalPort uint16
}

// newGrandmaster starts one. It does not stop before Close.
func newGrandmaster(eventPort, generalPort uint16) (*grandmaster, error) {
	g := &grandmaster{eventPort: eventPort, generalPort: generalPort,
		toEvents: hwts.UDP4.Primary(eventPort), toGeneral: hwts.UDP4.Primary(generalPort)}
	var err error
	if g.event, err = g.listen(eventPort, hwts.Kernel); err != nil {
		return nil, fmt.Errorf("grandmaster: %w", err)
	}
	if g.general, err = g.listen(generalPort, hwts.NoStamps); err != nil {
		return nil, errors.Join(fmt.Errorf("grandmaster: %w", err), g.event.Close())
	}
	g.master = ptptest.NewMaster(ptptest.Config{
		Identity:     wire.PortIdentity{Clock: wire.ClockIdentityFromMAC([6]byte{0x02, 0, 0, 0xde, 0x30, 1}), Port: 1},
		MinorVersion: 1, LogAnnounceInterval: -1, LogSyncInterval: -3, LogMinDelayReqInterval: -3,
	}, g)
	g.master.Faults.Shift = taiOffset
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	g.running.Go(func() { _ = g.event.Serve(g) }) // they end by Close only
	g.running.Go(func() { _ = g.general.Serve(g) })
	g.running.Go(func() { g.wake(ctx) })
	return g, nil
}

func (g *grandmaster) listen(port uint16, stamps hwts.Stamps) (*hwts.Conn, error) {
	return hwts.Listen(hwts.Config{Network: hwts.UDP4, Interface: loopback, Port: port, Stamps: stamps,
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

// Close falls silent.
func (g *grandmaster) Close() error {
	g.stop()
	err := errors.Join(g.event.Close(), g.general.Close())
	g.running.Wait()
	return err
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
func (g *grandmaster) SendEvent(b []byte) (uint32, error) { return g.event.Send(b, g.toEvents) }

// SendGeneral implements ptptest.Output.
func (g *grandmaster) SendGeneral(b []byte) error {
	_, err := g.general.Send(b, g.toGeneral)
	return err
}

// Time implements ptptest.Output.
func (g *grandmaster) Time() int64 { return time.Now().UnixNano() }
