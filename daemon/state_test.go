// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/internal/files"
)

func TestStateComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "state.json")
	want := engine.Saved{Frequencies: map[string]float64{"system": -12345.678, "ptp0": 0.25}, UTCOffset: 37}
	for range 2 { // the second one replaces the first
		if err := saveState(path, want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := loadState(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if names := list(t, filepath.Dir(path)); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestNoState(t *testing.T) {
	for _, path := range []string{"", filepath.Join(t.TempDir(), "state.json")} {
		if got, err := loadState(path); err != nil || got.Frequencies != nil || got.UTCOffset != 0 {
			t.Errorf("%q: %+v, %v", path, got, err)
		}
	}
}

func TestAbsurdState(t *testing.T) {
	for name, text := range map[string]string{
		"empty":             "",
		"cut off":           `{"frequencies_ppb": {"system": 1`,
		"not JSON":          "\x00\x01\x02",
		"another type":      `{"frequencies_ppb": "fast"}`,
		"beyond a float":    `{"frequencies_ppb": {"system": 1e999}}`,
		"not whole seconds": `{"utc_offset": 36.5}`,
		"endless":           `{"frequencies_ppb": {"` + strings.Repeat("x", 2*maxState) + `": 1}}`,
	} {
		path := filepath.Join(t.TempDir(), "state.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := loadState(path)
		if err == nil || got.Frequencies != nil || got.UTCOffset != 0 {
			t.Errorf("%s: %+v, %v", name, got, err)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v does not name the file", name, err)
		}
	}
}

// TestPartlyAbsurdState leaves out what cannot be, and nothing else.
func TestPartlyAbsurdState(t *testing.T) {
	for text, want := range map[string]engine.Saved{
		`{"frequencies_ppb": {"system": 17, "ptp0": 4}, "utc_offset": 100000}`: {
			Frequencies: map[string]float64{"system": 17, "ptp0": 4}},
		`{"frequencies_ppb": {"system": 17}, "utc_offset": -37}`: {
			Frequencies: map[string]float64{"system": 17}},
		`{"frequencies_ppb": {"system": 17, "ptp0": 1e9}, "utc_offset": 37}`: {
			Frequencies: map[string]float64{"system": 17}, UTCOffset: 37},
		`{"frequencies_ppb": {"ptp0": -1e7}, "utc_offset": 256}`: {
			Frequencies: map[string]float64{}},
	} {
		path := filepath.Join(t.TempDir(), "state.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := loadState(path)
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "is absurd; it is left out") {
			t.Errorf("%s: %v", text, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}

// TestStateStaysWhole cannot write a new state: the old one is as it was.
func TestStateStaysWhole(t *testing.T) {
	dir := t.TempDir()
	if err := saveState(filepath.Join(dir, "file", "state.json"), engine.Saved{}); err != nil {
		t.Fatal(err)
	}
	// a directory where the file should be: the new one cannot take its place
	path := filepath.Join(dir, "state.json")
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := saveState(path, engine.Saved{UTCOffset: 37}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	if names := list(t, dir); len(names) != 2 {
		t.Errorf("left behind: %v", names)
	}
	// a file where a directory should be
	if err := saveState(filepath.Join(dir, "file", "state.json", "state.json"), engine.Saved{}); err == nil {
		t.Error("no error where a directory cannot be made")
	}
}

// TestStateIsARegularFile: a pipe in its place must not keep the daemon from starting, nor a device be read.
func TestStateIsARegularFile(t *testing.T) {
	dir := t.TempDir()
	pipe, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.Symlink("/dev/zero", link)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, link, "/dev/zero", dir} {
		if got, err := loadState(path); !errors.Is(err, files.ErrNotRegular) || got.Frequencies != nil {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
}

// TestStateIsWrittenIntoNothingThatIsThere has somebody put something where the new state is written first.
func TestStateIsWrittenIntoNothingThatIsThere(t *testing.T) {
	for name, put := range map[string]func(path, other string) error{
		"a link":      func(path, other string) error { return os.Symlink(other, path) },
		"a hard link": func(path, other string) error { return os.Link(other, path) },
		"a pipe":      func(path, _ string) error { return syscall.Mkfifo(path, 0o666) },
		"a file":      func(path, _ string) error { return os.WriteFile(path, []byte("x"), 0o666) },
	} {
		path := filepath.Join(t.TempDir(), "state.json")
		other := filepath.Join(t.TempDir(), "other")
		if err := errors.Join(os.WriteFile(other, []byte("other"), 0o600), put(path+".new", other)); err != nil {
			t.Fatal(err)
		}
		if err := saveState(path, engine.Saved{UTCOffset: 37}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := loadState(path); err != nil || got.UTCOffset != 37 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if b, err := os.ReadFile(other); err != nil || string(b) != "other" {
			t.Errorf("%s: what is none of the daemon's now has %q, %v", name, b, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}
