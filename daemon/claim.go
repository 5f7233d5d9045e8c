// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lockstep-time/lockstep/internal/lockfile"
)

// Two daemons that steer the same clock fight each other, whatever their configurations say. Of a PHC it is the device
// that is locked, which containers share with the host; the system clock has none, and a file stands for it.
const systemLock = "system-clock.lock"

// lockSystem makes sure that this daemon is the only one that steers the system clock. Where nobody can tell, that is said.
func (c *clocks) lockSystem(folder string) error {
	err := os.MkdirAll(folder, 0o755)
	if err == nil {
		c.lock, err = lockfile.Create(filepath.Join(folder, systemLock))
	}
	if errors.Is(err, lockfile.ErrHeld) {
		return fmt.Errorf("daemon: another lockstepd steers the system clock: %w", err)
	}
	if err != nil {
		c.log.Warn("it cannot be made sure that no other lockstepd steers the system clock", "err", err)
	}
	return nil
}

// claim makes this daemon the only one that steers a PHC, or leaves that to others.
func (h *hardwareClock) claim(steer bool, lock func(device string) (*lockfile.Lock, error)) (err error) {
	if steer == h.claimed() {
		return nil
	}
	if !steer {
		err, h.lock = h.lock.Close(), nil
		return err
	}
	h.lock, err = lock(h.device.Name())
	if errors.Is(err, lockfile.ErrHeld) {
		return fmt.Errorf("another lockstepd steers the clock: %w", err)
	}
	return err
}

// claimed reports whether this daemon steers the clock.
func (h *hardwareClock) claimed() bool { return h.lock != nil }
