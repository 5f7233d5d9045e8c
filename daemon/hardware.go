// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
)

// stamping says who timestamps the messages of a port or an association.
type stamping struct {
	clock clock.ID // clock.System is the kernel's
	nic   string   // whose configuration was changed for it, also where that has not led to stamps yet; empty if none
	use   nic.Use  // that it was changed for
}

// hardware reports whether it is a NIC.
func (s *stamping) hardware() bool { return s.clock != clock.System }

// byKernel is the stamping that every interface has.
func byKernel() stamping { return stamping{clock: clock.System} }

// stampings calls f for those of all ports and associations.
func (d *Daemon) stampings(f func(*stamping)) {
	for _, p := range d.ports {
		f(&p.stamping)
	}
	for _, a := range d.associations {
		f(&a.stamping)
	}
}

// stampBy has the NIC of an interface take timestamps, and opens its PHC. A NIC whose PHC is of no use stays configured.
func (d *Daemon) stampBy(now clock.Mono, caps *nic.Capabilities, use nic.Use) (stamping, error) {
	c := d.nics[caps.NIC]
	if c == nil {
		c = d.platform.Configurator(caps.NIC)
		d.nics[caps.NIC] = c
	}
	granted, err := c.Acquire(use)
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w; it takes CAP_NET_ADMIN to have a NIC take timestamps", err)
	}
	if err != nil {
		return byKernel(), err
	}
	id := clock.PHC(caps.PHC)
	if d.clocks.phcs[id] == nil {
		if err := d.addPHC(now, caps.PHC); err != nil {
			return stamping{clock: clock.System, nic: caps.NIC, use: use}, err
		}
		d.log.Info("hardware timestamps", "interface", caps.Interface, "nic", caps.NIC, "for", use.String(),
			"config", granted.String(), "clock", d.clocks.phcs[id].device.Name(), "driver", caps.Driver)
	}
	return stamping{clock: id, nic: caps.NIC, use: use}, nil
}

// addPHC opens a PHC and has the engine steer it, if that is wanted.
func (d *Daemon) addPHC(now clock.Mono, index int) error {
	h, err := d.clocks.open(d.ctx, d.loop, index)
	if err != nil {
		return err
	}
	var info engine.ClockInfo
	if err = h.claim(d.cfg.Steering.PHC, d.platform); err == nil {
		info, err = infoOf(h.device, h.claimed(), true)
	}
	if err != nil {
		d.clocks.close(clock.PHC(index))
		return err
	}
	d.host.AddClock(now, info)
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
	d.clocks.close(id)
	d.host.RemoveClock(now, id)
	d.retry(now)
}

// tidy gives up the clocks and the NICs that nothing is timestamped by any more: the former go on at their learned
// frequencies, the latter are configured as they were before. NICs in use stamp no more than they need to.
func (d *Daemon) tidy(now clock.Mono) {
	uses := map[string]nic.Use{}
	interfaces := map[clock.ID][]string{} // anew: snapshots have the old ones
	d.stampings(func(s *stamping) {
		uses[s.nic] |= s.use
		if s.nic != "" && !slices.Contains(interfaces[s.clock], s.nic) {
			interfaces[s.clock] = append(interfaces[s.clock], s.nic)
		}
	})
	for id, h := range d.clocks.phcs {
		if h.interfaces = interfaces[id]; len(h.interfaces) > 0 {
			continue
		}
		if _, err := h.device.Now(); err == nil { // the device may be gone: that may be why
			d.host.SettleClock(now, id)
		}
		d.clocks.close(id)
		d.host.RemoveClock(now, id)
	}
	if d.inspecting {
		return // a NIC may be busy for seconds; this is called again then
	}
	for name, c := range d.nics {
		if uses[name] == 0 {
			d.restore(name)
		} else if err := c.Keep(uses[name]); err != nil && !errors.Is(err, hwts.ErrNoInterface) {
			d.repeated("narrow "+name, "timestamping goes on for more than is needed", err)
		}
	}
}

// restore puts back how a NIC was configured, if it is still there.
func (d *Daemon) restore(name string) {
	if err := d.nics[name].Restore(); err != nil && !errors.Is(err, hwts.ErrNoInterface) {
		d.log.Warn("timestamping cannot be put back", "nic", name, "err", err)
	}
	delete(d.nics, name)
}

// reapply has a NIC take timestamps again, which some forget when the link is down.
func (d *Daemon) reapply(name string) {
	c := d.nics[name]
	if c == nil {
		return
	}
	if changed, err := c.Reapply(); err != nil {
		d.repeated("nic "+name, "timestamping cannot be configured again", err)
	} else if changed {
		d.log.Info("timestamping configured again", "nic", name)
	}
}

// renamed has what is known of a NIC go on under its new name.
func (d *Daemon) renamed(from, to string) {
	c := d.nics[from]
	if c == nil {
		return
	}
	c.Rename(to)
	delete(d.nics, from)
	d.nics[to] = c
	d.stampings(func(s *stamping) {
		if s.nic == from {
			s.nic = to
		}
	})
}
