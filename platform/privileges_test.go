// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/sysclock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/phc"
)

func TestEffectiveCapabilities(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       uint64
		ok         bool
	}{
		{"root", "Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n", 0x1ffffffffff, true},
		{"none", "CapEff:\t0000000000000000\n", 0, true},
		{"time only", "CapEff:\t0000000002000000", 1 << unix.CAP_SYS_TIME, true},
		{"no line", "Name:\tx\n", 0, false},
		{"nothing", "", 0, false},
		{"not a number", "CapEff:\tall of them\n", 0, false},
		{"too many", "CapEff:\t1ffffffffffffffff\n", 0, false},
	} {
		got, err := effectiveCapabilities(strings.NewReader(c.text))
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%s: %x, %v", c.name, got, err)
		}
	}
}

func TestFirstFreePort(t *testing.T) {
	for text, want := range map[string]int{"319\n": 319, "0\n": 0, "1024\n": 1024, "many\n": 1024} {
		file := filepath.Join(t.TempDir(), "port")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := firstFreePort(file); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	if got := firstFreePort(filepath.Join(t.TempDir(), "none")); got != 1024 {
		t.Errorf("by default ports are free from %d on", got)
	}
}

func TestPrivileges(t *testing.T) {
	p := Privileges{Effective: 1 << unix.CAP_SYS_TIME}
	if !p.Has(unix.CAP_SYS_TIME) || p.Has(unix.CAP_NET_ADMIN) {
		t.Errorf("%+v has CAP_NET_ADMIN or lacks CAP_SYS_TIME", p)
	}
	if p, err := Local().Privileges(); err != nil || p.FirstFreePort < 0 || p.Has(63) {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestErrorsAreNotOpen checks that what could not be opened is nil.
func TestErrorsAreNotOpen(t *testing.T) {
	h := Local()
	if c, err := h.Listen(hwts.Config{}); c != nil || !errors.Is(err, hwts.ErrConfig) {
		t.Errorf("%v, %v", c, err)
	}
	if c, err := h.OpenPHC(65533); c != nil || !errors.Is(err, phc.ErrNotPHC) {
		t.Errorf("%v, %v", c, err)
	}
	if c, err := h.VirtualClock(sysclock.VirtualConfig{FrequencyError: 1e12}); c != nil || !errors.Is(err, clock.ErrRange) {
		t.Errorf("%v, %v", c, err)
	}
	if l, err := h.LockDevice(filepath.Join(t.TempDir(), "none")); l != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, %v", l, err)
	}
}

func TestLockFile(t *testing.T) {
	h, path := Local(), filepath.Join(t.TempDir(), "run", "lock")
	first, err := h.LockFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if l, err := h.LockFile(path); l != nil || !errors.Is(err, ErrHeld) {
		t.Errorf("the second got %v, %v", l, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := h.LockFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err := h.LockFile(filepath.Join(path, "lock")); l != nil || err == nil {
		t.Errorf("where no folder can be made: %v, %v", l, err)
	}
}
