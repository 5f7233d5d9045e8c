// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/control"
	"github.com/lockstep-time/lockstep/status/statustest"
)

// against returns a client whose requests answer gets, in simulated time. What answer sends may go nowhere; the connection
// stays open when it returns.
func against(t *testing.T, answer func(c net.Conn)) *control.Client {
	t.Helper()
	client := control.NewClient("/run/test.sock")
	var answers sync.WaitGroup
	t.Cleanup(answers.Wait)
	client.SetDial(func() (net.Conn, error) {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { theirs.Close() })
		answers.Go(func() {
			if _, err := http.ReadRequest(bufio.NewReader(theirs)); err == nil {
				answer(theirs)
			}
		})
		return ours, nil
	})
	t.Cleanup(client.Close)
	return client
}

// silent checks that the error names the socket, and came after the time given.
func silent(t *testing.T, err error, begin time.Time, want time.Duration) {
	t.Helper()
	if after := time.Since(begin); !errors.Is(err, control.ErrNoAnswer) || !strings.Contains(err.Error(), "/run/test.sock") ||
		after != want {
		t.Errorf("got %v after %v, want ErrNoAnswer with the socket after %v", err, after, want)
	}
}

// A daemon that hangs, or a stranger that sends on and on, is given up.
func TestClientGivesUp(t *testing.T) {
	for name, answer := range map[string]func(net.Conn){
		"no answer":     func(net.Conn) {},
		"half a header": func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Le") },
		"half a body":   func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{") },
		"half an error": func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\n{") },
		"slow body": func(c net.Conn) {
			_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
			for err == nil {
				time.Sleep(time.Second)
				_, err = io.WriteString(c, "1")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, begin := against(t, answer), time.Now()
				_, err := client.Status(t.Context())
				silent(t, err, begin, control.AnswerTimeout)
				begin = time.Now()
				silent(t, client.Resume(t.Context()), begin, control.AnswerTimeout)
			})
		})
	}
}

// The caller's own deadline is told as such.
func TestClientWithDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := against(t, func(net.Conn) {}).Status(ctx); !errors.Is(err, context.DeadlineExceeded) ||
			errors.Is(err, control.ErrNoAnswer) {
			t.Errorf("got %v", err)
		}
	})
}

// A watch ends when it hears nothing for a while, or no whole document; spaces and blank lines are signs of life.
func TestWatchGivesUp(t *testing.T) {
	document, err := json.Marshal(statustest.Locked())
	if err != nil {
		t.Fatal(err)
	}
	const header = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n"
	send := func(c net.Conn, parts ...string) {
		for _, part := range parts {
			time.Sleep(10 * time.Second)
			if _, err := io.WriteString(c, part); err != nil {
				return
			}
		}
	}
	line := string(document) + "\n"
	for name, c := range map[string]struct {
		parts []string // one per 10 s
		lines int
		last  time.Duration // when the last part came from which the silence counts
	}{
		"no header":       {nil, 0, 0},
		"header":          {[]string{header}, 0, 0},
		"lines":           {[]string{header + line, line, line}, 3, 30 * time.Second},
		"spaces":          {[]string{header + " ", " ", "\n", " ", " " + line, " "}, 1, 60 * time.Second},
		"slow document":   {[]string{header + line, " {", "  ", "\"", "S"}, 1, 20 * time.Second},
		"parts of a line": {[]string{header + line[:9], line[9:], " "}, 1, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, begin, lines := against(t, func(conn net.Conn) { send(conn, c.parts...) }), time.Now(), 0
				for s, err := range client.Watch(t.Context(), 0) {
					if err == nil && s.State == status.Locked {
						lines++
						continue
					}
					silent(t, err, begin, c.last+control.SilentTimeout)
				}
				if lines != c.lines {
					t.Errorf("%d lines, want %d", lines, c.lines)
				}
			})
		})
	}
}

// A caller that takes its time with a line does not make the daemon silent.
func TestSlowCallerOfWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := control.NewServer(show(statustest.Locked()), nil, quiet)
		client, _ := through(t, server)
		var lines []time.Duration
		begin := time.Now()
		for s, err := range client.Watch(t.Context(), 0) {
			if err != nil {
				// The server cannot send its spaces, and ends the watch.
				if errors.Is(err, control.ErrNoAnswer) {
					t.Error(err)
				}
				break
			}
			if s.State == status.Locked {
				lines = append(lines, time.Since(begin))
				time.Sleep(time.Minute)
			}
		}
		if !slices.Equal(lines, []time.Duration{0}) {
			t.Errorf("lines after %v", lines)
		}
	})
}

// pipes is a listener for connections within the process, which exist in simulated time.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "/run/test.sock", Net: "unix"} }
func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// through returns a client of the server, which serves until stop is called or the test ends.
func through(t *testing.T, server *control.Server) (client *control.Client, stop func()) {
	t.Helper()
	l := &pipes{make(chan net.Conn), make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
	client = control.NewClient("/run/test.sock")
	client.SetDial(func() (net.Conn, error) {
		ours, theirs := net.Pipe()
		l.conns <- theirs
		return ours, nil
	})
	t.Cleanup(func() {
		client.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return client, cancel
}

// A daemon that has nothing to say is not taken for one that hangs, and its end is told as such.
func TestQuietWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(daemon)
		client, _ := through(t, d.server())
		begin := time.Now()
		time.AfterFunc(10*time.Minute, d.update(1))
		time.AfterFunc(20*time.Minute, d.holdover)
		var got []string
		for s, err := range client.Watch(t.Context(), 0) {
			if err != nil {
				t.Fatalf("%v after %v", err, time.Since(begin))
			}
			got = append(got, fmt.Sprint(s.State, " ", time.Since(begin).Truncate(time.Second)))
			if s.State == status.Holdover {
				break
			}
		}
		if want := []string{"locked 10m0s", "holdover 20m0s"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// The end of a daemon that was quiet for long is told to its watchers as an end, not as a failure.
func TestEndOfQuietWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, stop := through(t, control.NewServer(show(statustest.Locked()), nil, quiet))
		time.AfterFunc(time.Minute+time.Second, stop)
		var last error
		for _, err := range client.Watch(t.Context(), 0) {
			last = err
		}
		if !errors.Is(last, io.EOF) {
			t.Errorf("got %v, want EOF", last)
		}
	})
}

// What is not an answer of this protocol is told as what it says, and a redirection is not followed.
func TestStrangers(t *testing.T) {
	for name, c := range map[string]struct{ answer, says string }{
		"status line": {"HTTP/1.1 418 I am a teapot\r\nContent-Length: 0\r\n\r\n", "418 I am a teapot"},
		"redirection": {"HTTP/1.1 302 Elsewhere\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", "302 Elsewhere"},
		"error":       {"HTTP/1.1 500 X\r\nContent-Length: 15\r\n\r\n{\"error\":\"why\"}", ": why"},
		"closed":      {"", "closed before it answered"},
		"cut off":     {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "unexpected EOF"},
		"no status":   {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "read the status"},
	} {
		t.Run(name, func(t *testing.T) {
			client := against(t, func(conn net.Conn) {
				_, _ = io.WriteString(conn, c.answer)
				conn.Close()
			})
			if _, err := client.Status(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) ||
				!strings.Contains(err.Error(), "/run/test.sock") {
				t.Errorf("got %v, want the socket and %q", err, c.says)
			}
		})
	}
}

// fullSocket makes a socket that accepts nothing and takes no further connection.
func fullSocket(t *testing.T) string {
	t.Helper()
	path := socket(t)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		c, err := net.Dial("unix", path)
		if errors.Is(err, unix.EAGAIN) {
			return path
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the queue does not get full")
	return ""
}

// A daemon that accepts no connections any more is given up, and its socket is not replaced.
func TestFullQueue(t *testing.T) {
	path := fullSocket(t)
	client := control.NewClient(path)
	defer client.Close()
	client.SetDialTimeout(50 * time.Millisecond)
	for range 2 {
		if _, err := client.Status(t.Context()); !errors.Is(err, control.ErrNoAnswer) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want ErrNoAnswer with the path", err)
		}
	}
	if _, err := control.Listen(path, 0o600); !errors.Is(err, control.ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
}
