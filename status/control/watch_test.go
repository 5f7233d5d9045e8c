// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/control"
	"github.com/lockstep-time/lockstep/status/statustest"
)

// line is what a watcher was sent, and when.
type line struct {
	at       time.Duration
	state    status.State
	maxError time.Duration
}

// watcher is the client's end of a watch in simulated time.
type watcher struct {
	header http.Header
	code   int
	start  time.Time
	lines  []line
	fail   error
}

func newWatcher() *watcher { return &watcher{header: make(http.Header), start: time.Now()} }

func (w *watcher) Header() http.Header  { return w.header }
func (w *watcher) WriteHeader(code int) { w.code = code }
func (w *watcher) Flush()               {}

func (w *watcher) Write(b []byte) (int, error) {
	var s status.Snapshot
	if err := json.Unmarshal(b, &s); err != nil {
		return 0, err
	}
	w.lines = append(w.lines, line{time.Since(w.start), s.State, s.MaxError})
	return len(b), w.fail
}

// run watches for a while, and calls change at each instant given.
func run(server *control.Server, query string, length time.Duration, w *watcher, change map[time.Duration]func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/v1/watch"+query, nil))
	}()
	var instants []time.Duration
	for at := range change {
		instants = append(instants, at)
	}
	slices.Sort(instants)
	passed := time.Duration(0)
	for _, at := range instants {
		time.Sleep(at - passed)
		passed = at
		change[at]()
	}
	time.Sleep(length - passed)
	cancel()
	<-done
}

// daemon makes snapshots.
type daemon struct {
	now atomic.Pointer[status.Snapshot]
}

func (d *daemon) server() *control.Server { return control.NewServer(d.now.Load, nil, quiet) }

// update shows a new snapshot with another maximum error only.
func (d *daemon) update(maxError time.Duration) func() {
	return func() {
		s := statustest.Locked()
		s.MaxError = maxError
		for i := range s.Events { // their times move as the clock is slewed, which is no change
			s.Events[i].Time = s.Events[i].Time.Add(maxError)
		}
		d.now.Store(s)
	}
}

func (d *daemon) holdover() { d.now.Store(statustest.Holdover()) }

func TestWatch(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		query string
		want  []line
	}{
		"default interval": {"", []line{
			{0, status.Locked, 1}, {1000 * ms, status.Locked, 3}, {2500 * ms, status.Holdover, 96500},
		}},
		"short interval": {"?interval=200ms", []line{
			{0, status.Locked, 1}, {400 * ms, status.Locked, 2}, {700 * ms, status.Locked, 3}, {2500 * ms, status.Holdover, 96500},
		}},
		"changes only": {"?interval=0s", []line{{0, status.Locked, 1}, {2500 * ms, status.Holdover, 96500}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := new(daemon)
				d.update(1)()
				w := newWatcher()
				run(d.server(), c.query, 5*time.Second, w, map[time.Duration]func(){
					350 * ms: d.update(2), 650 * ms: d.update(3), 2450 * ms: d.holdover,
				})
				if w.code != http.StatusOK || !slices.Equal(w.lines, c.want) {
					t.Errorf("status %d, lines %v, want %v", w.code, w.lines, c.want)
				}
			})
		})
	}
}

func TestWatchBeforeTheFirstSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, w := new(daemon), newWatcher()
		run(d.server(), "", time.Second, w, map[time.Duration]func(){250 * time.Millisecond: d.update(7)})
		if want := []line{{300 * time.Millisecond, status.Locked, 7}}; !slices.Equal(w.lines, want) {
			t.Errorf("got %v, want %v", w.lines, want)
		}
	})
}

func TestWatcherThatDoesNotReadIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, w := new(daemon), newWatcher()
		d.update(1)()
		w.fail = errors.New("timeout")
		server := d.server()
		server.ServeHTTP(w, httptest.NewRequest("GET", "/v1/watch", nil)) // would never return otherwise
		if len(w.lines) != 1 {
			t.Errorf("%d lines were sent", len(w.lines))
		}
	})
}

func TestWatchersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(daemon)
		d.update(1)()
		server := d.server()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		for range control.MaxWatchers {
			go func() {
				server.ServeHTTP(newWatcher(), httptest.NewRequestWithContext(ctx, "GET", "/v1/watch", nil))
				done <- struct{}{}
			}()
		}
		synctest.Wait()
		if w := ask(server, "GET", "/v1/watch"); w.Code != 503 || !strings.Contains(w.Body.String(), "16 watchers") {
			t.Errorf("one watcher more: %d %s", w.Code, w.Body)
		}
		if w := ask(server, "GET", "/v1/status"); w.Code != 200 {
			t.Errorf("the status beside all watchers: %d", w.Code)
		}
		cancel()
		for range control.MaxWatchers {
			<-done
		}
		w := newWatcher()
		run(server, "", time.Second, w, nil)
		if w.code != 200 {
			t.Errorf("a watcher after the others left: %d", w.code)
		}
	})
}

func TestWatchCannotSpeakToTheTerminal(t *testing.T) {
	s := statustest.Locked()
	s.Reason = "\u009b31m\x7f"
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it shows what there is, once
	w := httptest.NewRecorder()
	control.NewServer(show(s), nil, quiet).ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/v1/watch", nil))
	body := strings.TrimSuffix(w.Body.String(), "\n")
	if !strings.Contains(body, `\u009b31m\u007f`) || strings.ContainsFunc(body, unicode.IsControl) {
		t.Errorf("%q", body)
	}
}
