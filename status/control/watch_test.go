// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// changePeriod is how often the server looks for a change.
const changePeriod = 100 * time.Millisecond

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

// A body would be waited for without end.
func TestWatchTakesNoBody(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for _, length := range []int64{1, -1} {
		r := httptest.NewRequestWithContext(ended, "GET", "/v1/watch", nil)
		r.ContentLength = length
		w := httptest.NewRecorder()
		control.NewServer(show(statustest.Locked()), nil, quiet).ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "no body") {
			t.Errorf("length %d: %d %s", length, w.Code, w.Body)
		}
	}
}

// beats records when a space comes.
type beats struct {
	watcher
	at []time.Duration
}

func (b *beats) Write(p []byte) (int, error) {
	if string(p) != " " {
		return b.watcher.Write(p)
	}
	b.at = append(b.at, time.Since(b.start))
	return len(p), nil
}

// A watcher is sent a sign of life when nothing else was sent for a while, also before the first snapshot.
func TestHeartbeat(t *testing.T) {
	for _, query := range []string{"?interval=0", "?interval=1s", "?interval=1h"} {
		synctest.Test(t, func(t *testing.T) {
			d := new(daemon)
			b := &beats{watcher: *newWatcher()}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second+changePeriod/2)
			defer cancel()
			time.AfterFunc(12*time.Second-changePeriod/2, d.update(1))
			d.server().ServeHTTP(b, httptest.NewRequestWithContext(ctx, "GET", "/v1/watch"+query, nil))
			h := control.Heartbeat
			want := []time.Duration{h, 2 * h, 12*time.Second + h, 12*time.Second + 2*h, 12*time.Second + 3*h}
			if !slices.Equal(b.at, want) || len(b.lines) != 1 {
				t.Errorf("%s: spaces at %v, want %v; lines %v", query, b.at, want, b.lines)
			}
		})
	}
}

// crowd has users watch a server.
type crowd struct {
	server *control.Server
	ends   []func() // of each watch that was let in
	ended  []*atomic.Bool
}

// user is what the context of a request has its user under.
type user struct{}

func newCrowd(t *testing.T) *crowd {
	c := &crowd{server: control.NewServer(show(statustest.Locked()), nil, quiet)}
	c.server.SetPeer(func(ctx context.Context) control.Peer { return ctx.Value(user{}).(control.Peer) })
	t.Cleanup(func() {
		for _, end := range c.ends {
			end()
		}
	})
	return c
}

// watch tells whether the user may watch, and the reason if not. The watch goes on until its end is called.
func (c *crowd) watch(t *testing.T, name string) (bool, string) {
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), user{}, control.Peer(name)))
	w := httptest.NewRecorder()
	ended := new(atomic.Bool)
	go func() {
		c.server.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/v1/watch?interval=0", nil))
		ended.Store(true)
	}()
	synctest.Wait()
	if w.Code != http.StatusOK {
		cancel()
		return false, w.Body.String()
	}
	c.ends, c.ended = append(c.ends, cancel), append(c.ended, ended)
	return true, ""
}

// gone returns which watches have ended, by when they began.
func (c *crowd) gone() (all []int) {
	synctest.Wait()
	for i, ended := range c.ended {
		if ended.Load() {
			all = append(all, i)
		}
	}
	return all
}

func TestWatchersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		for i := range control.MaxWatchers {
			if ok, why := c.watch(t, fmt.Sprint("uid ", i)); !ok {
				t.Fatalf("watcher %d: %s", i, why)
			}
		}
		if ok, why := c.watch(t, "uid 100"); ok || !strings.Contains(why, "16 watchers already") {
			t.Errorf("one watcher more: %v %s", ok, why)
		}
		if w := ask(c.server, "GET", "/v1/status"); w.Code != 200 {
			t.Errorf("the status beside all watchers: %d", w.Code)
		}
		c.ends[3]()
		synctest.Wait()
		if ok, why := c.watch(t, "uid 100"); !ok {
			t.Errorf("a watcher after another left: %s", why)
		}
		if gone := c.gone(); !slices.Equal(gone, []int{3}) {
			t.Errorf("%v are gone", gone)
		}
	})
}

// One user cannot take the others' watches, and one who has none gets in where two have taken all.
func TestWatchersAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		for i := range control.PeerShare {
			if ok, why := c.watch(t, "uid 1"); !ok {
				t.Fatalf("watcher %d: %s", i, why)
			}
		}
		if ok, why := c.watch(t, "uid 1"); ok || !strings.Contains(why, "8 watchers of uid 1 already") {
			t.Errorf("one more than the share: %v %s", ok, why)
		}
		for i := range control.MaxWatchers - control.PeerShare {
			if ok, why := c.watch(t, "uid 2"); !ok {
				t.Fatalf("watcher %d of another: %s", i, why)
			}
		}
		if gone := c.gone(); gone != nil {
			t.Errorf("%v are gone while all had room", gone)
		}
		// The third takes from the first two in turn until it has about as many.
		for i := range 5 {
			if ok, why := c.watch(t, "uid 3"); !ok {
				t.Fatalf("watcher %d of the third: %s", i, why)
			}
		}
		if gone := c.gone(); !slices.Equal(gone, []int{0, 1, 2, 8, 9}) {
			t.Errorf("%v are gone", gone)
		}
		if ok, why := c.watch(t, "uid 3"); ok || !strings.Contains(why, "16 watchers already") {
			t.Errorf("as many as the others have: %v %s", ok, why)
		}
		// Those whose watches ended do not take them back, or they would for ever.
		if ok, _ := c.watch(t, "uid 1"); ok {
			t.Error("a watch was taken back")
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
