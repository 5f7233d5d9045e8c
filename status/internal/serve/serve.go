// SPDX-License-Identifier: Apache-2.0

// Package serve runs an HTTP server until it is told to stop.
package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// drainTimeout is how long requests under way may take to finish at the end.
const drainTimeout = time.Second

// HTTP has the server answer what comes by l, with that many connections at a time, until ctx is cancelled. Then it lets
// the requests under way finish for a second, closes l and returns nil. Any other end is an error that names what was
// served.
func HTTP(ctx context.Context, what string, server *http.Server, l net.Listener, connections int) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(netutil.LimitListener(l, connections)) }()
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
