// SPDX-License-Identifier: Apache-2.0

// Package platformtest has a host whose interfaces and clocks are not there, and whose calls may take as long as a test
// wants.
package platformtest

import (
	"cmp"
	"context"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/sysclock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/internal/lockfile"
	"github.com/lockstep-time/lockstep/phc"
	"github.com/lockstep-time/lockstep/phc/phctest"
	"github.com/lockstep-time/lockstep/platform"
)

// Config says what a Host is like.
type Config struct {
	// Folder is where the locks are, which are files.
	Folder string
	// Delay is how long each call takes that may wait (platform.Host): all but those on an open clock or socket.
	Delay time.Duration
	// Listen makes the sockets in place of Loopback.
	Listen func(hwts.Config) (platform.Conn, error)
}

// Host implements platform.Host. Its methods may be called from any goroutine. None of them holds a lock while it waits, so
// that it can be used in a bubble of testing/synctest.
type Host struct {
	config Config
	start  time.Time

	mu         sync.Mutex
	delay      time.Duration
	interfaces map[string]nic.Capabilities
	nics       map[string]*NIC
	gone       map[int]bool // PHCs
	slow       time.Duration
	faults     Faults
	watchers   map[chan nic.Event]context.Context
	calls      map[string]int
	open       Open
}

// Faults are what calls fail with; nil: they do not.
type Faults struct {
	// Acquire of every Configurator, and OpenPHC.
	Acquire, OpenPHC error
}

// Open counts what is open, and the PHCs that ever were.
type Open struct{ Sockets, PHCs, Locks, PHCsEver int }

var _ platform.Host = (*Host)(nil)

// New returns a Host without interfaces.
func New(c Config) *Host {
	if c.Listen == nil {
		c.Listen = Loopback
	}
	return &Host{config: c, start: time.Now(), delay: c.Delay, interfaces: map[string]nic.Capabilities{},
		nics: map[string]*NIC{},
		gone: map[int]bool{}, watchers: map[chan nic.Event]context.Context{}, calls: map[string]int{}}
}

// Loopback makes a socket at a free port of all of this host's addresses, whatever is asked for.
func Loopback(hwts.Config) (platform.Conn, error) {
	c, err := hwts.Listen(hwts.Config{Network: hwts.UDP4})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// wait is called by every call that may wait, without the lock.
func (h *Host) wait(call string) {
	h.mu.Lock()
	h.calls[call]++
	d := h.delay
	h.mu.Unlock()
	time.Sleep(d)
}

// Calls returns how often a method was called that may wait, such as "Probe" or "NIC.Acquire".
func (h *Host) Calls(method string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls[method]
}

// Open returns what is open now.
func (h *Host) Open() Open {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open
}

// SetFaults has calls fail from now on.
func (h *Host) SetFaults(f Faults) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = f
}

// SetGone has the device of a PHC vanish, or come back.
func (h *Host) SetGone(index int, gone bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone[index] = gone
}

// SetSlow has each call of an open PHC take d.
func (h *Host) SetSlow(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slow = d
}

// Add puts an interface there, up and at 1 Gbit/s, on top of another (a VLAN) or of itself, whose NIC has that clock; -1 for
// none. One of that name is changed. Watchers are told of one that is new.
func (h *Host) Add(name, below string, index, phc int) {
	c := nic.Capabilities{Interface: name, Index: index, NIC: below, Driver: "fake", PHC: phc, Up: true, Speed: 1000}
	if phc >= 0 {
		c.TxTypes = 1<<nic.TxOff | 1<<nic.TxOn
		c.Flags = unix.SOF_TIMESTAMPING_TX_HARDWARE | unix.SOF_TIMESTAMPING_RX_HARDWARE | unix.SOF_TIMESTAMPING_RAW_HARDWARE
	}
	h.mu.Lock()
	old, known := h.interfaces[name]
	h.interfaces[name] = c
	h.mu.Unlock()
	if !known || old.Index != index {
		h.tell(nic.Event{Change: nic.Added, Name: name, Index: index, Up: true})
	}
}

// Edit changes what is known of an interface. Watchers are not told.
func (h *Host) Edit(name string, edit func(*nic.Capabilities)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.interfaces[name]
	edit(&c)
	h.interfaces[name] = c
}

// Remove takes an interface away, and tells watchers.
func (h *Host) Remove(name string) {
	h.mu.Lock()
	c, known := h.interfaces[name]
	delete(h.interfaces, name)
	h.mu.Unlock()
	if known {
		h.tell(nic.Event{Change: nic.Removed, Name: name, Index: c.Index})
	}
}

// Rename gives an interface another name, and tells watchers. It stays on top of those that it was on top of.
func (h *Host) Rename(from, to string) {
	h.mu.Lock()
	c := h.interfaces[from]
	delete(h.interfaces, from)
	c.Interface = to
	if c.NIC == from {
		c.NIC = to
	}
	h.interfaces[to] = c
	h.mu.Unlock()
	h.tell(nic.Event{Change: nic.Renamed, Name: to, OldName: from, Index: c.Index, Up: c.Up})
}

// SetLink sets whether an interface is up, and tells watchers. A NIC that goes down forgets how it is to timestamp.
func (h *Host) SetLink(name string, up bool) {
	h.Edit(name, func(c *nic.Capabilities) { c.Up = up })
	h.mu.Lock()
	c, n := h.interfaces[name], h.nics[name]
	h.mu.Unlock()
	if n != nil && !up {
		n.Reset()
	}
	change := nic.LinkDown
	if up {
		change = nic.LinkUp
	}
	h.tell(nic.Event{Change: change, Name: name, Index: c.Index, Up: up})
}

// tell tells the watchers; it waits for one that is behind.
func (h *Host) tell(e nic.Event) {
	h.mu.Lock()
	all := maps.Clone(h.watchers)
	h.mu.Unlock()
	for c, ctx := range all {
		select {
		case c <- e:
		case <-ctx.Done():
		}
	}
}

// Privileges implements platform.Host: all of them.
func (h *Host) Privileges() (platform.Privileges, error) {
	h.wait("Privileges")
	return platform.Privileges{Effective: 1<<63 - 1}, nil
}

// Interfaces implements platform.Host.
func (h *Host) Interfaces() ([]nic.Capabilities, error) {
	h.wait("Interfaces")
	return h.list(), nil
}

func (h *Host) list() []nic.Capabilities {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.SortedFunc(maps.Values(h.interfaces),
		func(a, b nic.Capabilities) int { return cmp.Compare(a.Index, b.Index) })
}

// Probe implements platform.Host.
func (h *Host) Probe(ifname string) (nic.Capabilities, error) {
	h.wait("Probe")
	h.mu.Lock()
	defer h.mu.Unlock()
	c, ok := h.interfaces[ifname]
	if !ok {
		return nic.Capabilities{}, hwts.ErrNoInterface
	}
	return c, nil
}

// Watch implements platform.Host.
func (h *Host) Watch(ctx context.Context, handler func(nic.Event)) error {
	h.wait("Watch")
	events := make(chan nic.Event, 16)
	h.mu.Lock()
	h.watchers[events] = ctx
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.watchers, events)
	}()
	for _, c := range h.list() {
		handler(nic.Event{Change: nic.Added, Name: c.Interface, Index: c.Index, Up: c.Up})
	}
	for {
		select {
		case e := <-events:
			handler(e)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Listen implements platform.Host.
func (h *Host) Listen(c hwts.Config) (platform.Conn, error) {
	h.wait("Listen")
	conn, err := h.config.Listen(c)
	if err != nil {
		return nil, err
	}
	h.opened(func(o *Open) { o.Sockets++ })
	return &socket{conn, h}, nil
}

func (h *Host) opened(count func(*Open)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	count(&h.open)
}

// socket takes its time to be closed.
type socket struct {
	platform.Conn
	host *Host
}

func (s *socket) Close() error {
	s.host.wait("Conn.Close")
	s.host.opened(func(o *Open) { o.Sockets-- })
	return s.Conn.Close()
}

// OpenPHC implements platform.Host.
func (h *Host) OpenPHC(index int) (platform.PHC, error) {
	h.wait("OpenPHC")
	h.mu.Lock()
	err, gone := h.faults.OpenPHC, h.gone[index]
	h.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if gone {
		return nil, phc.ErrNotPHC
	}
	h.opened(func(o *Open) { o.PHCs, o.PHCsEver = o.PHCs+1, o.PHCsEver+1 })
	return &device{phctest.New(phctest.Config{Index: index, Now: func() int64 { return int64(time.Since(h.start)) },
		Rand: rand.New(rand.NewPCG(1, 2)), Fault: func(phctest.Call) error { return h.fault(index) }}).Device, h}, nil
}

// fault is what the calls of an open PHC fail with.
func (h *Host) fault(index int) error {
	h.mu.Lock()
	gone, slow := h.gone[index], h.slow
	h.mu.Unlock()
	time.Sleep(slow)
	if gone {
		return unix.ENODEV
	}
	return nil
}

// device takes its time to be closed.
type device struct {
	*phc.Device
	host *Host
}

func (d *device) Close() error {
	d.host.wait("PHC.Close")
	d.host.opened(func(o *Open) { o.PHCs-- })
	return d.Device.Close()
}

// SystemClock implements platform.Host: a clock that only looks like the system clock.
func (h *Host) SystemClock() platform.SystemClock {
	h.wait("SystemClock")
	v, err := h.virtual(sysclock.VirtualConfig{})
	if err != nil {
		panic(err) // its readers never fail
	}
	return &systemClock{Virtual: v}
}

// systemClock is a clock of this process that the kernel knows nothing of.
type systemClock struct {
	*sysclock.Virtual
	mu     sync.Mutex
	status clock.Status
}

func (s *systemClock) SetStatus(status clock.Status) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
	return nil
}

func (s *systemClock) ReadKernel() (sysclock.KernelState, error) {
	ppb, err := s.Frequency()
	s.mu.Lock()
	defer s.mu.Unlock()
	return sysclock.KernelState{Status: s.status, Frequency: ppb}, err
}

// VirtualClock implements platform.Host. Its raw clock is that of package time.
func (h *Host) VirtualClock(c sysclock.VirtualConfig) (platform.VirtualClock, error) {
	h.wait("VirtualClock")
	v, err := h.virtual(c)
	if err != nil {
		return nil, err
	}
	return v, nil
}

func (h *Host) virtual(c sysclock.VirtualConfig) (*sysclock.Virtual, error) {
	c.Raw = func() (int64, error) { return int64(time.Since(h.start)), nil }
	return sysclock.NewVirtual(c)
}

// LockDevice implements platform.Host. What is locked is the file at LockPath.
func (h *Host) LockDevice(path string) (io.Closer, error) {
	h.wait("LockDevice")
	return h.lock(h.LockPath(path))
}

// LockFile implements platform.Host. What is locked is the file at LockPath.
func (h *Host) LockFile(path string) (io.Closer, error) {
	h.wait("LockFile")
	return h.lock(h.LockPath(path))
}

// LockPath returns the file that stands for a device or file to be locked.
func (h *Host) LockPath(path string) string {
	return filepath.Join(h.config.Folder, filepath.Base(path))
}

func (h *Host) lock(path string) (io.Closer, error) {
	l, err := lockfile.Create(path)
	if err != nil {
		return nil, err
	}
	h.opened(func(o *Open) { o.Locks++ })
	return &lock{l, h}, nil
}

// lock takes its time to be given up.
type lock struct {
	*lockfile.Lock
	host *Host
}

func (l *lock) Close() error {
	l.host.wait("Lock.Close")
	l.host.opened(func(o *Open) { o.Locks-- })
	return l.Lock.Close()
}
