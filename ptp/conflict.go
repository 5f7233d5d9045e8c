// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

// Conflict is a way in which it shows that two senders speak as the parent: somebody forges its messages, or two devices
// have the same clock identity.
type Conflict uint8

const (
	// conflictAddress: messages with its identity come from another address.
	conflictAddress Conflict = iota
	// conflictSequence: messages come whose sequenceIds are far ahead, and those that continue the latest come as well.
	conflictSequence
	// conflictContent: two messages with the same sequenceId say different things.
	conflictContent

	// Conflicts is the number of ways.
	Conflicts
)

// String returns the name as metrics show it: "address", "sequence" or "content".
func (c Conflict) String() string {
	switch c {
	case conflictAddress:
		return "address"
	case conflictSequence:
		return "sequence"
	case conflictContent:
		return "content"
	}
	return "unknown"
}

const (
	// conflictShown is how long a conflict is shown in Status: longer than any sender pauses, so that one that lasts is
	// always seen.
	conflictShown = time.Minute
	// conflictPause is how often one that lasts is told.
	conflictPause = 10 * time.Minute
)

// conflict is the latest one with the present parent.
type conflict struct {
	seen bool
	kind Conflict
	from Address // of conflictAddress
	at   clock.Mono
	told clock.Mono // 0 if it was not
}

// shown returns what there is to show at now.
func (c *conflict) shown(now clock.Mono) string {
	if !c.seen || now.Sub(c.at) > conflictShown {
		return ""
	}
	return c.text()
}

func (c *conflict) text() string {
	switch c.kind {
	case conflictAddress:
		return "messages with its identity come from " + c.from.String() + " as well"
	case conflictSequence:
		return "its messages have two courses of sequenceIds"
	}
	return "two of its messages with one sequenceId differ"
}

// conflicting counts a conflict, and tells of it unless that was done lately. from is the other address of
// conflictAddress.
func (p *Port) conflicting(now clock.Mono, kind Conflict, from Address) {
	p.counters.Conflicts[kind]++
	c := &p.conflict
	c.seen, c.kind, c.from, c.at = true, kind, from, now
	if c.told == 0 || now.Sub(c.told) >= conflictPause {
		c.told = now
		p.out.Conflict(c.text())
	}
}
