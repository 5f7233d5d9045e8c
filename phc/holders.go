// SPDX-License-Identifier: Apache-2.0

package phc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Holder is a process that has a clock's device open.
type Holder struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
	// Writable: it may steer the clock.
	Writable bool `json:"writable"`
}

// Holders returns the processes other than this one that have /dev/ptpN open. If there are processes that this one may not
// look into (it takes root, or CAP_SYS_PTRACE), complete is false: one of those may have it open as well.
func Holders(index int) (found []Holder, complete bool, err error) {
	return holders(sysRoot, index, os.Getpid())
}

func holders(root string, index, self int) (found []Holder, complete bool, err error) {
	entries, err := os.ReadDir(filepath.Join(root, "proc"))
	if err != nil {
		return nil, false, fmt.Errorf("list processes: %w", err)
	}
	device, err := clockNode(root, index)
	if err != nil {
		return nil, false, fmt.Errorf("who has /dev/ptp%d open: %w", index, err)
	}
	first, complete := false, true
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		first = first || pid == 1
		if pid == self {
			continue
		}
		open, writable, seen := holds(root, pid, device)
		complete = complete && seen
		if open {
			command, _ := readString(root, fmt.Sprintf("proc/%d/comm", pid))
			found = append(found, Holder{PID: pid, Command: command, Writable: writable})
		}
	}
	slices.SortFunc(found, func(a, b Holder) int { return a.PID - b.PID })
	// There always is a first process; where it is not listed, /proc hides those of others (hidepid).
	return found, complete && first, nil
}

// holds tells whether a process has the device open, whatever the name by which it was opened, and for writing; seen is
// false if that cannot be told.
func holds(root string, pid int, device node) (open, writable, seen bool) {
	dir := filepath.Join(root, fmt.Sprintf("proc/%d", pid))
	entries, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return false, false, !errors.Is(err, fs.ErrPermission) // else it has just ended
	}
	seen = true
	for _, e := range entries {
		path := filepath.Join(dir, "fd", e.Name())
		if _, err := os.Readlink(path); errors.Is(err, fs.ErrPermission) {
			seen = false
			continue
		}
		// Beyond the link, being refused is no cause for doubt: FUSE keeps even root from its files, which are no clocks.
		if n, err := nodeOf(path); err != nil || n != device {
			continue
		}
		open = true
		info, err := os.ReadFile(filepath.Join(dir, "fdinfo", e.Name()))
		if err != nil || opensForWriting(string(info)) {
			writable = true
		}
	}
	return open, writable, seen
}

// opensForWriting reads the line "flags:" of fdinfo, which is octal.
func opensForWriting(info string) bool {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, "flags:"); ok {
			flags, err := strconv.ParseUint(strings.TrimSpace(value), 8, 32)
			return err != nil || flags&unix.O_ACCMODE != unix.O_RDONLY
		}
	}
	return true
}
