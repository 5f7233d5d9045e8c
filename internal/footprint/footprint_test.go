// SPDX-License-Identifier: Apache-2.0

package footprint

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// fileMemory returns how much of files is in this process's memory, in KiB.
func fileMemory(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), "RssFile:")
	n, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// touch reads all of the program's constant memory.
func touch(t *testing.T) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	memory, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Skipf("this machine does not let us read our own memory: %v", err)
	}
	defer memory.Close()
	for line := range strings.Lines(string(maps)) {
		if start, length, ok := constant(line, program); ok {
			if _, err := memory.ReadAt(make([]byte, length), int64(start)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestUnmap(t *testing.T) {
	touch(t)
	before := fileMemory(t)
	if err := Unmap(); err != nil {
		t.Fatal(err)
	}
	if after := fileMemory(t); after > before*3/4 {
		t.Errorf("%d KiB of files are in memory, %d before", after, before)
	}
}

func TestConstant(t *testing.T) {
	const file = "/usr/sbin/lockstepd"
	for _, c := range []struct {
		line string
		ok   bool
	}{
		{"00400000-00a3b000 r-xp 00000000 fe:00 1234  /usr/sbin/lockstepd\n", true},
		{"00a3b000-010f0000 r--p 0063b000 fe:00 1234  /usr/sbin/lockstepd", true},
		{"010f0000-01140000 rw-p 00cf0000 fe:00 1234  /usr/sbin/lockstepd", false}, // what was written would be lost
		{"00a3b000-010f0000 r--s 0063b000 fe:00 1234  /usr/sbin/lockstepd", false},
		{"00a3b000-010f0000 r--p 0063b000 fe:00 1234  /usr/sbin/lockstepd (deleted)", false},
		{"00a3b000-010f0000 r--p 0063b000 fe:00 1234  /usr/lib/libc.so.6", false},
		{"c000000000-c000400000 rw-p 00000000 00:00 0", false},
		{"zz-010f0000 r--p 0063b000 fe:00 1234  /usr/sbin/lockstepd", false},
		{"", false},
	} {
		start, length, ok := constant(c.line, file)
		if ok != c.ok || ok && (start == 0 || length == 0) {
			t.Errorf("%q: %#x, %#x, %v", c.line, start, length, ok)
		}
	}
}
