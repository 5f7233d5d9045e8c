// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/lockstep-time/lockstep/internal/lockfile"
)

// Listen makes the socket with the permissions of mode (its lowest nine bits), never more than those even for an instant.
//
// A file that a dead daemon left behind is replaced. A live daemon's socket is not: Listen fails with ErrInUse. A file that
// is no socket is left alone. Of several daemons that start at once one wins, by a lock on the file socket + ".lock", which
// stays there. Close removes the socket.
func Listen(socket string, mode fs.FileMode) (net.Listener, error) {
	l, err := listen(socket, mode.Perm())
	if err != nil {
		return nil, fmt.Errorf("listen on control socket %s: %w", socket, err)
	}
	return l, nil
}

func listen(socket string, mode fs.FileMode) (net.Listener, error) {
	if socket == "" || strings.HasPrefix(socket, "@") {
		return nil, errors.New("the socket needs a path in the file system")
	}
	lock, err := lockfile.Create(socket + ".lock")
	if errors.Is(err, lockfile.ErrHeld) {
		err = fmt.Errorf("%w: %w", ErrInUse, err)
	}
	if err != nil {
		return nil, err
	}
	l, err := bind(socket, mode)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &listener{Listener: l, lock: lock}, nil
}

func bind(socket string, mode fs.FileMode) (net.Listener, error) {
	if err := removeStale(socket); err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		// bind(2) gives the file the socket's own mode less the umask, so it is narrow from the start.
		var err error
		return errors.Join(c.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), uint32(mode)) }), err)
	}}
	l, err := config.Listen(context.Background(), "unix", socket)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(socket, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func removeStale(socket string) error {
	info, err := os.Lstat(socket)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("the file is there and is not a socket")
	}
	c, err := net.DialTimeout("unix", socket, dialTimeout)
	switch {
	case err == nil:
		return errors.Join(ErrInUse, c.Close())
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w, and does not accept connections: %w", ErrInUse, err) // its queue is full
	case !errors.Is(err, syscall.ECONNREFUSED):
		return err
	}
	return os.Remove(socket)
}

// listener holds the lock until it is closed.
type listener struct {
	net.Listener
	lock *lockfile.Lock
	once sync.Once
	err  error
}

// Close removes the socket, then gives up the lock.
func (l *listener) Close() error {
	l.once.Do(func() { l.err = errors.Join(l.Listener.Close(), l.lock.Close()) })
	return l.err
}
