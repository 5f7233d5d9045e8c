// SPDX-License-Identifier: Apache-2.0

// Package platform is the one door to the operating system: interfaces and NICs, sockets, clocks and locks. Local is the host
// that this process runs on; package platformtest has one whose interfaces and clocks are not there.
package platform

import (
	"context"
	"io"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/sysclock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/internal/lockfile"
)

// ErrHeld: another process, or another part of this one, has the lock. The error names the process.
var ErrHeld = lockfile.ErrHeld

// Host is a machine, or a container, with its interfaces and clocks. Its methods may be called from any goroutine, and may wait
// for as long as the kernel, a driver or a disk does; so may those of a Configurator, and Close of everything. All other
// methods of an open Conn or clock return at once, but for Conn.Serve, and PHC.Compare, which takes some readings.
type Host interface {
	// Privileges returns what this process may do.
	Privileges() (Privileges, error)
	// Interfaces returns every interface but the loopback one, as nic.Discover does.
	Interfaces() ([]nic.Capabilities, error)
	// Probe returns what an interface can do. It fails with hwts.ErrNoInterface.
	Probe(ifname string) (nic.Capabilities, error)
	// Watch tells the handler of all interfaces, and then of what happens to them, until ctx is done, as nic.Watch does.
	Watch(ctx context.Context, handler func(nic.Event)) error
	// Configurator returns a new Configurator of the NIC with that name (nic.Capabilities.NIC).
	Configurator(nic string) Configurator
	// Listen makes a socket, as hwts.Listen does.
	Listen(hwts.Config) (Conn, error)
	// OpenPHC opens /dev/ptpN, as phc.OpenIndex does.
	OpenPHC(index int) (PHC, error)
	// SystemClock returns CLOCK_REALTIME. Nothing is read or changed yet.
	SystemClock() SystemClock
	// VirtualClock starts a clock that stands for the system clock.
	VirtualClock(sysclock.VirtualConfig) (VirtualClock, error)
	// LockDevice locks a device, as lockfile.Open does, until the lock is closed. It fails with ErrHeld.
	LockDevice(path string) (io.Closer, error)
	// LockFile locks a file, which is made if it is not there, as is its folder, until the lock is closed. It fails with ErrHeld.
	LockFile(path string) (io.Closer, error)
}

// Configurator keeps the timestamping configuration of one NIC. Its methods are those of nic.Configurator.
type Configurator interface {
	Acquire(nic.Use) (nic.Config, error)
	Keep(nic.Use) error
	Forgotten() bool
	Reapply() (changed bool, err error)
	Restore() error
	Rename(nic string)
}

// Conn is a socket whose datagrams carry timestamps. Its methods are those of hwts.Conn.
type Conn interface {
	Send(b []byte, to hwts.Addr) (id uint32, err error)
	Serve(hwts.Handler) error
	Counters() hwts.Counters
	Close() error
}

// PHC is an open PTP hardware clock. Its methods are those of phc.Device.
type PHC interface {
	clock.Clock
	Driver() string
	Compare(n int) (clock.Crossing, error)
	Close() error
}

// SystemClock is CLOCK_REALTIME. Its methods are those of sysclock.Realtime.
type SystemClock interface {
	clock.Clock
	SetStatus(clock.Status) error
	ReadKernel() (sysclock.KernelState, error)
}

// VirtualClock stands for the system clock. Its methods are those of sysclock.Virtual.
type VirtualClock interface {
	clock.Clock
	FromRealtime(ns int64) (clock.Timestamp, error)
}

// Privileges is what a process may do.
type Privileges struct {
	// Effective are the effective capabilities, bit n being capability n (capabilities(7)).
	Effective uint64
	// FirstFreePort is the first UDP port that anybody may listen on, of either IP version.
	FirstFreePort int
}

// Has reports whether the process has a capability, such as unix.CAP_NET_ADMIN.
func (p Privileges) Has(capability int) bool { return p.Effective&(1<<capability) != 0 }
