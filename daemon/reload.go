// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"reflect"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/engine"
)

// reloads reads the configuration again whenever it is told to. Files and interfaces are looked at beside the loop.
func (d *Daemon) reloads() {
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-d.opt.Reload:
		}
		d.call(func(now clock.Mono) {
			d.tell(func() error { return d.opt.Notify.Reloading(now) })
		})
		cfg, err := d.opt.Load()
		var leaps *clock.LeapTable
		if err == nil {
			leaps = loadLeaps(cfg, d.log)
		}
		d.call(func(now clock.Mono) {
			if err != nil {
				d.log.Error("the configuration stays as it was", "err", err)
			} else {
				d.reload(now, cfg, leaps)
			}
			if d.ready {
				d.tell(d.opt.Notify.Ready)
			}
		})
	}
}

// reload takes another configuration, and the leap seconds that it names. What the clocks' servos have learned stays;
// sources start anew. One that is as it was disturbs nothing, but NTP servers that have denied their service, or asked for
// longer intervals, are tried anew.
func (d *Daemon) reload(now clock.Mono, cfg *configs.Config, leaps *clock.LeapTable) {
	d.keepFixed(cfg)
	if reflect.DeepEqual(cfg, d.cfg) {
		d.log.Info("configuration read again; it is as it was, and the sources go on")
		if leaps != nil {
			d.leaps = leaps
			d.host.SetLeaps(leaps)
		}
		d.host.ForgetKisses(now)
		d.inspect(now)
		return
	}
	old := d.cfg
	saved, _ := d.host.Save(now)
	d.closeAll()
	d.ask(&request{do: d.hardware.needNothing})
	d.generation++
	d.cfg, d.leaps, d.uses = cfg, leaps, nil
	d.clocks.readings.Store(int32(cfg.Steering.Crossings))
	d.resteer = d.resteer || cfg.Steering.Servo != old.Steering.Servo || cfg.Steering.PHC != old.Steering.PHC
	d.host = d.host.Successor(now, cfg, d.env(now, saved), driver{d})
	d.openAll()
	d.resteerClocks()
	d.log.Info("configuration read again")
}

// keepFixed leaves in a new configuration what cannot be changed as it is, and says so.
func (d *Daemon) keepFixed(cfg *configs.Config) {
	old := d.cfg
	if cfg.Control != old.Control || cfg.Metrics != old.Metrics || cfg.Log != old.Log ||
		cfg.Steering.SystemClock != old.Steering.SystemClock || cfg.Steering.Virtual != old.Steering.Virtual {
		d.log.Warn("changes of control, metrics, log, steering.system_clock and steering.virtual take a restart")
		cfg.Control, cfg.Metrics, cfg.Log = old.Control, old.Metrics, old.Log
		cfg.Steering.SystemClock, cfg.Steering.Virtual = old.Steering.SystemClock, old.Steering.Virtual
	}
}

// resteerClocks has the open clocks steered as the configuration says by now. It is tried again until it is done.
func (d *Daemon) resteerClocks() {
	if !d.resteer {
		return
	}
	cfg := d.cfg
	var err error
	d.ask(&request{
		what:   fmt.Sprintf("resteer %d", d.generation),
		wanted: func() bool { return d.cfg == cfg },
		do: func() {
			if cfg.Steering.PHC {
				err = d.hardware.claim(true)
			}
		},
		done: func(now clock.Mono) {
			if d.cfg == cfg {
				d.resteered(now, err)
			}
		},
	})
}

// resteered has the engine steer the clocks that this daemon may steer by now; err says why it may not.
func (d *Daemon) resteered(now clock.Mono, err error) {
	var all []engine.ClockInfo
	if err == nil {
		all, err = d.clocks.infos(d.cfg)
	}
	if err != nil {
		d.repeated("resteer", "steering stays as it was", err)
		return
	}
	if !d.host.Resteer(now, all) {
		return
	}
	d.resteer = false
	if !d.cfg.Steering.PHC {
		d.ask(&request{do: func() { _ = d.hardware.claim(false) }}) // what could fail has been done
	}
	d.log.Info("steering has changed", "servo", string(d.cfg.Steering.Servo), "phc", d.cfg.Steering.PHC)
}

// infos returns what the engine has to know of the open clocks.
func (c *clocks) infos(cfg *configs.Config) ([]engine.ClockInfo, error) {
	system, err := c.info(cfg)
	if err != nil {
		return nil, err
	}
	all := []engine.ClockInfo{system}
	for _, h := range c.phcs {
		info, err := h.info(cfg.Steering.PHC)
		if err != nil {
			return nil, err
		}
		all = append(all, info)
	}
	return all, nil
}
