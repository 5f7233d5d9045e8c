// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/internal/files"
)

const (
	maxState     = 64 << 10
	maxUTCOffset = 255 // s, as in the configuration
	maxSavedPPB  = 1e6 // no oscillator is that far off
)

// loadState reads the state file; none is no error. What is sound of it is returned with an error too.
func loadState(path string) (engine.Saved, error) {
	var s engine.Saved
	if path == "" {
		return s, nil
	}
	f, err := files.Open(path) // a pipe would keep the daemon from starting
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	} else if err != nil {
		return s, fmt.Errorf("daemon: read state: %w", err)
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxState)).Decode(&s); err != nil {
		return engine.Saved{}, fmt.Errorf("daemon: read state %s: %w; it is left out", path, err)
	}
	return s, dropAbsurd(path, &s)
}

// dropAbsurd takes out of a state what cannot be, and says so.
func dropAbsurd(path string, s *engine.Saved) (err error) {
	if s.UTCOffset < 0 || s.UTCOffset > maxUTCOffset {
		err = fmt.Errorf("daemon: read state %s: UTC offset %d s is absurd; it is left out", path, s.UTCOffset)
		s.UTCOffset = 0
	}
	for name, ppb := range s.Frequencies {
		if math.Abs(ppb) > maxSavedPPB || ppb != ppb {
			err = errors.Join(err, fmt.Errorf("daemon: read state %s: frequency %g ppb of %s is absurd; it is left out", path, ppb,
				name))
			delete(s.Frequencies, name)
		}
	}
	return err
}

// saveState replaces the state file as a whole, or not at all.
func saveState(path string, s engine.Saved) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("daemon: write state: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("daemon: write state: %w", err)
	}
	// always the same name, so that a crash leaves one behind at most; there is one writer at a time
	f, err := files.Replace(path + ".new")
	if err != nil {
		return fmt.Errorf("daemon: write state: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("daemon: write state %s: %w", path, err)
	}
	return nil
}

// save keeps what has been learned for the next start.
func (d *Daemon) save(now clock.Mono) {
	if s, worth := d.host.Save(now); worth && d.cfg.StateFile != "" {
		d.write(now, s)
	}
}

// write has the state written beside the loop, unless that is still under way: a disk may be slow for as long as it likes.
func (d *Daemon) write(now clock.Mono, s engine.Saved) (begun bool) {
	if d.saving.Swap(true) {
		return false
	}
	d.saved = now
	path := d.cfg.StateFile
	d.workers.Go(func() {
		defer d.saving.Store(false)
		if err := saveState(path, s); err != nil {
			d.log.Warn("state file", "err", err)
		}
	})
	return true
}
