// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/lockstep-time/lockstep/clock/sysclock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/internal/lockfile"
	"github.com/lockstep-time/lockstep/phc"
)

// Local returns the host that this process runs on.
func Local() Host { return local{} }

type local struct{}

func (local) Privileges() (Privileges, error) {
	effective, err := ownCapabilities()
	return Privileges{effective, firstFreePort(unprivilegedPorts)}, err
}

func (local) Interfaces() ([]nic.Capabilities, error)            { return nic.Discover() }
func (local) Probe(ifname string) (nic.Capabilities, error)      { return nic.Probe(ifname) }
func (local) Watch(ctx context.Context, f func(nic.Event)) error { return nic.Watch(ctx, f) }
func (local) Configurator(name string) Configurator              { return nic.NewConfigurator(name) }
func (local) Listen(c hwts.Config) (Conn, error)                 { return opened[Conn](hwts.Listen(c)) }
func (local) OpenPHC(index int) (PHC, error)                     { return opened[PHC](phc.OpenIndex(index)) }
func (local) SystemClock() SystemClock                           { return sysclock.NewRealtime() }
func (local) LockDevice(path string) (io.Closer, error) {
	return opened[io.Closer](lockfile.Open(path))
}
func (local) VirtualClock(c sysclock.VirtualConfig) (VirtualClock, error) {
	return opened[VirtualClock](sysclock.NewVirtual(c))
}

func (local) LockFile(path string) (io.Closer, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	return opened[io.Closer](lockfile.Create(path))
}

// opened returns what was opened as an I, which is nil if there is an error.
func opened[I any, T any](v *T, err error) (I, error) {
	var none I
	if err != nil {
		return none, err
	}
	return any(v).(I), nil
}

var (
	_ Conn         = (*hwts.Conn)(nil)
	_ PHC          = (*phc.Device)(nil)
	_ VirtualClock = (*sysclock.Virtual)(nil)
	_ io.Closer    = (*lockfile.Lock)(nil)
)
