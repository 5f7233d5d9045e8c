// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/control"
	"github.com/lockstep-time/lockstep/status/statustest"
	"github.com/lockstep-time/lockstep/status/text"
)

// daemon serves a snapshot on a socket until the test ends, or stop is called.
type daemon struct {
	socket string
	now    atomic.Pointer[status.Snapshot]
	stop   func()
}

func start(t *testing.T, socket string, s *status.Snapshot, resume func(context.Context) error) *daemon {
	t.Helper()
	l, err := control.Listen(socket, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{socket: socket}
	d.now.Store(s)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- control.NewServer(d.now.Load, resume, slog.New(slog.DiscardHandler)).Serve(ctx, l)
		close(done)
	}()
	d.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(d.stop)
	return d
}

func run(ctx context.Context, a *app, args ...string) error {
	if a.getenv == nil {
		a.getenv = func(string) string { return "" }
	}
	return a.execute(ctx, args)
}

func TestShow(t *testing.T) {
	s := statustest.Locked()
	d := start(t, filepath.Join(t.TempDir(), "s"), s, nil)
	for name, c := range map[string]struct {
		screen string
		part   any
	}{
		"status":  {text.Status(s, text.Style{}), s},
		"sources": {text.Sources(s, text.Style{}), s.Sources},
		"clocks":  {text.Clocks(s, text.Style{}), s.Clocks},
		"ports":   {text.Ports(s, text.Style{}), s.Ports},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), &app{out: &out, err: &out}, name, "--socket", d.socket); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(c.screen, out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		out.Reset()
		if err := run(t.Context(), &app{out: &out, err: &out}, name, "--json", "--socket", d.socket); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		want, err := json.MarshalIndent(c.part, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want)+"\n", out.String()); diff != "" {
			t.Errorf("%s --json (-want +got):\n%s", name, diff)
		}
	}
}

func TestColourOnlyOnTerminals(t *testing.T) {
	d := start(t, filepath.Join(t.TempDir(), "s"), statustest.Locked(), nil)
	for name, c := range map[string]struct {
		terminal bool
		args     []string
		env      string
		colour   bool
	}{
		"terminal":   {true, nil, "", true},
		"pipe":       {false, nil, "", false},
		"--no-color": {true, []string{"--no-color"}, "", false},
		"NO_COLOR":   {true, nil, "1", false},
	} {
		var out bytes.Buffer
		a := &app{out: &out, err: &out, getenv: func(key string) string {
			return map[string]string{"NO_COLOR": c.env, "LOCKSTEP_SOCKET": d.socket}[key]
		}}
		if c.terminal {
			a.terminal = &terminal{out: &out}
		}
		if err := run(t.Context(), a, append(c.args, "status")...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.Contains(out.String(), "\x1b["); got != c.colour {
			t.Errorf("%s: colour is %v", name, got)
		}
	}
}

func TestExitStatus(t *testing.T) {
	d := start(t, filepath.Join(t.TempDir(), "s"), statustest.Locked(), nil)
	absent := filepath.Join(t.TempDir(), "absent")
	for _, c := range []struct {
		args []string
		want int
		says string
	}{
		{[]string{}, 0, ""},
		{[]string{"status", "--socket", d.socket}, 0, ""},
		{[]string{"status", "--socket", absent}, 3, absent},
		{[]string{"watch", "--socket", absent}, 3, absent},
		{[]string{"resume", "--socket", absent}, 3, absent},
		{[]string{"resume", "--socket", d.socket}, 1, "read-only"},
		{[]string{"sttus"}, 2, "status"},
		{[]string{"status", "x"}, 2, "no argument"},
		{[]string{"status", "--x"}, 2, "--x"},
		{[]string{"wait", "--socket", d.socket}, 0, ""},
		{[]string{"wait", "--socket", d.socket, "--max-error", "2us", "--state", "locked"}, 0, ""},
		{[]string{"wait", "--socket", d.socket, "--max-error", "1us", "--timeout", "0"}, 1, "max error at most 1.00 µs"},
		{[]string{"wait", "--socket", d.socket, "--state", "holdover", "--timeout", "0"}, 1, "state holdover"},
		{[]string{"wait", "--socket", absent, "--timeout", "0"}, 1, absent},
		{[]string{"wait", "--max-error", "0"}, 2, "positive"},
		{[]string{"wait", "--timeout", "-1s"}, 2, "negative"},
		{[]string{"wait", "--state", "good"}, 2, "unsynchronised"},
		{[]string{"wait", "--max-error", "100"}, 2, "max-error"},
		{[]string{"watch", "--interval", "1ms"}, 2, "--interval"},
	} {
		var out bytes.Buffer
		err := run(t.Context(), &app{out: &out, err: &out}, c.args...)
		if got := exitStatus(err); got != c.want {
			t.Errorf("%q: exit status %d, want %d (%v)", c.args, got, c.want, err)
		}
		if err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %q does not say %q", c.args, err, c.says)
		}
	}
}

func TestResume(t *testing.T) {
	resumed := make(chan struct{}, 2)
	d := start(t, filepath.Join(t.TempDir(), "s"), statustest.Panicked(), func(context.Context) error {
		resumed <- struct{}{}
		return nil
	})
	var out bytes.Buffer
	if err := run(t.Context(), &app{out: &out, err: &out}, "resume", "--socket", d.socket); err != nil {
		t.Fatal(err)
	}
	if len(resumed) != 1 {
		t.Error("the daemon was not asked")
	}
	out.Reset()
	if err := run(t.Context(), &app{out: &out, err: &out}, "resume", "--json", "--socket", d.socket); err != nil ||
		strings.Join(strings.Fields(out.String()), "") != `{"resumed":true}` {
		t.Errorf("with --json: %v, %s", err, out.String())
	}
}

// TestErrorsInJSON has no daemon to ask: with --json that is told in JSON as well.
func TestErrorsInJSON(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	for _, args := range [][]string{{"status"}, {"sources"}, {"wait", "--timeout", "0s"}, {"resume"}, {"watch"}} {
		var out bytes.Buffer
		err := run(t.Context(), &app{out: &out, err: &out}, append(args, "--json", "--socket", socket)...)
		var told struct{ Error string }
		if failure := json.Unmarshal(out.Bytes(), &told); err == nil || failure != nil || told.Error != err.Error() {
			t.Errorf("%v: %v; printed %q (%v)", args, err, out.String(), failure)
		}
	}
	d := start(t, socket, statustest.Locked(), nil)
	var out bytes.Buffer
	err := run(t.Context(), &app{out: &out, err: &out}, "wait", "--json", "--state", "panic", "--timeout", "0s", "--socket",
		d.socket)
	var shot status.Snapshot
	if failure := json.Unmarshal(out.Bytes(), &shot); !errors.Is(err, errNotYet) || failure != nil ||
		shot.State != status.Locked {
		t.Errorf("wait: %v; printed %q (%v)", err, out.String(), failure)
	}
}

func TestGoal(t *testing.T) {
	with := func(state status.State, maxError time.Duration) *status.Snapshot {
		return &status.Snapshot{State: state, MaxError: maxError}
	}
	for _, c := range []struct {
		goal goal
		s    *status.Snapshot
		want bool
	}{
		{goal{state: status.Locked}, with(status.Locked, time.Hour), true},
		{goal{state: status.Locked}, with(status.Acquiring, 0), false},
		{goal{maxError: 100}, with(status.Locked, 100), true},
		{goal{maxError: 100}, with(status.Locked, 101), false},
		{goal{maxError: 100}, with(status.Holdover, 100), true},
		{goal{maxError: 100}, with(status.Starting, 0), false},
		{goal{maxError: 100}, with(status.Acquiring, 0), false},
		{goal{maxError: 100}, with(status.Unsynchronised, 0), false},
		{goal{maxError: 100}, with(status.Panicked, 0), false},
		{goal{status.Locked, 100}, with(status.Holdover, 1), false},
	} {
		if got := c.goal.reached(c.s); got != c.want {
			t.Errorf("%v in %v with %v: %v", c.goal, c.s.State, c.s.MaxError, got)
		}
	}
}

func TestWaitFor(t *testing.T) {
	absent := errors.Join(control.ErrNotRunning)
	for name, c := range map[string]struct {
		answers []any // one per 100 ms, the last one for ever
		want    error
		after   time.Duration
	}{
		"at once": {[]any{statustest.Locked()}, nil, 0},
		"after a while": {[]any{absent, control.ErrNotReady, statustest.Starting(), statustest.Locked()}, nil,
			300 * time.Millisecond},
		"never":             {[]any{statustest.Starting()}, errNotYet, 900 * time.Millisecond},
		"never runs":        {[]any{absent}, errNotYet, 900 * time.Millisecond},
		"lost again":        {[]any{statustest.Starting(), absent}, errNotYet, 900 * time.Millisecond},
		"without the right": {[]any{absent, fs.ErrPermission}, fs.ErrPermission, 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin, calls := time.Now(), 0
				_, err := waitFor(t.Context(), func(context.Context) (*status.Snapshot, error) {
					answer := c.answers[min(calls, len(c.answers)-1)]
					calls++
					if err, failed := answer.(error); failed {
						return nil, err
					}
					return answer.(*status.Snapshot), nil
				}, goal{state: status.Locked}, time.Second)
				if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				if after := time.Since(begin); after != c.after {
					t.Errorf("after %v, want %v", after, c.after)
				}
			})
		})
	}
}

// A daemon that accepts and never answers is given up at the deadline.
func TestWaitForSilentDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		_, err := waitFor(t.Context(), func(ctx context.Context) (*status.Snapshot, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, goal{state: status.Locked}, 30*time.Second)
		if !errors.Is(err, errNotYet) || time.Since(begin) != 30*time.Second {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
	})
}
