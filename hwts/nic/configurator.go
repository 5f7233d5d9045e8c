// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"errors"
	"fmt"
	"sync"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
)

// Use is a set of things that a NIC's receive stamps are needed for.
type Use uint8

// The uses of receive stamps.
const (
	// PTPOverUDP: PTP version 2 event messages over UDP, IPv4 or IPv6.
	PTPOverUDP Use = 1 << iota
	// PTPOverEthernet: PTP version 2 event messages over IEEE 802.3.
	PTPOverEthernet
	// NTP: every NTP packet.
	NTP
)

// UseOf returns what PTP over a network needs.
func UseOf(n hwts.Network) Use {
	if n == hwts.Ethernet {
		return PTPOverEthernet
	}
	return PTPOverUDP
}

// Configurator keeps the timestamping configuration of one NIC, which several sockets share: the narrowest receive filter
// that serves them all. It is safe for concurrent use.
type Configurator struct {
	driver hardwareDriver

	mu       sync.Mutex
	uses     Use
	inForce  Config // as far as known, by whomever
	changed  bool   // by us
	ours     Config // what our last set was granted
	made     Use    // what it was made for
	readable bool   // original is what was there before
	original Config
}

// hardwareDriver is one NIC's ReadConfig and SetConfig.
type hardwareDriver interface {
	name() string
	rename(to string)
	read() (Config, error)
	set(Config) (Config, error)
}

type kernelDriver string

func (k *kernelDriver) name() string                 { return string(*k) }
func (k *kernelDriver) rename(to string)             { *k = kernelDriver(to) }
func (k *kernelDriver) read() (Config, error)        { return ReadConfig(string(*k)) }
func (k *kernelDriver) set(h Config) (Config, error) { return SetConfig(string(*k), h) }

// NewConfigurator returns the Configurator of an interface's NIC. It does nothing yet. Interfaces that share a NIC
// (Capabilities.NIC) have to share a Configurator.
func NewConfigurator(ifname string) *Configurator {
	driver := kernelDriver(ifname)
	return &Configurator{driver: &driver}
}

// Rename says that the interface has another name from now on.
func (c *Configurator) Rename(ifname string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.driver.rename(ifname)
}

// Acquire has the NIC stamp all transmitted packets that ask for it and, of the received ones, what uses needs beside
// the uses acquired before. A configuration that does is left alone. It returns the one in force.
//
// It fails with clock.ErrNotSupported if the NIC has no filter for this, and otherwise as SetConfig does; then what was
// acquired before is still served, and kernel stamps are what remains for the rest.
func (c *Configurator) Acquire(uses Use) (Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.apply(c.uses | uses); err != nil {
		return c.inForce, err
	}
	c.uses |= uses
	return c.inForce, nil
}

// Keep gives up what was acquired beside uses. Where the configuration in force is our own and made for more, it is
// narrowed; where nothing is left it stays, for Acquire to find it sufficient or for Restore. It fails as SetConfig does.
func (c *Configurator) Keep(uses Use) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uses &= uses
	if !c.changed || c.uses == 0 || c.made&^c.uses == 0 {
		return nil
	}
	now, err := c.driver.read()
	if err != nil && !errors.Is(err, clock.ErrNotSupported) {
		return err
	}
	if err != nil || now != c.ours {
		c.made = c.uses // somebody else's, or not to be known: it stays as it is
		return nil
	}
	return c.set(c.uses)
}

// Reapply does again what Acquire did if that is not in force any more: after the link went down and up, after the
// interface was made anew, or when another program has set something else. changed says that it was not in force.
func (c *Configurator) Reapply() (changed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.uses == 0 {
		return false, nil
	}
	if now, err := c.driver.read(); err == nil && sufficient(now, c.uses) {
		c.inForce = now
		return false, nil
	}
	return true, c.apply(c.uses)
}

// Forgotten reports whether what Acquire did is surely not in force any more. Of a driver that cannot tell, it is not known.
func (c *Configurator) Forgotten() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, err := c.driver.read()
	return c.uses != 0 && err == nil && !sufficient(now, c.uses)
}

// Restore puts back what was there before the first Acquire. It leaves alone what somebody else has set since, and what
// could not be read at the time. It fails with hwts.ErrNoInterface, and as SetConfig does.
func (c *Configurator) Restore() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uses = 0
	if !c.changed || !c.readable {
		return nil
	}
	c.changed = false
	if now, err := c.driver.read(); err != nil || now != c.ours {
		return err
	}
	_, err := c.driver.set(c.original)
	return err
}

// apply makes uses served. The caller holds the lock.
func (c *Configurator) apply(uses Use) error {
	now, err := c.driver.read()
	if err == nil && sufficient(now, uses) {
		c.inForce = now
		return nil
	}
	if errors.Is(err, hwts.ErrNoInterface) {
		return err
	}
	if !c.changed {
		c.original, c.readable = now, err == nil
	}
	return c.set(uses)
}

// set has the driver serve uses by the narrowest filter that it has. The caller holds the lock.
func (c *Configurator) set(uses Use) error {
	for _, f := range candidates(uses) {
		granted, err := c.driver.set(Config{TxOn, f})
		if errors.Is(err, clock.ErrNotSupported) {
			continue
		}
		if err != nil {
			return err
		}
		c.changed, c.ours, c.made, c.inForce = true, granted, uses, granted
		if sufficient(granted, uses) {
			return nil
		}
	}
	return c.refused(uses)
}

// refused goes back to what served the uses before, after trials that did not serve the new ones.
func (c *Configurator) refused(uses Use) error {
	err := fmt.Errorf("timestamping of %s: %w: no receive filter for %v", c.driver.name(), clock.ErrNotSupported, uses)
	if c.uses == 0 || uses == c.uses || sufficient(c.inForce, c.uses) {
		return err
	}
	return errors.Join(err, c.apply(c.uses))
}

// sufficient reports whether h serves uses. One-step types do not: they keep the stamps of Sync messages to themselves.
func sufficient(h Config, uses Use) bool {
	return h.TxType == TxOn && uses&^served(h.RxFilter) == 0
}

// served returns the uses that a filter serves.
func served(f RxFilter) Use {
	switch f {
	case RxAll:
		return PTPOverUDP | PTPOverEthernet | NTP
	case RxPTPv2Event:
		return PTPOverUDP | PTPOverEthernet
	case RxPTPv2L4Event:
		return PTPOverUDP
	case RxPTPv2L2Event:
		return PTPOverEthernet
	case RxNTPAll:
		return NTP
	}
	return 0
}

// candidates returns the filters that serve uses, the narrowest first.
func candidates(uses Use) (all []RxFilter) {
	if uses == 0 {
		return []RxFilter{RxNone}
	}
	for _, f := range [...]RxFilter{RxPTPv2L4Event, RxPTPv2L2Event, RxPTPv2Event, RxNTPAll, RxAll} {
		if uses&^served(f) == 0 {
			all = append(all, f)
		}
	}
	return all
}

// String returns the uses as "PTP over UDP, NTP".
func (u Use) String() string {
	s := ""
	for i, name := range [...]string{"PTP over UDP", "PTP over Ethernet", "NTP"} {
		switch {
		case u&(1<<i) == 0:
		case s == "":
			s = name
		default:
			s += ", " + name
		}
	}
	return s
}
