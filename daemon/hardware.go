// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/phc"
	"github.com/lockstep-time/lockstep/platform"
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

// stamped is what has come of having a NIC take timestamps.
type stamped struct {
	stamping
	phc     *hardwareClock // that the stamps are of; nil: they are the kernel's
	opened  bool           // it was not open before
	caps    nic.Capabilities
	granted nic.Config
}

// hardware is what the daemon has of NICs and PHCs. Its methods wait: requests of interfaces call them, and the loop only while
// none of those is under way.
type hardware struct {
	platform platform.Host
	nics     map[string]platform.Configurator
	phcs     map[clock.ID]*hardwareClock // open
}

func newHardware(p platform.Host) *hardware {
	return &hardware{platform: p, nics: map[string]platform.Configurator{}, phcs: map[clock.ID]*hardwareClock{}}
}

// stampBy has the NIC of an interface take timestamps, and opens its PHC, to be steered if steer. A NIC whose PHC is of no use
// stays configured.
func (h *hardware) stampBy(caps *nic.Capabilities, use nic.Use, steer bool) (stamped, error) {
	s := stamped{stamping: byKernel(), caps: *caps}
	c := h.nics[caps.NIC]
	if c == nil {
		c = h.platform.Configurator(caps.NIC)
		h.nics[caps.NIC] = c
	}
	var err error
	s.granted, err = c.Acquire(use)
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w; it takes CAP_NET_ADMIN to have a NIC take timestamps", err)
	}
	if err != nil {
		return s, err
	}
	s.nic, s.use = caps.NIC, use
	id := clock.PHC(caps.PHC)
	if s.phc = h.phcs[id]; s.phc == nil {
		if s.phc, err = h.open(caps.PHC, steer); err != nil {
			return s, err
		}
		s.opened = true
	}
	s.clock = id
	return s, nil
}

// open opens a PHC, and makes this daemon the only one that steers it if it is to.
func (h *hardware) open(index int, steer bool) (*hardwareClock, error) {
	device, err := h.platform.OpenPHC(index)
	if err != nil {
		return nil, err
	}
	c := &hardwareClock{device: device, compare: make(chan struct{}, 1),
		quantum: phc.FrequencyQuantum(device.Driver(), device.MaxFrequency())}
	if err := c.claim(steer, h.platform); err != nil {
		return nil, errors.Join(err, device.Close())
	}
	h.phcs[device.ID()] = c
	return c, nil
}

// close closes a PHC and leaves it running as it is.
func (h *hardware) close(c *hardwareClock) error {
	if id := c.device.ID(); h.phcs[id] == c {
		delete(h.phcs, id)
	}
	c.endComparing()
	err := c.device.Close()
	if c.lock != nil {
		err = errors.Join(err, c.lock.Close())
	}
	return err
}

// claim makes this daemon the only one that steers the open PHCs, or leaves them to others.
func (h *hardware) claim(steer bool) error {
	for _, c := range h.phcs {
		if err := c.claim(steer, h.platform); err != nil {
			return err
		}
	}
	return nil
}

// release closes PHCs, and puts back how the NICs were configured that are not in use. The others stamp no more than they need
// to. It returns why that could not be done, by NIC; the first error is of the clocks.
func (h *hardware) release(unused []*hardwareClock, uses map[string]nic.Use) (closing error, r released) {
	for _, c := range unused {
		closing = errors.Join(closing, h.close(c))
	}
	r = released{restore: map[string]error{}, keep: map[string]error{}}
	for name, c := range h.nics {
		if uses[name] == 0 {
			r.restore[name] = h.restore(name)
		} else if err := c.Keep(uses[name]); err != nil && !errors.Is(err, hwts.ErrNoInterface) {
			r.keep[name] = err
		}
	}
	return closing, r
}

// released has the errors of putting NICs back as they were, and of having them stamp no more than needed.
type released struct{ restore, keep map[string]error }

// restore puts back how a NIC was configured, if it is still there.
func (h *hardware) restore(name string) error {
	err := h.nics[name].Restore()
	delete(h.nics, name)
	if errors.Is(err, hwts.ErrNoInterface) {
		return nil
	}
	return err
}

// reapply has a NIC take timestamps again, which some forget when the link is down.
func (h *hardware) reapply(name string) (changed bool, err error) {
	if c := h.nics[name]; c != nil {
		return c.Reapply()
	}
	return false, nil
}

// rename has what is known of a NIC go on under its new name.
func (h *hardware) rename(from, to string) {
	if c := h.nics[from]; c != nil {
		c.Rename(to)
		delete(h.nics, from)
		h.nics[to] = c
	}
}

// needNothing gives up all uses of NICs, which stay configured.
func (h *hardware) needNothing() {
	for _, c := range h.nics {
		_ = c.Keep(0) // what is needed by now is acquired anew, and may be something else altogether
	}
}
