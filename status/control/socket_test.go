// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/control"
	"github.com/lockstep-time/lockstep/status/statustest"
)

func socket(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "s")
}

func listen(t *testing.T, path string, mode fs.FileMode) net.Listener {
	t.Helper()
	l, err := control.Listen(path, mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// serve runs a server on the socket; stop ends it.
func serve(t *testing.T, path string, snapshot func() *status.Snapshot, resume func(context.Context) error) (stop func()) {
	t.Helper()
	l := listen(t, path, 0o600)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- control.NewServer(snapshot, resume, quiet).Serve(ctx, l) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestListenMode(t *testing.T) {
	for _, mode := range []fs.FileMode{0o600, 0o660, 0o666} {
		path := socket(t)
		listen(t, path, mode)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != fs.ModeSocket|mode {
			t.Errorf("mode %v, want %v", info.Mode(), mode)
		}
	}
}

func TestListenReplacesStaleSocket(t *testing.T) {
	path := socket(t)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("the stale socket is not there: %v", err)
	}
	listen(t, path, 0o600)
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestListenStealsNothing(t *testing.T) {
	t.Run("daemon", func(t *testing.T) {
		path := socket(t)
		l := listen(t, path, 0o600)
		if _, err := control.Listen(path, 0o600); !errors.Is(err, control.ErrInUse) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want ErrInUse with the path", err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket is still there after Close: %v", err)
		}
		listen(t, path, 0o600)
	})
	t.Run("other program", func(t *testing.T) {
		path := socket(t)
		other, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		for range 2 {
			if _, err := control.Listen(path, 0o600); !errors.Is(err, control.ErrInUse) {
				t.Errorf("got %v, want ErrInUse", err)
			}
		}
	})
	t.Run("file", func(t *testing.T) {
		path := socket(t)
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := control.Listen(path, 0o600); err == nil {
			t.Error("a file was replaced")
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
			t.Errorf("the file has %q, %v", b, err)
		}
	})
}

func TestListenFails(t *testing.T) {
	for _, path := range []string{"", "@abstract", filepath.Join(t.TempDir(), "absent", "s"),
		filepath.Join(t.TempDir(), strings.Repeat("x", 108))} {
		if l, err := control.Listen(path, 0o600); err == nil {
			l.Close()
			t.Errorf("Listen(%q) succeeded", path)
		}
	}
}

func TestClient(t *testing.T) {
	defer goleak.VerifyNone(t)
	path, want := socket(t), statustest.Locked()
	calls := 0
	stop := serve(t, path, show(want), func(context.Context) error { calls++; return nil })
	client := control.NewClient(path)
	got, err := client.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("status (-want +got):\n%s", d)
	}
	for s, err := range client.Watch(context.Background(), time.Second) {
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, s); d != "" {
			t.Errorf("watch (-want +got):\n%s", d)
		}
		break
	}
	if err := client.Resume(context.Background()); err != nil || calls != 1 {
		t.Errorf("resume: %v after %d calls", err, calls)
	}
	client.Close()
	stop()
}

func TestClientErrors(t *testing.T) {
	path := socket(t)
	client := control.NewClient(path)
	defer client.Close()
	check := func(err, want error, says string) {
		t.Helper()
		if !errors.Is(err, want) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %v with %s and %q", err, want, path, says)
		}
	}
	_, err := client.Status(context.Background())
	check(err, control.ErrNotRunning, "systemctl start")
	stop := serve(t, path, show(nil), nil)
	_, err = client.Status(context.Background())
	check(err, control.ErrNotReady, "nothing to show yet")
	check(client.Resume(context.Background()), control.ErrReadOnly, "read-only")
	stop()
	check(client.Resume(context.Background()), control.ErrNotRunning, "--socket")
}

func TestClientWithoutPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may connect to any socket")
	}
	path := socket(t)
	listen(t, path, 0)
	client := control.NewClient(path)
	_, err := client.Status(context.Background())
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "group") {
		t.Errorf("got %v, want a permission error with the path", err)
	}
}

// The end of the daemon ends its watchers at once, and says so.
func TestShutdownEndsWatches(t *testing.T) {
	defer goleak.VerifyNone(t)
	path := socket(t)
	stop := serve(t, path, show(statustest.Locked()), nil)
	client := control.NewClient(path)
	count := 0
	for s, err := range client.Watch(context.Background(), 0) {
		count++
		switch {
		case count == 1 && s != nil:
			stop()
		case count != 2 || !errors.Is(err, io.EOF):
			t.Fatalf("element %d: %v, %v", count, s, err)
		}
	}
	if count != 2 {
		t.Errorf("%d elements", count)
	}
	client.Close()
}

// As many connections as there may be, on which nothing is asked, do not keep a client out.
func TestIdleConnections(t *testing.T) {
	for name, sent := range map[string]string{"silent": "", "one byte": "G", "half a header": "GET /v1/status HTTP/1.1\r\nHo"} {
		t.Run(name, func(t *testing.T) {
			path := socket(t)
			defer serve(t, path, show(statustest.Locked()), nil)()
			for range control.MaxConnections {
				c, err := net.Dial("unix", path)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				_, _ = io.WriteString(c, sent) // it may be closed already
			}
			client := control.NewClient(path)
			defer client.Close()
			// Less than the time after which a silent connection is closed anyway.
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			if _, err := client.Status(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// logged is a log that passes on the errors in it.
type logged struct {
	slog.Handler
	errors chan error
}

func (*logged) Enabled(context.Context, slog.Level) bool { return true }
func (l *logged) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			l.errors <- err
		}
		return true
	})
	return nil
}

// A watcher that reads nothing is dropped though the kernel would take much more for it.
func TestWatcherThatReadsNothing(t *testing.T) {
	path := socket(t)
	l := listen(t, path, 0o600)
	log := &logged{slog.DiscardHandler, make(chan error, 10)}
	server := control.NewServer(show(statustest.Locked()), nil, slog.New(log))
	server.SetPatience(50 * time.Millisecond)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /v1/watch?interval=0 HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-log.errors:
		if !errors.Is(err, control.ErrUnread) {
			t.Errorf("the watch ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the watch goes on")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Requests beyond the limits are refused before anything is done for them.
func TestLimitsOfTheServer(t *testing.T) {
	path := socket(t)
	defer serve(t, path, show(statustest.Locked()), nil)()
	for name, request := range map[string]string{
		"headers": "GET /v1/status HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n",
		"path":    "GET /" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		// The server may close while it is written to: what counts is the answer.
		_, _ = io.WriteString(c, request)
		b := make([]byte, 64)
		n, _ := c.Read(b)
		if got := string(b[:n]); !strings.HasPrefix(got, "HTTP/1.1 431 ") {
			t.Errorf("%s: %q, want 431", name, got)
		}
		c.Close()
	}
}

func TestServeFails(t *testing.T) {
	path := socket(t)
	l := listen(t, path, 0o600)
	l.Close()
	err := control.NewServer(show(nil), nil, quiet).Serve(context.Background(), l)
	if !errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want closed with the path", err)
	}
}
