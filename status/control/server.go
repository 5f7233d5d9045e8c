// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/lockstep-time/lockstep/internal/httpserve"
	"github.com/lockstep-time/lockstep/internal/plain"
	"github.com/lockstep-time/lockstep/status"
)

// Server answers the requests that come by the control socket. Its methods may be called from any goroutine.
type Server struct {
	snapshot func() *status.Snapshot
	resume   func(context.Context) error
	log      *slog.Logger
	watchers watchers
	peer     func(context.Context) httpserve.Peer // whose a request is, by its context
	patience time.Duration                        // with a watcher that does not read; shorter in tests
	routes   map[string]route
}

// route is the one method that a path takes, and what answers it.
type route struct {
	method string
	handle http.HandlerFunc
}

// NewServer returns a Server that shows what snapshot returns, which is nil while there is nothing to show.
// Snapshot is called from many goroutines at once. Resume is called when a client asks to steer again after a panic; nil
// makes the server read-only; its context ends after seconds. The error that resume returns is shown to the client. Log
// takes what goes wrong.
func NewServer(snapshot func() *status.Snapshot, resume func(context.Context) error, log *slog.Logger) *Server {
	s := &Server{snapshot: snapshot, resume: resume, log: log, peer: httpserve.PeerOf, patience: writeTimeout}
	s.routes = map[string]route{
		"/v1/status":  {http.MethodGet, s.show(func(s *status.Snapshot) any { return s })},
		"/v1/sources": {http.MethodGet, s.show(func(s *status.Snapshot) any { return s.Sources })},
		"/v1/clocks":  {http.MethodGet, s.show(func(s *status.Snapshot) any { return s.Clocks })},
		"/v1/ports":   {http.MethodGet, s.show(func(s *status.Snapshot) any { return s.Ports })},
		"/v1/watch":   {http.MethodGet, s.watch},
		"/v1/resume":  {http.MethodPost, s.serveResume},
	}
	return s
}

// Serve answers requests on l until ctx is cancelled, then ends the watches, lets the other requests finish for a second,
// closes l and returns nil. Any other end is an error.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := &http.Server{
		Handler:           s,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: requestTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return httpserve.Run(ctx, "control socket", server, l, MaxConnections)
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
	route, ok := s.routes[r.URL.Path]
	switch {
	case !ok:
		s.fail(w, http.StatusNotFound, "no such path")
	case r.Method != route.method && (r.Method != http.MethodHead || route.method != http.MethodGet):
		w.Header().Set("Allow", route.method)
		s.fail(w, http.StatusMethodNotAllowed, "this path takes "+route.method+" only")
	default:
		route.handle(w, r)
	}
}

// show returns a handler that answers with a part of the snapshot.
func (s *Server) show(part func(*status.Snapshot) any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if now := s.snapshot(); now != nil {
			s.answer(w, http.StatusOK, part(now))
			return
		}
		s.fail(w, http.StatusServiceUnavailable, "the daemon is starting and has nothing to show yet")
	}
}

func (s *Server) serveResume(w http.ResponseWriter, r *http.Request) {
	if s.resume == nil {
		s.fail(w, http.StatusForbidden, ErrReadOnly.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), resumeTimeout)
	defer cancel()
	switch err := s.resume(ctx); {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		s.fail(w, http.StatusServiceUnavailable, "the daemon has not resumed within "+resumeTimeout.String()+", and may yet")
		return
	case err != nil:
		s.fail(w, http.StatusConflict, err.Error())
		return
	}
	s.answer(w, http.StatusOK, struct{}{})
}

func (s *Server) fail(w http.ResponseWriter, code int, why string) {
	s.answer(w, code, failure{why})
}

func (s *Server) answer(w http.ResponseWriter, code int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		s.log.Error("control: the snapshot has no JSON", "error", err)
		http.Error(w, `{"error":"the snapshot has no JSON"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if _, err := w.Write(append(plain.JSON(b), '\n')); err != nil {
		s.log.Debug("control: client went away", "error", err)
	}
}
