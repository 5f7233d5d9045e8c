// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/internal/httpserve"
)

var errUnread = errors.New("the client does not read")

// reading tells whether a client takes what it is sent. A write that is not taken would tell as well, but the kernel
// takes some 200 kB for the client before one waits.
type reading struct {
	patience time.Duration
	unread   func() int // in the kernel's measure, which counts a message whole until all of it is read
	left     int        // at the last look
	since    time.Time  // when the client was last seen to read, or had nothing to read
}

// newReading begins to watch the client of the request with this context.
func newReading(ctx context.Context, patience time.Duration) *reading {
	return &reading{patience: patience, unread: unreadOf(ctx), since: time.Now()}
}

// sent is to be called after something was sent.
func (r *reading) sent() { r.left = r.unread() }

// check fails when the client has read nothing for longer than patience though there is something.
func (r *reading) check() error {
	left := r.unread()
	if left == 0 || left < r.left {
		r.since = time.Now()
	}
	r.left = left
	if time.Since(r.since) > r.patience {
		return errUnread
	}
	return nil
}

// unreadOf returns what tells how much of what was sent on the connection of the request is unread. That is always 0 where
// the kernel does not say.
func unreadOf(ctx context.Context) func() int {
	nothing := func() int { return 0 }
	c, ok := httpserve.Conn(ctx).(syscall.Conn)
	if !ok {
		return nothing
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nothing
	}
	return func() int {
		var n int
		var err error
		failed := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		if failed != nil || err != nil {
			return 0 // the connection is closed, which the next write tells
		}
		return n
	}
}
