// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/lockstep-time/lockstep/internal/httpserve"
)

// peerShare is how many watchers one peer may have. Half: one peer that takes all it may leaves the others as much, so no
// watch has to end for the first of another.
const peerShare = MaxWatchers / 2

// watchers are the watches that there are, oldest first. Its methods may be called from any goroutine.
type watchers struct {
	mu  sync.Mutex
	all []*watcher
}

// watcher is one watch.
type watcher struct {
	peer httpserve.Peer
	end  context.CancelFunc
}

// add takes in a watch of the peer, which end ends. When there are MaxWatchers already, and a peer has more than this one
// would have, the oldest watch of the peer with the most ends. The error says for the client why it may not watch.
func (w *watchers) add(peer httpserve.Peer, end context.CancelFunc) (*watcher, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	held := make(map[httpserve.Peer]int)
	for _, v := range w.all {
		held[v.peer]++
	}
	if held[peer] >= peerShare {
		return nil, fmt.Errorf("there are %d watchers of %s already", held[peer], name(peer))
	}
	if len(w.all) >= MaxWatchers {
		oldest := w.all[0]
		for _, v := range w.all {
			if held[v.peer] > held[oldest.peer] {
				oldest = v
			}
		}
		// Ending one of as many as the new one makes would only have the two take turns.
		if held[oldest.peer] <= held[peer]+1 {
			return nil, fmt.Errorf("there are %d watchers already", MaxWatchers)
		}
		w.drop(oldest)
		oldest.end()
	}
	added := &watcher{peer, end}
	w.all = append(w.all, added)
	return added, nil
}

// remove forgets a watch that has ended.
func (w *watchers) remove(gone *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(gone)
}

// drop has no effect on one that add has ended. The caller holds mu.
func (w *watchers) drop(gone *watcher) {
	w.all = slices.DeleteFunc(w.all, func(v *watcher) bool { return v == gone })
}

func name(peer httpserve.Peer) string {
	if peer == "" {
		return "unknown users"
	}
	return string(peer)
}
