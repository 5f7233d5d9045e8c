// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path"
	"strings"
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
	mux      *http.ServeMux
}

// NewServer returns a Server that shows what snapshot returns, which is nil while there is nothing to show.
// Snapshot is called from many goroutines at once. Resume is called when a client asks to steer again after a panic; nil
// makes the server read-only; its context ends after seconds. The error that resume returns is shown to the client. Log
// takes what goes wrong.
func NewServer(snapshot func() *status.Snapshot, resume func(context.Context) error, log *slog.Logger) *Server {
	s := &Server{snapshot: snapshot, resume: resume, log: log, peer: httpserve.PeerOf, patience: writeTimeout}
	s.mux = s.routes()
	return s
}

// routes returns what answers each path. A refusal is JSON as any other answer, so it has a pattern too.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, handle := range map[string]http.HandlerFunc{
		"GET /v1/status":  s.show(func(s *status.Snapshot) any { return s }),
		"GET /v1/sources": s.show(func(s *status.Snapshot) any { return s.Sources }),
		"GET /v1/clocks":  s.show(func(s *status.Snapshot) any { return s.Clocks }),
		"GET /v1/ports":   s.show(func(s *status.Snapshot) any { return s.Ports }),
		"GET /v1/watch":   s.watch,
		"POST /v1/resume": s.serveResume,
	} {
		method, name, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(pattern, handle)
		mux.HandleFunc(name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", method)
			s.fail(w, http.StatusMethodNotAllowed, "this path takes "+method+" only")
		})
	}
	mux.HandleFunc("/", s.notFound)
	return mux
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
	r = r.Clone(r.Context())
	r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
	r.URL.RawPath = "" // however it was escaped, it is the same path
	if p := r.URL.Path; !strings.HasPrefix(p, "/") || p != path.Clean(p) {
		s.notFound(w, r) // the mux would redirect, or refuse without JSON
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Server) notFound(w http.ResponseWriter, _ *http.Request) {
	s.fail(w, http.StatusNotFound, "no such path")
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
