// SPDX-License-Identifier: Apache-2.0

package sysclock

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-time/lockstep/clock"
)

func TestLoadLeapSeconds(t *testing.T) {
	table, err := LoadLeapSeconds("../testdata/leap-seconds.list")
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := table.TAIOffset(clock.Instant{Nanoseconds: 1_700_000_000e9, Scale: clock.UTC}); s != 37 || !ok {
		t.Errorf("TAI − UTC was %d s in 2023, %v", s, ok)
	}
}

func TestLoadLeapSecondsErrors(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	if _, err := LoadLeapSeconds(missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := LoadLeapSeconds(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("directory: %v", err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, []byte(strings.Repeat("#\n", clock.MaxLeapFile/2+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadLeapSeconds(large); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("large file: %v", err)
	}
}
