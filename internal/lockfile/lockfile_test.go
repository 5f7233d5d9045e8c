// SPDX-License-Identifier: Apache-2.0

package lockfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOneHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock.lock")
	for _, again := range []func(string) (*Lock, error){Create, Open} {
		first, err := Create(path)
		if err != nil {
			t.Fatal(err)
		}
		second, err := again(path)
		if !errors.Is(err, ErrHeld) || second != nil {
			t.Fatalf("the second got %v, %v", second, err)
		}
		if !strings.Contains(err.Error(), path) {
			t.Errorf("%v does not name the file", err)
		}
		// not every file system shows its files in /proc/locks under the numbers that stat does
		if locks, _ := os.ReadFile("/proc/locks"); strings.Contains(string(locks), fmt.Sprintf(" %d ", os.Getpid())) &&
			!strings.Contains(err.Error(), fmt.Sprintf("by process %d (lockfile.test)", os.Getpid())) {
			t.Errorf("%v does not name the process %d; the kernel says\n%s", err, os.Getpid(), locks)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		third, err := again(path)
		if err != nil {
			t.Fatalf("after the end of the first: %v", err)
		}
		if err := third.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
}

func TestNothingToLock(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Create(filepath.Join(dir, "none", "clock.lock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(link); err == nil {
		t.Error("a link was followed")
	}
	var none *Lock
	if err := none.Close(); err != nil {
		t.Error(err)
	}
}

func TestFind(t *testing.T) {
	const locks = `1: POSIX  ADVISORY  WRITE 700 00:1a:568 0 EOF
2: -> FLOCK  ADVISORY  WRITE 701 00:1a:568 0 EOF
3: FLOCK  ADVISORY  WRITE 702 00:1a:5681 0 EOF
4: FLOCK  ADVISORY  WRITE 0 00:1a:568 0 EOF
5: FLOCK  ADVISORY  WRITE 703 00:1a:568 0 EOF
6: FLOCK
7: FLOCK  ADVISORY  WRITE 704 103:10002:9 0 EOF
`
	for _, c := range []struct {
		device, inode uint64
		want          int
	}{{0x1a, 568, 703}, {0x1a, 569, 0}, {0x1b, 568, 0}, {unix.Mkdev(0x103, 0x10002), 9, 704}} {
		if got := find(strings.NewReader(locks), c.device, c.inode); got != c.want {
			t.Errorf("%x, %d: process %d, want %d", c.device, c.inode, got, c.want)
		}
	}
}

// TestHolderCannotSpeakToTheTerminal: any process may call itself whatever it likes.
func TestHolderCannotSpeakToTheTerminal(t *testing.T) {
	for comm, want := range map[string]string{
		"ptp4l\n": "process 7 (ptp4l)", "\x1b]0;x\a\n": "process 7 (?]0;x?)", "\u009b31m\x7f\n": "process 7 (?31m?)",
		"\xff\n": "process 7 (?)",
	} {
		if got := describe(7, []byte(comm), true); got != want {
			t.Errorf("%q: %q, want %q", comm, got, want)
		}
	}
	if got := describe(7, nil, false); got != "process 7" {
		t.Errorf("without a name: %q", got)
	}
}
