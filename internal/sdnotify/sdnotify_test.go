// SPDX-License-Identifier: Apache-2.0

package sdnotify_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/internal/sdnotify"
)

// manager is the service manager's end of a notify socket.
func manager(t *testing.T, address string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func open(t *testing.T, address string) *sdnotify.Notifier {
	t.Helper()
	n, err := sdnotify.Open(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func receive(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	k, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:k])
}

func TestNotifications(t *testing.T) {
	addresses := map[string]string{
		"path":     filepath.Join(t.TempDir(), "notify"),
		"abstract": fmt.Sprintf("@lockstep-sdnotify-test-%d", os.Getpid()),
	}
	for name, address := range addresses {
		t.Run(name, func(t *testing.T) {
			m := manager(t, address)
			n := open(t, address)
			for _, c := range []struct {
				send func() error
				want string
			}{
				{n.Ready, "READY=1"},
				{n.Watchdog, "WATCHDOG=1"},
				{n.Stopping, "STOPPING=1"},
				{func() error { return n.Reloading(clock.Mono(1_234_567_890)) }, "RELOADING=1\nMONOTONIC_USEC=1234567"},
				{func() error { return n.Status("locked to ptp:eth0, ±1.2 µs") }, "STATUS=locked to ptp:eth0, ±1.2 µs"},
				{func() error { return n.Status("a\nREADY=1\x1b[2J") }, "STATUS=a READY=1 [2J"},
				{func() error { return n.Status(strings.Repeat("µ", 300)) }, "STATUS=" + strings.Repeat("µ", 256)},
				{func() error { return n.Status("x" + strings.Repeat("µ", 300)) }, "STATUS=x" + strings.Repeat("µ", 255)},
			} {
				err := c.send()
				for range 5 { // a process that is kept from running meets the deadline before it has written anything
					if errors.Is(err, os.ErrDeadlineExceeded) {
						err = c.send()
					}
				}
				if err != nil {
					t.Errorf("send %q: %v", c.want, err)
				} else if got := receive(t, m); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			}
		})
	}
}

func TestManagerThatDoesNotReadHoldsNobodyUp(t *testing.T) {
	address := filepath.Join(t.TempDir(), "notify")
	manager(t, address)
	n := open(t, address)
	// The kernel queues a few hundred datagrams at most.
	for range 1 << 16 {
		if err := n.Watchdog(); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v, want a deadline exceeded", err)
			}
			return
		}
	}
	t.Error("no send ever failed")
}

func TestWithoutManager(t *testing.T) {
	n := open(t, "")
	for _, err := range []error{n.Ready(), n.Watchdog(), n.Status("x"), n.Reloading(1), n.Stopping(), n.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestOpenFails(t *testing.T) {
	for _, address := range []string{"@", "relative", "vsock:2:1"} {
		if _, err := sdnotify.Open(address); !errors.Is(err, sdnotify.ErrAddress) {
			t.Errorf("Open(%q): got %v, want ErrAddress", address, err)
		}
	}
	if _, err := sdnotify.Open(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent socket: got %v, want not exist", err)
	}
}

func TestWatchdogInterval(t *testing.T) {
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
		fails     bool
	}{
		{"", "", 0, false},
		{"", "42", 0, false},
		{"30000000", "", 15 * time.Second, false},
		{"30000000", "42", 15 * time.Second, false},
		{"30000000", "43", 0, false},
		{"30000000", "x", 0, true},
		{"0", "", 0, true},
		{"-1", "", 0, true},
		{"1s", "42", 0, true},
		{"9223372036854775", "42", 9223372036854775 * time.Microsecond / 2, false},
		{"9223372036854776", "42", 0, true},
		{"99999999999999999999", "42", 0, true},
	} {
		got, err := sdnotify.WatchdogInterval(c.usec, c.pid, 42)
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("WatchdogInterval(%q, %q) = %v, %v; want %v, failure %v", c.usec, c.pid, got, err, c.want, c.fails)
		}
	}
}
