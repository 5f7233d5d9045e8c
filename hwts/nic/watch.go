// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Change is what happened to an interface.
type Change uint8

// The changes.
const (
	// Added: the interface exists; it was there when Watch began, or has been made.
	Added Change = iota + 1
	// Removed: it exists no longer. Sockets of it are dead.
	Removed
	// Renamed: it has a new name. Sockets of it go on.
	Renamed
	// LinkUp: it is up and has a carrier.
	LinkUp
	// LinkDown: it is not up, or has no carrier. Some drivers forget their timestamping configuration now.
	LinkDown
)

// String returns the change in lower case.
func (c Change) String() string {
	switch c {
	case Added:
		return "added"
	case Removed:
		return "removed"
	case Renamed:
		return "renamed"
	case LinkUp:
		return "link up"
	case LinkDown:
		return "link down"
	}
	return "none"
}

// Event tells of one change of one interface.
type Event struct {
	Change Change
	// Name and Index of the interface; after Renamed the new name. An interface made anew has another Index.
	Name  string
	Index int
	// OldName is set with Renamed.
	OldName string
	// Up is whether the interface is up and has a carrier, after the change.
	Up bool
}

// Watch tells the handler of all interfaces of the network namespace: first what is there, each Added, then every change,
// until ctx is done, whose error it returns then. The handler runs in the caller's goroutine. If changes come faster than
// it takes them, some are left out, and the last state is told all the same. Memory is bounded by what the kernel holds.
func Watch(ctx context.Context, handler func(Event)) error {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return fmt.Errorf("watch interfaces: %w", err)
	}
	defer conn.Close()
	if err := conn.JoinGroup(unix.RTNLGRP_LINK); err != nil {
		return fmt.Errorf("watch interfaces: join group: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	// The listing comes after the group is joined, so that no change falls between the two.
	w := watcher{known: make(map[int]link), handler: handler}
	if err := w.resync(); err != nil {
		return fmt.Errorf("watch interfaces: %w", err)
	}
	for {
		messages, err := conn.Receive()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, unix.ENOBUFS):
			if err := w.resync(); err != nil {
				return fmt.Errorf("watch interfaces: %w", err)
			}
		case err != nil:
			return fmt.Errorf("watch interfaces: %w", err)
		}
		for _, m := range messages {
			w.message(m)
		}
	}
}

// watcher turns what netlink says into events.
type watcher struct {
	known   map[int]link
	handler func(Event)
}

func (w *watcher) message(m netlink.Message) {
	l, err := parseLink(m.Data)
	if err != nil {
		return
	}
	switch m.Header.Type {
	case unix.RTM_NEWLINK:
		w.exists(l)
	case unix.RTM_DELLINK:
		w.gone(l.index)
	}
}

// resync compares what is known with what is there.
func (w *watcher) resync() error {
	links, err := listLinks()
	if err != nil {
		return err
	}
	w.compare(links)
	return nil
}

func (w *watcher) compare(links []link) {
	gone := make(map[int]bool, len(w.known))
	for index := range w.known {
		gone[index] = true
	}
	for _, l := range links {
		delete(gone, l.index)
	}
	indices := make([]int, 0, len(gone))
	for index := range gone {
		indices = append(indices, index)
	}
	slices.Sort(indices)
	for _, index := range indices {
		w.gone(index)
	}
	for _, l := range links {
		w.exists(l)
	}
}

func (w *watcher) exists(l link) {
	old, known := w.known[l.index]
	w.known[l.index] = l
	if !known {
		w.tell(Added, l, "")
		return
	}
	if old.name != l.name {
		w.tell(Renamed, l, old.name)
	}
	if old.up() == l.up() {
		return
	}
	if l.up() {
		w.tell(LinkUp, l, "")
	} else {
		w.tell(LinkDown, l, "")
	}
}

func (w *watcher) gone(index int) {
	l, known := w.known[index]
	if !known {
		return
	}
	delete(w.known, index)
	l.flags = 0
	w.tell(Removed, l, "")
}

func (w *watcher) tell(c Change, l link, oldName string) {
	w.handler(Event{Change: c, Name: l.name, Index: l.index, OldName: oldName, Up: l.up()})
}
