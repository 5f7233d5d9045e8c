// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/internal/lockfile"
	"github.com/lockstep-time/lockstep/phc"
)

// machine is how the daemon gets at interfaces and hardware clocks.
type machine struct {
	probe        func(ifname string) (nic.Capabilities, error)
	configurator func(ifname string) configurator
	listen       func(hwts.Config) (*hwts.Conn, error)
	openPHC      func(index int) (*phc.Device, error)
	lock         func(device string) (*lockfile.Lock, error)
}

// configurator is what the daemon needs of a nic.Configurator.
type configurator interface {
	Acquire(nic.Use) (nic.Config, error)
	Keep(nic.Use) error
	Forgotten() bool
	Reapply() (changed bool, err error)
	Restore() error
	Rename(ifname string)
}

// thisMachine is the one that the daemon runs on.
func thisMachine() machine {
	return machine{probe: nic.Probe, listen: hwts.Listen, openPHC: phc.OpenIndex, lock: lockfile.Open,
		configurator: func(ifname string) configurator { return nic.NewConfigurator(ifname) }}
}
