// SPDX-License-Identifier: Apache-2.0

// Package control is the daemon's control socket: HTTP with JSON over a Unix stream socket, and the client for it.
//
//	GET  /v1/status              the whole status.Snapshot
//	GET  /v1/sources             its sources
//	GET  /v1/clocks              its clocks
//	GET  /v1/ports               its PTP ports
//	GET  /v1/watch?interval=1s   snapshots, one JSON document per line, until the client closes
//	POST /v1/resume              steer again after a panic; only where the daemon permits writing
//
// Between the documents of a watch the server sends a space every few seconds, so that the client can tell a daemon that
// has nothing to say from one that hangs. Readers of JSON skip it.
//
// A request that fails is answered with a status of 4xx or 5xx and {"error": "a sentence"}: 400 for a request that makes
// no sense, 403 where writing is not permitted, 404 and 405 for unknown paths and methods, 409 for a resume that the
// daemon refuses, 503 while there is no snapshot yet, when there are too many watchers, or when a resume takes too long.
//
// Everything a client can ask for is bounded: the size of a request, the time it may take, the number of connections,
// the number of watchers, and how long a watcher may leave its lines unread. Connections and watchers are shared among
// the users that connect: none may have more than half, and one who has few gets in where another has many.
package control

import (
	"errors"
	"time"
)

// DefaultSocket is where the daemon listens unless configured otherwise.
const DefaultSocket = "/run/lockstep/lockstep.sock"

// The limits of a Server.
const (
	// MaxConnections is how many connections are open at a time, of one user half as many. A new one beyond that does not
	// wait: it takes the place of one on which no request is being answered.
	MaxConnections = 64
	// MaxWatchers is how many of them may watch, of one user half as many. When there are that many, the oldest watch of
	// the user with the most ends for that of one with fewer.
	MaxWatchers = 16
	// MinInterval and MaxInterval bound the interval of a watch.
	MinInterval = 100 * time.Millisecond
	MaxInterval = time.Hour

	maxHeaderBytes = 8 << 10
	maxBodyBytes   = 4 << 10
	requestTimeout = 5 * time.Second
	resumeTimeout  = 3 * time.Second  // less than requestTimeout, with which the server drops the request
	idleTimeout    = 10 * time.Second // of the server, also for the first bytes of a further request
	writeTimeout   = 10 * time.Second // to leave an answer unread
	maxAnswerBytes = 8 << 20
	changePeriod   = 100 * time.Millisecond
	heartbeat      = 5 * time.Second // less than writeTimeout, so that the end of a watch can always be written

	// The client's.
	dialTimeout   = 5 * time.Second // less than answerTimeout, so that the error tells which it was
	dialPeriod    = 20 * time.Millisecond
	answerTimeout = 10 * time.Second // more than a resume may take, and an answer from memory on a busy host
	silentTimeout = 3 * heartbeat    // two may be late on a busy host
)

// Errors that a caller decides on.
var (
	// ErrInUse: a live daemon listens on the socket.
	ErrInUse = errors.New("a running daemon listens on it")
	// ErrNotRunning: no daemon listens on the socket.
	ErrNotRunning = errors.New("lockstepd is not running")
	// ErrNoAnswer: what listens on the socket does not answer in time.
	ErrNoAnswer = errors.New("lockstepd does not answer")
	// ErrNotReady: the daemon has nothing to show yet, or is busy.
	ErrNotReady = errors.New("lockstepd is not ready")
	// ErrReadOnly: the daemon does not permit writing.
	ErrReadOnly = errors.New("the control socket is read-only")
)

// failure is the JSON body of an answer with an error status.
type failure struct {
	Error string `json:"error"`
}
