// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/control"
	"github.com/lockstep-time/lockstep/status/statustest"
)

var quiet = slog.New(slog.DiscardHandler)

func show(s *status.Snapshot) func() *status.Snapshot {
	return func() *status.Snapshot { return s }
}

func ask(h http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

func TestPartsOfTheSnapshot(t *testing.T) {
	s := statustest.Locked()
	server := control.NewServer(show(s), nil, quiet)
	for path, part := range map[string]any{
		"/v1/status": s, "/v1/sources": s.Sources, "/v1/clocks": s.Clocks, "/v1/ports": s.Ports,
	} {
		want, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		w := ask(server, "GET", path)
		if d := cmp.Diff(string(want)+"\n", w.Body.String()); w.Code != 200 || d != "" {
			t.Errorf("%s: %d, (-want +got):\n%s", path, w.Code, d)
		}
		if got := ask(server, "HEAD", path); got.Code != 200 || got.Header().Get("Content-Type") != "application/json" {
			t.Errorf("HEAD %s: %d, %v", path, got.Code, got.Header())
		}
		escaped := ask(server, "GET", strings.ReplaceAll(path, "/v1/s", "/v1%2F%73"))
		if escaped.Code != 200 || escaped.Body.String() != w.Body.String() {
			t.Errorf("%s, escaped: %d", path, escaped.Code)
		}
		if got := w.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("%s: content type %q", path, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	refused := errors.New("not in a panic")
	for name, c := range map[string]struct {
		snapshot       *status.Snapshot
		resume         func(context.Context) error
		method, target string
		code           int
		says           string
	}{
		"unknown path":   {statustest.Locked(), nil, "GET", "/v1/nothing", 404, "no such path"},
		"unclean path":   {statustest.Locked(), nil, "GET", "//v1/status", 404, "no such path"},
		"trailing slash": {statustest.Locked(), nil, "GET", "/v1/status/", 404, "no such path"},
		"no path":        {statustest.Locked(), nil, "OPTIONS", "*", 404, "no such path"},
		"wrong method":   {statustest.Locked(), nil, "DELETE", "/v1/status", 405, "takes GET only"},
		"resume by GET":  {statustest.Locked(), nil, "GET", "/v1/resume", 405, "takes POST only"},
		"read-only":      {statustest.Panicked(), nil, "POST", "/v1/resume", 403, "read-only"},
		"resume refused": {statustest.Locked(), func(context.Context) error { return refused }, "POST", "/v1/resume", 409,
			"not in a panic"},
		"too early":      {nil, nil, "GET", "/v1/status", 503, "starting"},
		"bad interval":   {statustest.Locked(), nil, "GET", "/v1/watch?interval=1", 400, "interval"},
		"short interval": {statustest.Locked(), nil, "GET", "/v1/watch?interval=99ms", 400, "from 100ms to 1h0m0s"},
		"negative":       {statustest.Locked(), nil, "GET", "/v1/watch?interval=-1s", 400, "from 100ms to 1h0m0s"},
		"two intervals":  {statustest.Locked(), nil, "GET", "/v1/watch?interval=1s&interval=2s", 400, "one interval"},
		"unknown key":    {statustest.Locked(), nil, "GET", "/v1/watch?every=1s", 400, "every"},
		"bad escape":     {statustest.Locked(), nil, "GET", "/v1/watch?%zz", 400, "query"},
	} {
		t.Run(name, func(t *testing.T) {
			w := ask(control.NewServer(show(c.snapshot), c.resume, quiet), c.method, c.target)
			var body struct{ Error string }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatalf("the answer %q is no JSON: %v", w.Body, err)
			}
			if w.Code != c.code || !strings.Contains(body.Error, c.says) {
				t.Errorf("got %d %q, want %d with %q", w.Code, body.Error, c.code, c.says)
			}
			if (w.Header().Get("Allow") != "") != (c.code == 405) {
				t.Errorf("Allow: %q", w.Header().Get("Allow"))
			}
		})
	}
}

func TestResume(t *testing.T) {
	calls := 0
	server := control.NewServer(show(statustest.Panicked()), func(context.Context) error { calls++; return nil }, quiet)
	if w := ask(server, "POST", "/v1/resume"); w.Code != 200 || calls != 1 {
		t.Errorf("got %d after %d calls", w.Code, calls)
	}
}

// A daemon that does not get to resume is not waited for without end.
func TestLateResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := control.NewServer(show(statustest.Panicked()),
			func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, quiet)
		begin := time.Now()
		if w := ask(server, "POST", "/v1/resume"); w.Code != 503 || time.Since(begin) != control.ResumeTimeout {
			t.Errorf("got %d %s after %v", w.Code, w.Body, time.Since(begin))
		}
	})
}

func TestSnapshotWithoutJSON(t *testing.T) {
	s := statustest.Locked()
	s.Clocks[0].Frequency = math.NaN()
	if w := ask(control.NewServer(show(s), nil, quiet), "GET", "/v1/status"); w.Code != 500 || !json.Valid(w.Body.Bytes()) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

// Whatever is sent, the answer is JSON with a status of this protocol, and only POST /v1/resume resumes.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		"GET /v1/status HTTP/1.1\r\nHost: lockstep\r\n\r\n",
		"GET /v1/sources HTTP/1.0\r\n\r\n",
		"HEAD /v1/clocks HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v1/watch?interval=100ms HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v1/watch?interval=9999999999999h HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /v1/resume HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{}\n",
		"POST /v1%2Fresume HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /v1/resume?x=%zz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
		"GET http://other/v1/../v1/status HTTP/1.1\r\nHost: x\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT x:1 HTTP/1.1\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return
		}
		ended, end := context.WithCancel(context.Background())
		end()
		resumed := false
		server := control.NewServer(show(statustest.Locked()), func(context.Context) error { resumed = true; return nil }, quiet)
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r.WithContext(ended))
		if resumed != (r.Method == "POST" && r.URL.Path == "/v1/resume") {
			t.Errorf("%s %s: resumed is %v", r.Method, r.URL, resumed)
		}
		switch w.Code {
		case 200, 400, 404, 405:
		default:
			t.Errorf("status %d", w.Code)
		}
		body, err := io.ReadAll(w.Body)
		if err != nil || len(body) > 0 && !json.Valid(body) || len(body) == 0 && r.Method != "HEAD" {
			t.Errorf("the answer to %s %s is no JSON: %q, %v", r.Method, r.URL, body, err)
		}
	})
}

// TestAnswersCannotSpeakToTheTerminal: whoever asks by curl has the answer on a terminal.
func TestAnswersCannotSpeakToTheTerminal(t *testing.T) {
	s := statustest.Locked()
	s.Reason, s.Clocks[0].Error, s.Sources[0].Name = "\u009b31m\x7f", "\x1b]0;x\a", "\u0085"
	server := control.NewServer(show(s), func(context.Context) error { return errors.New("\u009b31m\x7f") }, quiet)
	for _, c := range [][2]string{{"GET", "/v1/status"}, {"GET", "/v1/sources"}, {"GET", "/v1/clocks"},
		{"POST", "/v1/resume"}} {
		w := ask(server, c[0], c[1])
		if body := w.Body.String(); strings.ContainsFunc(strings.TrimSuffix(body, "\n"), unicode.IsControl) ||
			!json.Valid([]byte(body)) {
			t.Errorf("%s: %q", c[1], body)
		}
	}
}
