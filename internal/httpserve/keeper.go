// SPDX-License-Identifier: Apache-2.0

package httpserve

import (
	"context"
	"net"
	"net/http"
	"runtime"
	"sync"
)

// keeper is a listener that keeps the number of its open connections within a limit, as Run describes. Accept waits for
// a new connection only, not for another to close.
//
// That locks nobody out: idle connections make room for any other, and busy ones only for those of peers that have fewer.
// As long as fewer peers than the limit have connections, one of them has more than a peer that has none yet.
type keeper struct {
	net.Listener
	limit int
	share int // of one peer
	peer  func(net.Conn) Peer

	mu   sync.Mutex
	open map[*conn]struct{}
	turn uint64 // counts what happens to connections
}

// conn is a connection that a keeper has let in.
type conn struct {
	net.Conn
	keeper *keeper
	peer   Peer

	// The keeper's mu guards these.
	busy  bool
	since uint64 // the turn at which it became busy or idle
}

func newKeeper(l net.Listener, limit int) *keeper {
	return &keeper{
		Listener: l,
		limit:    limit,
		// Half: a peer that takes all it may leaves the others as much as itself, so no connection of its own has to end
		// for the first of another.
		share: max(1, limit/2),
		peer:  peerOf,
		open:  make(map[*conn]struct{}),
	}
}

// Accept returns the next connection that is let in. Its errors are those of the listener.
func (k *keeper) Accept() (net.Conn, error) {
	for {
		accepted, err := k.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: accepted, keeper: k, peer: k.peer(accepted)}
		if k.crowded(c.peer) {
			// Those before this one get the processor to show that they have a request. Else, on a single processor, a
			// flood has each connection of its peer closed before anything is read from it.
			runtime.Gosched()
		}
		victim, admitted := k.admit(c)
		if victim != nil {
			_ = victim.Conn.Close() // its handler or the server meets the error
		}
		if admitted {
			return c, nil
		}
		_ = accepted.Close() // nobody has used it
	}
}

// Close closes the connection and gives up its place.
func (c *conn) Close() error {
	c.keeper.mu.Lock()
	delete(c.keeper.open, c)
	c.keeper.mu.Unlock()
	return c.Conn.Close()
}

// crowded tells whether a new connection of the peer takes another's place.
func (k *keeper) crowded(peer Peer) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.open) >= k.limit || k.held()[peer] >= k.share
}

// admit gives the connection a place, or returns false. The victim, if there is one, has lost its place to it.
func (k *keeper) admit(c *conn) (victim *conn, admitted bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	victim, admitted = k.room(c.peer)
	if !admitted {
		return nil, false
	}
	delete(k.open, victim)
	k.turn++
	c.since = k.turn
	k.open[c] = struct{}{}
	return victim, true
}

// room finds the connection that has to go for a new one of the peer: nil where none has to. It returns false where the
// new one has to go. The caller holds mu.
func (k *keeper) room(peer Peer) (*conn, bool) {
	held := k.held()
	if held[peer] >= k.share {
		victim := k.pick(held, func(c *conn) bool { return c.peer == peer && !c.busy })
		return victim, victim != nil
	}
	if len(k.open) < k.limit {
		return nil, true
	}
	held[peer]++ // with the new one
	// A peer that has many does not get the idle connection of one that has few: that one may be about to ask.
	victim := k.pick(held, func(c *conn) bool { return !c.busy && held[c.peer] >= held[peer] })
	if victim == nil {
		victim = k.pick(held, func(c *conn) bool { return held[c.peer] > held[peer] })
	}
	return victim, victim != nil
}

// held returns how many connections each peer has. The caller holds mu.
func (k *keeper) held() map[Peer]int {
	held := make(map[Peer]int)
	for c := range k.open {
		held[c.peer]++
	}
	return held
}

// pick returns a connection of those that may be picked: of the peer that holds the most, the one whose last change was
// the earliest. It returns nil if none may. The caller holds mu.
func (k *keeper) pick(held map[Peer]int, may func(*conn) bool) *conn {
	var picked *conn
	for c := range k.open {
		if !may(c) {
			continue
		}
		if picked == nil || held[c.peer] > held[picked.peer] || held[c.peer] == held[picked.peer] && c.since < picked.since {
			picked = c
		}
	}
	return picked
}

// setBusy notes that a handler begins or ends. It returns false if the connection has lost its place.
func (k *keeper) setBusy(c *conn, busy bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.turn++
	c.busy, c.since = busy, k.turn
	_, kept := k.open[c]
	return kept
}

// handler has connections be busy while next runs on them.
func (k *keeper) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := r.Context().Value(key{}).(*conn) // connContext has put it there
		if !k.setBusy(c, true) {
			panic(http.ErrAbortHandler) // it was closed meanwhile: a request without a reader for the answer is not carried out
		}
		defer k.setBusy(c, false)
		next.ServeHTTP(w, r)
	})
}

// connContext adds the connection to the context that next, unless nil, makes for it.
func (k *keeper) connContext(next func(context.Context, net.Conn) context.Context) func(context.Context,
	net.Conn) context.Context {
	return func(ctx context.Context, c net.Conn) context.Context {
		if next != nil {
			ctx = next(ctx, c)
		}
		return context.WithValue(ctx, key{}, c)
	}
}
