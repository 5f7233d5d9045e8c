// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/host"
)

// Tell has something happen to the running daemon of the host that comes from neither clocks nor links: an interface
// that goes away, a request of an operator. There is nothing to tell while no daemon runs.
func (h *Host) Tell(do func(e *host.Host, now clock.Mono)) {
	if h.daemon != nil {
		do(h.daemon, mono(h.world.now))
		h.schedule()
	}
}

// Reload has the running daemon take another configuration, with the ports and servers of the one before.
func (h *Host) Reload(cfg *configs.Config) {
	now := mono(h.world.now)
	saved, _ := h.daemon.Save(now)
	h.cfg = cfg
	h.daemon = h.daemon.Successor(now, cfg, h.env(saved), (*driver)(h))
	h.openAll()
	h.schedule()
}

// ClockInfo returns what a daemon would find out about a clock of the host.
func (h *Host) ClockInfo(id clock.ID) engine.ClockInfo {
	c := h.Clock(id)
	return engine.ClockInfo{ID: c.id, Scale: c.scale, Steer: true, Hardware: true, MaxFrequency: c.cfg.MaxFrequency,
		Frequency: c.ppb, Quantum: c.cfg.Quantum, Reading: c.read(h.world.now), Leap: c.leap}
}

// Open tells the running daemon that the interface of a port of its configuration is there.
func (h *Host) Open(port int) {
	if h.daemon != nil {
		h.open(port)
		h.schedule()
	}
}
