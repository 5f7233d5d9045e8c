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

	"github.com/lockstep-time/lockstep/engine"
)

const (
	maxState     = 64 << 10
	maxUTCOffset = 255 // s, as in the configuration
)

// loadState reads the state file; none is no error.
func loadState(path string) (engine.Saved, error) {
	var s engine.Saved
	if path == "" {
		return s, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	} else if err != nil {
		return s, fmt.Errorf("daemon: read state: %w", err)
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxState)).Decode(&s); err != nil {
		return engine.Saved{}, fmt.Errorf("daemon: read state %s: %w; it is left out", path, err)
	}
	if s.UTCOffset < 0 || s.UTCOffset > maxUTCOffset {
		return engine.Saved{}, fmt.Errorf("daemon: read state %s: UTC offset %d s is absurd; it is left out", path, s.UTCOffset)
	}
	for name, ppb := range s.Frequencies {
		if math.Abs(ppb) > 1e6 || ppb != ppb {
			return engine.Saved{}, fmt.Errorf("daemon: read state %s: frequency %g ppb of %s is absurd; it is left out", path, ppb, name)
		}
	}
	return s, nil
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
	f, err := os.CreateTemp(filepath.Dir(path), ".state-*")
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
