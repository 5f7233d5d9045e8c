// SPDX-License-Identifier: Apache-2.0

package httpserve_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lockstep-time/lockstep/internal/httpserve"
)

// patience is how long a test waits for what should come at once. It is that long so that only a failure meets it.
const patience = 20 * time.Second

// start serves a handler without any deadline until the test ends.
func start(t *testing.T, l net.Listener, connections int, handler http.HandlerFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- httpserve.Run(ctx, "test", &http.Server{Handler: handler}, l, connections) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// dial connects, from a local address unless that is empty.
func dial(t *testing.T, to net.Addr, from string) net.Conn {
	t.Helper()
	var dialer net.Dialer
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	c, err := dialer.Dial(to.Network(), to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func ask(t *testing.T, c net.Conn, path string) {
	t.Helper()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
}

// answered reads an answer, which has to come.
func answered(t *testing.T, c net.Conn) string {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// closed waits for the other end to close the connection without an answer.
func closed(t *testing.T, c net.Conn) {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	if n != 0 || os.IsTimeout(err) {
		t.Errorf("read %d bytes and %v, want the end", n, err)
	}
}

func peer(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, httpserve.PeerOf(r.Context())) }

// Connections on which nothing happens, or that stop amid a request, are closed for those that ask.
func TestIdleConnectionsLockNobodyOut(t *testing.T) {
	for name, sent := range map[string]string{"silent": "", "one byte": "G", "half a header": "GET / HTTP/1.1\r\nHost: x\r\n"} {
		t.Run(name, func(t *testing.T) {
			for _, l := range []net.Listener{
				listen(t, "unix", filepath.Join(t.TempDir(), "s")),
				listen(t, "tcp", "127.0.0.1:0"),
			} {
				const limit = 8
				start(t, l, limit, peer)
				for range 2 * limit {
					if _, err := io.WriteString(dial(t, l.Addr(), ""), sent); err != nil {
						t.Log(err) // closed already
					}
				}
				want := "127.0.0.1"
				if l.Addr().Network() == "unix" {
					want = fmt.Sprintf("uid %d", os.Getuid())
				}
				c := dial(t, l.Addr(), "")
				for range 2 { // it stays open
					ask(t, c, "/")
					if got := answered(t, c); got != want {
						t.Errorf("peer %q, want %q", got, want)
					}
				}
			}
		})
	}
}

// A peer whose connections are all busy is refused more than its share, and another is not.
func TestShare(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	began, end := make(chan struct{}), make(chan struct{})
	start(t, l, 8, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			began <- struct{}{}
			<-end
		}
		peer(w, r)
	})
	var busy []net.Conn
	for range 4 {
		c := dial(t, l.Addr(), "127.0.0.2")
		ask(t, c, "/wait")
		<-began
		busy = append(busy, c)
	}
	closed(t, dial(t, l.Addr(), "127.0.0.2"))
	other := dial(t, l.Addr(), "127.0.0.3")
	ask(t, other, "/")
	if got := answered(t, other); got != "127.0.0.3" {
		t.Errorf("the other is %q", got)
	}
	close(end)
	for _, c := range busy {
		if got := answered(t, c); got != "127.0.0.2" {
			t.Errorf("a busy one is %q", got)
		}
	}
}

// When every connection is busy, the first of a peer that has none ends the longest of those that have most, and cancels
// its request.
func TestBusyConnectionsLockNobodyOut(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	began, ended := make(chan struct{}), make(chan string, 4)
	start(t, l, 4, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			began <- struct{}{}
			<-r.Context().Done()
			ended <- r.URL.Path
		}
		peer(w, r)
	})
	var first net.Conn
	for i, from := range []string{"127.0.0.3", "127.0.0.2", "127.0.0.2", "127.0.0.3"} {
		c := dial(t, l.Addr(), from)
		ask(t, c, fmt.Sprintf("/%d", i))
		<-began
		if i == 0 {
			first = c
		}
	}
	c := dial(t, l.Addr(), "127.0.0.4")
	ask(t, c, "/")
	if got := answered(t, c); got != "127.0.0.4" {
		t.Errorf("the newcomer is %q", got)
	}
	if got := <-ended; got != "/0" {
		t.Errorf("%s was ended, want /0", got)
	}
	closed(t, first)
}

// The server's own ConnContext is asked as well, and without Run nothing is known.
func TestContext(t *testing.T) {
	type mine struct{}
	l := listen(t, "tcp", "127.0.0.1:0")
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context { return context.WithValue(ctx, mine{}, "mine") },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Context().Value(mine{}), " ", httpserve.Conn(r.Context()).LocalAddr())
		}),
	}
	done := make(chan error, 1)
	go func() { done <- httpserve.Run(ctx, "test", server, l, 1) }()
	c := dial(t, l.Addr(), "")
	ask(t, c, "/")
	if got, want := answered(t, c), "mine "+l.Addr().String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if p, c := httpserve.PeerOf(context.Background()), httpserve.Conn(context.Background()); p != "" || c != nil {
		t.Errorf("without Run: %q, %v", p, c)
	}
}

// Nothing is left of many connections that push each other out.
func TestCrowd(t *testing.T) {
	defer goleak.VerifyNone(t)
	l := listen(t, "unix", filepath.Join(t.TempDir(), "s"))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- httpserve.Run(ctx, "test", &http.Server{Handler: http.HandlerFunc(peer)}, l, 4) }()
	workers := make(chan struct{})
	for range 8 {
		go func() {
			defer func() { workers <- struct{}{} }()
			for range 100 {
				c, err := net.Dial("unix", l.Addr().String())
				if err != nil {
					continue // the queue is full
				}
				_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") // which may be too late
				_ = c.SetReadDeadline(time.Now().Add(patience))
				if _, err := c.Read(make([]byte, 1)); os.IsTimeout(err) {
					t.Error("neither answered nor closed")
				}
				c.Close()
			}
		}()
	}
	for range 8 {
		<-workers
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
