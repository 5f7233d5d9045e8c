// SPDX-License-Identifier: Apache-2.0

package ptp_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

// replay has all that the master sent lately arrive again and again, 20,000 messages per second.
func (n *net) replay(h *host) {
	events, generals := slices.Clone(h.events), slices.Clone(h.generals)
	i := 0
	n.every(100*time.Microsecond, func() {
		i++
		n.port.Receive(n.now, events[i%len(events)], n.osc.stamp(n.now), h.addr)
		n.port.Receive(n.now, generals[i%len(generals)], clock.Timestamp{}, h.addr)
	})
}

// requireTrue checks that the measurements from index first on are right, and that there are at least want of them.
func (n *net) requireTrue(first, want int) {
	n.t.Helper()
	for _, m := range n.measurements[first:] {
		if m.Offset.Abs() > 2*time.Microsecond {
			n.t.Errorf("offset %v", m.Offset)
			break
		}
	}
	if got := len(n.measurements) - first; got < want {
		n.t.Errorf("%d measurements, want at least %d", got, want)
	}
}

// The parent's own messages of a while ago do not keep the port from the true ones, even if some of their Follow_Ups get
// lost, and even if there are few former measurements.
func TestReplay(t *testing.T) {
	for _, after := range []time.Duration{4 * time.Second, 8 * time.Second, 60 * time.Second} {
		for _, loss := range []float64{0, 0.3} {
			for _, log := range []int8{0, -4} {
				t.Run(fmt.Sprintf("after %v, loss %v, log %d", after, loss, log), func(t *testing.T) {
					for seed := range uint64(4) {
						n := newNet(t, 100+seed, ptp.PortConfig{})
						h := n.addMaster(1, ptptest.Config{LogSyncInterval: log, LogAnnounceInterval: -2})
						n.run(after + time.Duration(n.rng.IntN(1e9)))
						h.lose = func(m wire.MessageType) bool { return m == wire.MessageFollowUp && n.chance(loss) }
						n.run(12 * time.Second >> -log)
						n.state(ptp.Slave)
						n.replay(h)
						changes, measured := len(n.log), len(n.measurements)
						n.run(10 * time.Second)
						if len(n.log) != changes {
							t.Errorf("seed %d: changes %q", seed, n.log[changes:])
						}
						sent := 10 << -log
						n.requireTrue(measured, int(float64(sent)*(1-2*loss))-1) // at most twice the mean loss
					}
				})
			}
		}
	}
}

// Syncs of the parent that get lost for longer than the port waits for them, while older ones are replayed, are used again
// when they come.
func TestReplayDuringLoss(t *testing.T) {
	for _, log := range []int8{0, -4} {
		for seed := range uint64(4) {
			n := newNet(t, 110+seed, ptp.PortConfig{})
			h := n.addMaster(1, ptptest.Config{LogSyncInterval: log, LogAnnounceInterval: -2})
			n.run(60*time.Second + time.Duration(n.rng.IntN(1e9)))
			n.state(ptp.Slave)
			n.replay(h)
			h.lose = func(m wire.MessageType) bool { return m == wire.MessageSync }
			n.run(20 * time.Second)
			n.state(ptp.Uncalibrated)
			h.lose = nil
			measured := len(n.measurements)
			n.run(10 * time.Second)
			n.state(ptp.Slave)
			n.requireTrue(measured, 8<<-log)
		}
	}
}
