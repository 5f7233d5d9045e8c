// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/internal/lockfile"
	"github.com/lockstep-time/lockstep/phc"
)

// host is how the daemon gets at interfaces and hardware clocks.
type host struct {
	probe        func(ifname string) (hwts.Capabilities, error)
	configurator func(nic string) configurator
	listen       func(hwts.Config) (*hwts.Conn, error)
	openPHC      func(index int) (*phc.Device, error)
	lock         func(device string) (*lockfile.Lock, error)
}

// configurator is what the daemon needs of a hwts.Configurator.
type configurator interface {
	Acquire(hwts.Use) (hwts.HardwareConfig, error)
	Keep(hwts.Use) error
	Forgotten() bool
	Reapply() (changed bool, err error)
	Restore() error
	Rename(nic string)
}

// thisHost is the one that the daemon runs on.
func thisHost() host {
	return host{probe: hwts.Probe, listen: hwts.Listen, openPHC: phc.OpenIndex, lock: lockfile.Open,
		configurator: func(nic string) configurator { return hwts.NewConfigurator(nic) }}
}
