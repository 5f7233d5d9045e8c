// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/control"
	"github.com/lockstep-time/lockstep/status/statustest"
	"github.com/lockstep-time/lockstep/status/text"
)

// script records what a view is told, and calls a function after each.
type script struct {
	told []string
	next func(n int)
}

func (v *script) tell(what string) error {
	v.told = append(v.told, what)
	v.next(len(v.told))
	return nil
}

func (v *script) begin() error                  { return v.tell("begin") }
func (v *script) show(s *status.Snapshot) error { return v.tell(string(s.State)) }
func (v *script) lost(err error) error {
	if errors.Is(err, io.EOF) {
		return v.tell("lost")
	}
	return nil
}
func (v *script) end() error { return v.tell("end") }

// A watch survives the daemon's restart, and ends cleanly with its context.
func TestWatchGoesOn(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	d := start(t, socket, statustest.Locked(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	v := &script{next: func(n int) {
		switch n {
		case 2:
			d.now.Store(statustest.Holdover())
		case 3:
			d.stop()
		case 4:
			start(t, socket, statustest.Panicked(), nil)
		case 5:
			cancel()
		}
	}}
	client := control.NewClient(socket)
	defer client.Close()
	if err := watch(ctx, client, time.Second, v); err != nil {
		t.Error(err)
	}
	if got, want := strings.Join(v.told, " "), "begin locked holdover lost panic end"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLineView(t *testing.T) {
	var out bytes.Buffer
	v := &lineView{out: &out}
	first, second := statustest.Locked(), statustest.Locked()
	second.Events = append(second.Events, status.PastEvent{Number: 5, Time: second.Time, Text: "leap second armed"})
	gone := errors.New("the daemon is gone")
	for _, err := range []error{v.show(first), v.show(first), v.lost(gone), v.lost(gone), v.show(second)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	line := text.Line(first) + "\n"
	want := line + line + "the daemon is gone\n" + "2026-03-14T15:09:26.535Z * leap second armed\n" + line
	if out.String() != want {
		t.Errorf("got:\n%swant:\n%s", &out, want)
	}
}

// Events that were seen are no news, whatever their times say: they move as the clock is set. After a restart all are.
func TestNews(t *testing.T) {
	// "3a" is event 3 of the kind a
	events := func(at int64, names ...string) (all []status.PastEvent) {
		for _, name := range names {
			all = append(all, status.PastEvent{Number: uint64(name[0] - '0'), Kind: name[1:], Text: name, Time: time.Unix(at, 0)})
		}
		return all
	}
	for _, c := range []struct {
		old, now []status.PastEvent
		want     string
	}{
		{events(100, "1a", "2b"), events(101, "1a", "2b"), ""},
		{events(100, "1a", "2b"), events(50, "1a", "2b", "3c"), "3c"},
		{events(100, "1a", "2b", "3c"), events(101, "2b", "3c", "4d", "5c"), "4d 5c"},
		{events(100, "1a", "2a"), events(101, "1a", "2a", "3a"), "3a"},
		{events(100, "1a", "2b"), events(101, "8c", "9d"), "8c 9d"},
		{events(100, "7a", "8b"), events(101, "1a", "2b"), "1a 2b"},
		{events(100, "1a", "2b"), events(101, "1a", "2c", "3d"), "1a 2c 3d"},
		{nil, events(100, "1a"), "1a"},
		{events(100, "1a"), nil, ""},
	} {
		var seen status.PastEvent
		if n := len(c.old); n > 0 {
			seen = c.old[n-1]
		}
		var got []string
		for _, e := range news(seen, c.now) {
			got = append(got, e.Text)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("from %v to %v: got %q, want %q", c.old, c.now, got, c.want)
		}
	}
}

func TestJSONView(t *testing.T) {
	var out bytes.Buffer
	v := &jsonView{&app{}, json.NewEncoder(&out)}
	if err := errors.Join(v.show(statustest.Locked()), v.show(statustest.Starting())); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines for 2 snapshots", n)
	}
}

func TestScreenView(t *testing.T) {
	var out bytes.Buffer
	v := &screenView{terminal: &terminal{out: &out, rows: func() int { return 5 }}, out: &out}
	s := statustest.Locked()
	if err := errors.Join(v.begin(), v.show(s)); err != nil {
		t.Fatal(err)
	}
	drawn := out.String()[strings.LastIndex(out.String(), "\x1b[H"):]
	if n := strings.Count(drawn, "\n"); n != 4 || !strings.Contains(drawn, "more lines") ||
		strings.Contains(drawn, "ntp:192.0.2.3") {
		t.Errorf("drawn on 5 rows: %q", drawn)
	}
	out.Reset()
	if err := errors.Join(v.lost(control.ErrNotRunning), v.end()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), control.ErrNotRunning.Error()) ||
		!strings.HasSuffix(out.String(), "\x1b[?1049l"+text.Status(s, text.Style{})) {
		t.Errorf("at the end: %q", out.String())
	}
}
