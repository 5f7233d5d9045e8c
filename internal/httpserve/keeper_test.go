// SPDX-License-Identifier: Apache-2.0

package httpserve

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// line is a connection without an other end. It tells when it is closed.
type line struct {
	net.Conn
	name   string
	closed *[]string
}

func (l *line) Close() error { *l.closed = append(*l.closed, l.name); return nil }

// queue is a listener with connections that have come already.
type queue struct {
	net.Listener
	lines []*line
}

func (q *queue) Accept() (net.Conn, error) {
	if len(q.lines) == 0 {
		return nil, net.ErrClosed
	}
	next := q.lines[0]
	q.lines = q.lines[1:]
	return next, nil
}

// TestKeeper plays scripts on a keeper of 6 connections. A word of a script is a connection: a letter for its peer and a
// number. +a1 comes, !a1 gets a request, .a1 has answered it, -a1 is closed by the server.
func TestKeeper(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		closed string // in that order
	}{
		"all have room":            {"+a1 +a2 +a3 +b1 +b2 +b3", ""},
		"places are given up":      {"+a1 +a2 +a3 -a1 -a2 +a4 +a5 +b1 +b2 +b3", ""},
		"own longest idle":         {"+a1 +a2 +a3 +a4 +a5", "a1 a2"},
		"own longest idle, asked":  {"+a1 +a2 +a3 !a1 .a1 +a4", "a2"},
		"own that is not busy":     {"+a1 +a2 +a3 !a1 !a2 +a4", "a3"},
		"own are all busy":         {"+a1 +a2 +a3 !a1 !a2 !a3 +a4 +b1", "a4"},
		"not others' idle":         {"+b1 +a1 +a2 +a3 !a1 !a2 !a3 +a4", "a4"},
		"idle of the most":         {"+b1 +a1 +a2 +a3 +c1 +c2 +d1", "a1"},
		"longest idle of equals":   {"+b1 +b2 +a1 +a2 +c1 +c2 +d1", "b1"},
		"many with one each":       {"+a1 +b1 +c1 +d1 +e1 +f1 +g1", "a1"},
		"own beside many":          {"+a1 +b1 +c1 +d1 +e1 +f1 +f2", "f1"},
		"idle of fewer is left":    {"+b1 +a1 +a2 +a3 +c1 +c2 !a1 !a2 !a3 !c1 !c2 +c3", "c3"},
		"idle of as few":           {"+a1 +a2 +a3 +c1 +c2 +b1 !a1 !a2 !a3 !c1 !c2 +d1", "b1"},
		"longest busy of the most": {"+a1 +a2 +a3 +b1 +b2 +b3 !b2 !a2 !a1 !a3 !b1 !b3 +c1", "b2"},
		"and again":                {"+a1 +a2 +a3 +b1 +b2 +b3 !b2 !a2 !a1 !a3 !b1 !b3 +c1 !c1 +c2 !c2", "b2 a2"},
		"until it is fair":         {"+a1 +a2 +b1 +b2 +c1 +c2 !a1 !a2 !b1 !b2 !c1 !c2 +d1 !d1 +d2", "a1 d2"},
		"all busy with one each":   {"+a1 +b1 +c1 +d1 +e1 +f1 !a1 !b1 !c1 !d1 !e1 !f1 +g1", "g1"},
	} {
		t.Run(name, func(t *testing.T) {
			var closed []string
			q := new(queue)
			k := newKeeper(q, 6)
			k.peer = func(c net.Conn) Peer { return Peer(c.(*line).name[:1]) }
			accepted := make(map[string]*conn)
			for _, word := range strings.Fields(c.script) {
				switch name := word[1:]; word[0] {
				case '+':
					q.lines = append(q.lines, &line{name: name, closed: &closed})
					got, err := k.Accept()
					if err == nil {
						accepted[name] = got.(*conn)
					} else if !errors.Is(err, net.ErrClosed) || !slices.Contains(closed, name) {
						t.Fatalf("%s: %v", word, err)
					}
				case '!':
					if kept := k.setBusy(accepted[name], true); kept == slices.Contains(closed, name) {
						t.Errorf("%s: kept is %v after %v were closed", word, kept, closed)
					}
				case '.':
					k.setBusy(accepted[name], false)
				case '-':
					before := slices.Clone(closed)
					if err := accepted[name].Close(); err != nil {
						t.Error(err)
					}
					closed = before // it was not the keeper's doing
				}
				if len(k.open) > 6 {
					t.Fatalf("%s: %d connections are open", word, len(k.open))
				}
			}
			if got := strings.Join(closed, " "); got != c.closed {
				t.Errorf("closed %q, want %q", got, c.closed)
			}
		})
	}
}

// A request on a connection that has lost its place is not carried out.
func TestBusyTooLate(t *testing.T) {
	var closed []string
	q := &queue{lines: []*line{{name: "a1", closed: &closed}, {name: "a2", closed: &closed}}}
	k := newKeeper(q, 1)
	k.peer = func(net.Conn) Peer { return "a" }
	first, err := k.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Accept(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(closed, []string{"a1"}) {
		t.Errorf("closed are %v", closed)
	}
	defer func() {
		got := recover()
		if err, _ := got.(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("the handler ended with %v", got)
		}
	}()
	h := k.handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was carried out") }))
	h.ServeHTTP(nil, httptest.NewRequestWithContext(k.connContext(nil)(t.Context(), first), "POST", "/", nil))
}

func TestNetwork(t *testing.T) {
	for address, want := range map[string]Peer{
		"192.0.2.7:1":              "192.0.2.7",
		"[::ffff:192.0.2.7]:1":     "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64",
		"[2001:db8:1:2:f::]:2":     "2001:db8:1:2::/64",
		"[2001:db8:1:3::]:1":       "2001:db8:1:3::/64",
		"[fe80::1%1]:1":            "fe80::/64",
	} {
		addr, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if got := network(addr); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}
