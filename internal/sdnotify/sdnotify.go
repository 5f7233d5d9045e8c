// SPDX-License-Identifier: Apache-2.0

// Package sdnotify tells the service manager how the daemon is, by the protocol of sd_notify(3): datagrams of
// VARIABLE=value lines to the socket that the environment names in NOTIFY_SOCKET.
package sdnotify

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/lockstep-time/lockstep/clock"
)

const (
	// sendTimeout bounds how long a service manager that does not read may hold up the caller.
	sendTimeout = 2 * time.Second
	// maxStatus bounds the text of a status, in bytes.
	maxStatus = 512
)

// ErrAddress: the address is neither a path nor an abstract name.
var ErrAddress = errors.New("neither an absolute path nor an @abstract name")

// Notifier sends notifications. Its methods may be called from any goroutine, and wait for 2 s at most: call them from
// the edge of the daemon, not from the event loop. A nil Notifier sends nothing and never fails.
type Notifier struct {
	conn *net.UnixConn
}

// Open returns a Notifier for the address in NOTIFY_SOCKET: an absolute path, or an abstract name written with a leading
// "@". An empty address means that no service manager listens, and returns nil.
func Open(address string) (*Notifier, error) {
	if address == "" {
		return nil, nil
	}
	if address[0] != '/' && (address[0] != '@' || len(address) == 1) {
		return nil, fmt.Errorf("notify socket %q: %w", address, ErrAddress)
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("notify socket %q: %w", address, err)
	}
	return &Notifier{conn}, nil
}

// Close closes the socket.
func (n *Notifier) Close() error {
	if n == nil {
		return nil
	}
	return n.conn.Close()
}

// Ready says that the start, or a reload, is complete.
func (n *Notifier) Ready() error { return n.send("READY=1") }

// Reloading says that a reload has begun, at the instant now of CLOCK_MONOTONIC. Ready ends it.
func (n *Notifier) Reloading(now clock.Mono) error {
	usec := int64(now) / int64(time.Microsecond)
	return n.send("RELOADING=1\nMONOTONIC_USEC=" + strconv.FormatInt(usec, 10))
}

// Stopping says that the daemon has begun to shut down.
func (n *Notifier) Stopping() error { return n.send("STOPPING=1") }

// Watchdog says that the daemon is alive; to be called at least once per WatchdogInterval.
func (n *Notifier) Watchdog() error { return n.send("WATCHDOG=1") }

// Status gives one line for people. Characters that do not print become blanks; what exceeds 512 bytes is cut off.
func (n *Notifier) Status(text string) error {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	if len(text) > maxStatus {
		text = strings.ToValidUTF8(text[:maxStatus], "")
	}
	return n.send("STATUS=" + text)
}

func (n *Notifier) send(state string) error {
	if n == nil {
		return nil
	}
	if err := n.conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return fmt.Errorf("notify service manager: %w", err)
	}
	if _, err := n.conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("notify service manager: %w", err)
	}
	return nil
}

// WatchdogInterval returns how often Watchdog has to be called at least, given the values of WATCHDOG_USEC and
// WATCHDOG_PID in the environment and this process's ID: see sd_watchdog_enabled(3). It is half of the time after which
// the service manager acts, and 0 where no watchdog waits for this process.
func WatchdogInterval(usec, pid string, self int) (time.Duration, error) {
	if usec == "" {
		return 0, nil
	}
	if pid != "" {
		id, err := strconv.Atoi(pid)
		if err != nil {
			return 0, fmt.Errorf("WATCHDOG_PID: %w", err)
		}
		if id != self {
			return 0, nil
		}
	}
	limit, err := strconv.ParseInt(usec, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("WATCHDOG_USEC: %w", err)
	}
	if limit <= 0 || limit > int64((1<<63-1)/time.Microsecond) {
		return 0, fmt.Errorf("WATCHDOG_USEC: %d is no time-out", limit)
	}
	return time.Duration(limit) * time.Microsecond / 2, nil
}
