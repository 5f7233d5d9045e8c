// SPDX-License-Identifier: Apache-2.0

// Package footprint keeps a program that runs for months from holding memory that only its start has needed.
package footprint

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Unmap takes the pages of the program's file out of this process's memory: code and tables, many of which only the start has
// used. Those that are used again come back from the page cache one by one. It may be called at any time, and does nothing if
// the file has been replaced.
func Unmap() error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("unmap the program: %w", err)
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("unmap the program: %w", err)
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		start, length, ok := constant(lines.Text(), program)
		if !ok {
			continue
		}
		if _, _, errno := unix.RawSyscall(unix.SYS_MADVISE, start, length, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("unmap the program: madvise: %w", errno)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("unmap the program: %w", err)
	}
	return nil
}

// constant returns the addresses that a line of /proc/PID/maps is about, if it is of that file and nobody can have written to
// them: what was written would be lost.
func constant(line, file string) (start, length uintptr, ok bool) {
	fields := strings.Fields(line) // addresses permissions offset device inode path
	if len(fields) != 6 || fields[5] != file || fields[1] != "r-xp" && fields[1] != "r--p" {
		return 0, 0, false
	}
	from, to, _ := strings.Cut(fields[0], "-")
	a, err := strconv.ParseUint(from, 16, strconv.IntSize)
	b, err2 := strconv.ParseUint(to, 16, strconv.IntSize)
	return uintptr(a), uintptr(b - a), err == nil && err2 == nil && b > a
}
