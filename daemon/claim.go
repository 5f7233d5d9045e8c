// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/lockstep-time/lockstep/platform"
)

// Two daemons that steer the same clock fight each other, whatever their configurations say. Of a PHC it is the device
// that is locked, which containers share with the host; the system clock has none, and a file stands for it.
const systemLock = "system-clock.lock"

// lockSystem makes sure that this daemon is the only one that steers the system clock. Where nobody can tell, that is said.
func (c *clocks) lockSystem(folder string) error {
	lock, err := c.platform.LockFile(filepath.Join(folder, systemLock))
	switch {
	case errors.Is(err, platform.ErrHeld):
		return fmt.Errorf("daemon: another lockstepd steers the system clock: %w", err)
	case err != nil:
		c.log.Warn("it cannot be made sure that no other lockstepd steers the system clock", "err", err)
	default:
		c.lock = lock
	}
	return nil
}

// claim makes this daemon the only one that steers a PHC, or leaves that to others.
func (h *hardwareClock) claim(steer bool, p platform.Host) error {
	if steer == h.claimed() {
		return nil
	}
	if !steer {
		err := h.lock.Close()
		h.lock = nil
		return err
	}
	lock, err := p.LockDevice(h.device.Name())
	if errors.Is(err, platform.ErrHeld) {
		return fmt.Errorf("another lockstepd steers the clock: %w", err)
	}
	if err == nil {
		h.lock = lock
	}
	return err
}

// claimed reports whether this daemon steers the clock.
func (h *hardwareClock) claimed() bool { return h.lock != nil }
