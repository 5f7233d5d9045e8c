// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"maps"
	"slices"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts/nic"
)

// stampings calls f for those of all ports and associations.
func (d *Daemon) stampings(f func(*stamping)) {
	for _, p := range d.ports {
		f(&p.stamping)
	}
	for _, a := range d.associations {
		f(&a.stamping)
	}
}

// inUse reports whether the configuration of a NIC was changed for a port or an association.
func (d *Daemon) inUse(nic string) (used bool) {
	d.stampings(func(s *stamping) { used = used || s.nic == nic })
	return used
}

// adopt takes over the clock that a NIC stamps by, and has the engine steer it if that is wanted. It fails if the clock is
// gone by now.
func (d *Daemon) adopt(now clock.Mono, s *stamped) error {
	if s.nic != "" {
		d.uses = nil // more may have been acquired than is in use in the end
	}
	switch {
	case s.phc == nil:
		return nil
	case !s.opened && d.clocks.phcs[s.clock] == s.phc:
		return nil
	case !s.opened:
		id := s.clock
		s.stamping.clock = clock.System
		return fmt.Errorf("%v is gone again: %w", id, clock.ErrGone)
	}
	// If the configuration has changed since, resteerClocks has been asked for since as well.
	info, err := s.phc.info(s.phc.claimed() && d.cfg.Steering.PHC)
	if err != nil {
		s.stamping.clock = clock.System
		d.closeClock(s.phc)
		return err
	}
	d.clocks.adopt(d.ctx, d.loop, s.phc)
	d.host.AddClock(now, info)
	d.log.Info("hardware timestamps", "interface", s.caps.Interface, "nic", s.caps.NIC, "for", s.use.String(),
		"config", s.granted.String(), "clock", s.phc.device.Name(), "driver", s.caps.Driver)
	return nil
}

// loseClock gives up a clock whose device is gone, and all that is timestamped by it; it is looked for again by retry.
func (d *Daemon) loseClock(now clock.Mono, id clock.ID, why error) {
	for _, p := range d.ports {
		if p.clock == id {
			d.losePort(now, p, why)
			p.lost = true
		}
	}
	for n, a := range d.associations {
		if a.clock == id {
			d.stampByKernel(now, n)
			a.lost = true
		}
	}
	d.closeClock(d.clocks.remove(id))
	d.host.RemoveClock(now, id)
	d.reopen()
}

// closeClock closes a PHC that the loop has given up.
func (d *Daemon) closeClock(c *hardwareClock) {
	var err error
	d.ask(&request{
		do: func() { err = d.hardware.close(c) },
		done: func(clock.Mono) {
			if err != nil {
				d.log.Warn("closing a clock", "err", err)
			}
		},
	})
}

// tidy gives up the clocks and the NICs that nothing is timestamped by any more: the former go on at their learned
// frequencies, the latter are configured as they were before. NICs in use stamp no more than they need to. It is called
// while no request of interfaces waits or is under way: until then, something may be about to be stamped by them.
func (d *Daemon) tidy(now clock.Mono) {
	uses := map[string]nic.Use{}
	interfaces := map[clock.ID][]string{} // anew: snapshots have the old ones
	d.stampings(func(s *stamping) {
		if s.nic == "" {
			return
		}
		uses[s.nic] |= s.use
		if !slices.Contains(interfaces[s.clock], s.nic) {
			interfaces[s.clock] = append(interfaces[s.clock], s.nic)
		}
	})
	var unused []*hardwareClock
	for id, h := range d.clocks.phcs {
		if h.interfaces = interfaces[id]; len(h.interfaces) > 0 {
			continue
		}
		if _, err := h.device.Now(); err == nil { // the device may be gone: that may be why
			d.host.SettleClock(now, id)
		}
		unused = append(unused, d.clocks.remove(id))
		d.host.RemoveClock(now, id)
	}
	superfluous := false
	for name := range d.hardware.nics {
		superfluous = superfluous || uses[name] == 0
	}
	if len(unused) == 0 && !superfluous && maps.Equal(uses, d.uses) {
		return
	}
	d.uses = uses
	var closing error
	var r released
	d.ask(&request{
		do: func() { r, closing = d.hardware.release(unused, uses) },
		done: func(clock.Mono) {
			if closing != nil {
				d.log.Warn("closing a clock", "err", closing)
			}
			d.notReleased(&r)
		},
	})
}

// notReleased tells what could not be put back, or given up.
func (d *Daemon) notReleased(r *released) {
	for name, err := range r.restore {
		if err != nil {
			d.log.Warn("timestamping cannot be put back", "nic", name, "err", err)
		}
	}
	for name, err := range r.keep {
		d.repeated("narrow "+name, "timestamping goes on for more than is needed", err)
		d.uses = nil // it is tried again
	}
}

// renamed has what is known of a NIC go on under its new name.
func (d *Daemon) renamed(from, to string) {
	d.ask(&request{
		do: func() { d.hardware.rename(from, to) },
		done: func(clock.Mono) {
			d.stampings(func(s *stamping) {
				if s.nic == from {
					s.nic = to
				}
			})
			d.untidy = true
		},
	})
}
