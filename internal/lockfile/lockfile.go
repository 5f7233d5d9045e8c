// SPDX-License-Identifier: Apache-2.0

// Package lockfile keeps two processes from doing the same thing at once, by flock(2) on a file or a device. The lock ends
// with the process at the latest, however that ends. The error of whoever comes second names the process that holds it.
package lockfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/internal/plain"
)

// ErrHeld: another process, or another part of this one, has the lock.
var ErrHeld = errors.New("held")

// Lock is a lock that is held.
type Lock struct{ file *os.File }

// Create locks a file, which is made with mode 0600 if it is not there and stays there afterwards: who may not open it
// cannot lock others out. It fails with ErrHeld, also where the holder is another user's process whose file this one may
// not open.
func Create(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrPermission) {
		if info, statErr := os.Stat(path); statErr == nil {
			if by := holder(info); by != "" {
				return nil, fmt.Errorf("lock %s: %w by %s", path, ErrHeld, by)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	return lock(f)
}

// Open locks what is there, such as a device; the right to read it is enough. It fails with ErrHeld.
func Open(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	return lock(f)
}

func lock(f *os.File) (*Lock, error) {
	raw, err := f.SyscallConn()
	if err == nil {
		err = errors.Join(raw.Control(func(fd uintptr) { err = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) }), err)
	}
	if err == nil {
		return &Lock{f}, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrHeld
		if info, statErr := f.Stat(); statErr == nil {
			if by := holder(info); by != "" {
				err = fmt.Errorf("%w by %s", ErrHeld, by)
			}
		}
	}
	return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
}

// Close gives up the lock. A nil Lock is none.
func (l *Lock) Close() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}

// holder names the process that has the lock on a file, as far as /proc shows it.
func holder(info fs.FileInfo) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return ""
	}
	defer locks.Close()
	pid := find(locks, uint64(stat.Dev), stat.Ino)
	if pid == 0 {
		return ""
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return describe(pid, comm, err == nil)
}

// describe says which process it is; comm is what /proc has of that name. Each process can call itself whatever it likes.
func describe(pid int, comm []byte, known bool) string {
	if !known {
		return fmt.Sprintf("process %d", pid)
	}
	return fmt.Sprintf("process %d (%s)", pid, plain.Short(strings.TrimSpace(string(comm))))
}

// find looks in what /proc/locks shows (proc_locks(5)) for the process that has the flock on a file, 0 if none is shown:
// lines as "1: FLOCK  ADVISORY  WRITE 708 00:1a:568 0 EOF", with "->" before FLOCK for those that only wait.
func find(locks io.Reader, device, inode uint64) int {
	want := fmt.Sprintf("%02x:%02x:%d", unix.Major(device), unix.Minor(device), inode)
	for s := bufio.NewScanner(locks); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) < 6 || f[1] != "FLOCK" || f[5] != want {
			continue
		}
		if pid, err := strconv.Atoi(f[4]); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}
