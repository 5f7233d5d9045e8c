// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"log/slog"
	"slices"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/platform"
	"github.com/lockstep-time/lockstep/status"
)

// inspectInterval is how often the NICs in use are looked at. Nobody tells when another program, or a reset by the driver,
// has them stamp no more, nor when somebody has another clock of theirs take the stamps.
const inspectInterval = 10 * time.Second

// inspection is what a NIC in use was found to be like.
type inspection struct {
	nic     string
	clock   clock.ID // that stamps by now, 0 if none does
	changed bool     // it did not stamp as it has to
	err     error    // of having it do so
}

// inspect has the NICs in use looked at, and stamp again: a driver may take seconds for it.
func (d *Daemon) inspect(now clock.Mono) {
	d.inspected = now
	used := false
	d.stampings(func(s *stamping) { used = used || s.nic != "" })
	if !used {
		return
	}
	var all []inspection
	d.ask(&request{
		what: "inspect",
		do:   func() { all = d.hardware.inspect() },
		done: func(now clock.Mono) {
			for i := range all {
				d.found(now, &all[i])
			}
			d.untidy = true
		},
	})
}

// inspect looks at the NICs, and configures again those that do not stamp as they have to.
func (h *hardware) inspect() (all []inspection) {
	for name, c := range h.nics {
		if i, up := inspectNIC(h.platform, name, c); up {
			all = append(all, i)
		}
	}
	return all
}

// inspectNIC looks at one NIC. One that is down is left alone, as drivers may refuse to configure it; it is configured again
// when it is up.
func inspectNIC(p platform.Host, name string, nic platform.Configurator) (i inspection, up bool) {
	caps, err := p.Probe(name)
	if err != nil || !caps.Up {
		return i, false
	}
	i.nic = name
	if caps.Hardware() {
		i.clock = caps.Clock()
	}
	if nic.Forgotten() {
		i.changed, i.err = nic.Reapply()
	}
	return i, true
}

// found tells of a NIC that was configured again, and has what it stamped by a clock that it has no more look for another.
func (d *Daemon) found(now clock.Mono, i *inspection) {
	if i.err != nil {
		d.repeated("nic "+i.nic, "timestamping cannot be configured again", i.err)
	} else if i.changed {
		d.noteReset(now, i.nic)
	}
	stale := func(s *stamping) bool { return s.nic == i.nic && s.hardware() && s.clock != i.clock }
	for _, p := range d.ports {
		if stale(&p.stamping) {
			p.lost = true
			d.lookForClock(p)
		}
	}
	for n, a := range d.associations {
		if stale(&a.stamping) {
			a.lost = true
			d.stampAssociation(n)
		}
	}
}

func (d *Daemon) noteReset(now clock.Mono, nic string) {
	times, due := d.due("reset " + nic)
	if !due {
		return
	}
	var fields []slog.Attr
	if times > 1 {
		fields = append(fields, slog.Int("times", times))
	}
	d.host.Tell(now, status.NewEvent(status.TimestampingRestored, nic, fields...))
}

// search looks, beside the loop, for interfaces that have come since, where the configuration leaves it to the host which
// ones there are. Those that have gone keep their ports until then.
func (d *Daemon) search() {
	if !d.arrived || !d.cfg.Discovered {
		return
	}
	d.arrived = false
	d.workers.Go(func() {
		cfg, err := d.opt.Load()
		d.call(func(now clock.Mono) {
			if err != nil {
				d.arrived = true
				d.repeated("search", "searching for interfaces", err)
			} else if cfg.Discovered {
				d.searched(now, cfg.PTP.Ports)
			}
		})
	})
}

// searched takes the ports that were found if there are new ones. All else that may have changed in a file waits for a reload.
func (d *Daemon) searched(now clock.Mono, found []configs.Port) {
	isNew := func(f configs.Port) bool {
		return !slices.ContainsFunc(d.cfg.PTP.Ports, func(p configs.Port) bool { return p.Interface == f.Interface })
	}
	if !d.cfg.Discovered || !slices.ContainsFunc(found, isNew) {
		return
	}
	cfg := *d.cfg
	cfg.PTP.Ports = found
	d.reload(now, &cfg, d.leaps)
}
