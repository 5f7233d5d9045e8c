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
	second.Events = append(second.Events, status.Event{Time: second.Time, Text: "leap second armed"})
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

// The clock is set and slewed, so the times of events move; those of before are no news.
func TestNews(t *testing.T) {
	events := func(at int64, texts ...string) (all []status.Event) {
		for _, text := range texts {
			all = append(all, status.Event{Time: time.Unix(at, 0), Text: text})
		}
		return all
	}
	for _, c := range []struct {
		old, now []status.Event
		want     string
	}{
		{events(100, "a", "b"), events(101, "a", "b"), ""},
		{events(100, "a", "b"), events(50, "a", "b", "c"), "c"},
		{events(100, "a", "b", "c"), events(101, "b", "c", "d", "c"), "d c"},
		{events(100, "a", "a"), events(101, "a", "a", "a"), "a"},
		{events(100, "a", "b"), events(101, "c", "d"), "c d"},
		{nil, events(100, "a"), "a"},
		{events(100, "a"), nil, ""},
	} {
		var got []string
		for _, e := range news(c.old, c.now) {
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
	if n := strings.Count(drawn, "\n"); n != 4 || !strings.Contains(drawn, "more lines") || strings.Contains(drawn, "ntp:192.0.2.3") {
		t.Errorf("drawn on 5 rows: %q", drawn)
	}
	out.Reset()
	if err := errors.Join(v.lost(control.ErrNotRunning), v.end()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), control.ErrNotRunning.Error()) || !strings.HasSuffix(out.String(), "\x1b[?1049l"+text.Status(s, text.Style{})) {
		t.Errorf("at the end: %q", out.String())
	}
}
