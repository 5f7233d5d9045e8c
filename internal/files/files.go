// SPDX-License-Identifier: Apache-2.0

// Package files opens files in directories where others may have put something in their place: a link to another file, a
// pipe that nobody writes to or reads from, a device.
package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

var (
	// ErrNotRegular: it is a directory, a link, a pipe or a device.
	ErrNotRegular = errors.New("not a regular file")
	// ErrLink: it is a link that another user has put there.
	ErrLink = errors.New("a link of another user's, which is not followed")
	// ErrPipe: it is a named pipe that another user has put there.
	ErrPipe = errors.New("a named pipe of another user's, which is not written to")
)

// Open opens a regular file for reading, not by a link, and does not wait. It fails with ErrNotRegular.
func Open(path string) (*os.File, error) { return open(path, os.Lstat, syscall.O_NOFOLLOW) }

// OpenLinked is Open that follows links.
func OpenLinked(path string) (*os.File, error) { return open(path, os.Stat, 0) }

func open(path string, stat func(string) (fs.FileInfo, error), flags int) (*os.File, error) {
	info, err := stat(path) // first: to open a device is to do something
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", path, ErrNotRegular)
	}
	return openRegular(path, os.O_RDONLY|flags)
}

// openRegular opens what was a regular file a moment ago.
func openRegular(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", path, ErrNotRegular)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Replace makes a new file with mode 0600 in place of whatever has its name, but for a directory that is not empty.
func Replace(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
}

// Create opens a file that a person has named, to be written from its beginning, as os.Create does, but gives nobody else a
// say in where that goes. A regular file of this user's is removed and made anew with its mode, and so is any for root, with
// the mode of a new file if it was another user's; another name of it keeps its content. Devices are opened as they are.
// Links are followed, and named pipes opened, if this user or root has made them; it fails with ErrLink or ErrPipe for
// others.
func Create(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o666)
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSymlink != 0:
		if !trusted(info) {
			return nil, fmt.Errorf("%s: %w", path, ErrLink)
		}
		return os.Create(path)
	case info.Mode()&fs.ModeNamedPipe != 0 && !trusted(info):
		return nil, fmt.Errorf("%s: %w", path, ErrPipe)
	case !info.Mode().IsRegular():
		return os.OpenFile(path, os.O_WRONLY|syscall.O_NOFOLLOW, 0)
	}
	f, err := openRegular(path, os.O_WRONLY|syscall.O_NOFOLLOW) // who may not write it shall not replace it
	if err != nil {
		return nil, err
	}
	euid := os.Geteuid()
	if owner(info) != euid && euid != 0 {
		if err := f.Truncate(0); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return f, nil
	}
	return remake(path, f, info)
}

// remake makes a file anew. Where its directory does not let that be done, it is emptied.
func remake(path string, f *os.File, info fs.FileInfo) (*os.File, error) {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EROFS) {
		if err := f.Truncate(0); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return f, nil
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	mode := fs.FileMode(0o666)
	if owner(info) == os.Geteuid() {
		mode = info.Mode().Perm()
	}
	if f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, mode); err != nil {
		return nil, err
	}
	if owner(info) == os.Geteuid() {
		if err := f.Chmod(mode); err != nil { // the umask has no say in it: the file had that mode
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// Writable finds out whether Create would do, as far as that can be told, and leaves things as they are.
func Writable(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		f, err := Create(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Close(), os.Remove(path))
	}
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if !trusted(info) {
			return fmt.Errorf("%s: %w", path, ErrLink)
		}
		if info, err = os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return &fs.PathError{Op: "open", Path: path, Err: syscall.EISDIR}
	case !info.Mode().IsRegular():
		return nil
	}
	f, err := openRegular(path, os.O_WRONLY)
	if err != nil {
		return err
	}
	return f.Close()
}

// trusted reports whether a link is this user's or root's.
func trusted(info fs.FileInfo) bool { return owner(info) == os.Geteuid() || owner(info) == 0 }

func owner(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}
