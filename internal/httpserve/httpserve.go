// SPDX-License-Identifier: Apache-2.0

// Package httpserve runs an HTTP server until it is told to stop, with a bounded number of connections that are shared
// fairly.
package httpserve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// drainTimeout is how long requests under way may take to finish at the end.
const drainTimeout = time.Second

// Run has the server answer what comes by l, with that many connections at a time, until ctx is cancelled. Then it lets
// the requests under way finish for a second, closes l and returns nil. Any other end is an error that names what was
// served.
//
// A connection is busy while a handler runs on it, and idle otherwise, whatever part of a request has come. A new
// connection does not wait for another to close. A Peer may hold half of the connections: beyond that, its longest idle
// one is closed for the new one. When there are that many connections in all, the longest idle one is closed, of the
// peer with the most; where no peer with as many as the newcomer's has an idle one, the longest busy one of the peer with
// the most, if these are more than the newcomer's. Where that leaves no connection to close, the new one is closed at
// once.
//
// Run wraps the server's Handler and ConnContext. The handlers can ask PeerOf and Conn.
func Run(ctx context.Context, what string, server *http.Server, l net.Listener, connections int) error {
	k := newKeeper(l, connections)
	server.Handler = k.handler(server.Handler)
	server.ConnContext = k.connContext(server.ConnContext)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(k) }()
	select {
	case err := <-failed:
		return errors.Join(fmt.Errorf("serve %s %s: %w", what, l.Addr(), err), server.Close())
	case <-ctx.Done():
	}
	drain, stop := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer stop()
	err := server.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	<-failed
	return err
}
