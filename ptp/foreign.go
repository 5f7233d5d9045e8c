// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

const (
	// foreignMasters bounds the foreign master table; IEEE 1588-2019 §9.3.2.4.4 asks for at least 5.
	foreignMasters = 16
	// foreignWindow is FOREIGN_MASTER_TIME_WINDOW in announce intervals, within which FOREIGN_MASTER_THRESHOLD = 2
	// messages qualify a master (§9.3.2.4.5).
	foreignWindow = 4

	// Profiles have announce intervals of up to 16 s. A longer one would keep a dead parent for minutes.
	minLogAnnounce, maxLogAnnounce int8 = -4, 4
	longestAnnounce                     = time.Second << maxLogAnnounce

	// A master sends at most 16 Announce messages per second; more of them are not looked at.
	announceEach, announceBurst = time.Second / 32, 16
	// Senders that are admitted to a full table share a budget.
	admissionEach, admissionBurst = time.Second / 50, 32
)

// foreignMaster is one row of the table: a port that announces itself.
type foreignMaster struct {
	used     bool
	announce Parent
	data     DataSet
	interval time.Duration
	sequence sequence
	limit    limiter
	// last and previous are when the latest two distinct messages came, heard how many there were, 2 at most.
	last, previous clock.Mono
	heard          int
	// unusable: it is the latest parent of which no Sync could be used.
	unusable bool
	// syncs: Syncs with its identity come from its address, though it is not the parent.
	syncs bool
}

func (f *foreignMaster) qualified(now clock.Mono) bool {
	return f.heard == 2 && now.Sub(f.previous) <= foreignWindow*f.interval
}

// foreignTable holds the masters heard of (IEEE 1588-2019 §9.3.2.4), in a fixed place.
type foreignTable struct {
	rows [foreignMasters]foreignMaster
	// unknown are senders that found all rows taken, admissions limits how many of them get a row.
	unknown    unknownMasters
	admissions limiter
	// senders are where Syncs with the parent's identity come from beside the parent, the latest at next.
	senders [4]Address
	next    int
}

// syncFrom notes that Syncs with the parent's identity come from another address. Such a sender may be the true master; one
// that only announces itself is not.
func (t *foreignTable) syncFrom(id wire.PortIdentity, from Address) {
	if row := t.find(id, from); row >= 0 {
		t.rows[row].syncs = true
	}
	if !t.sends(from) {
		t.senders[t.next] = from
		t.next = (t.next + 1) % len(t.senders)
	}
}

func (t *foreignTable) sends(from Address) bool { return slices.Contains(t.senders[:], from) }

// find returns the row of a port that announces itself from an address, -1 if it has none. The same identity from another
// address has another row.
func (t *foreignTable) find(id wire.PortIdentity, from Address) int {
	for i := range t.rows {
		if a := &t.rows[i].announce; t.rows[i].used && a.Port == id && a.Address == from {
			return i
		}
	}
	return -1
}

// free returns a row that no master has, or a master that has been silent for too long to qualify by its next message; -1 if
// there is none.
func (t *foreignTable) free(now clock.Mono, parent int) int {
	for i := range t.rows {
		f := &t.rows[i]
		if !f.used || i != parent && now.Sub(f.last) > foreignWindow*f.interval {
			return i
		}
	}
	return -1
}

// displace returns the row of a master that makes room: by chance, since a flood of invented ones would drive out any other
// order of them. Unqualified ones go first; the parent and those that have been parent stay.
func (t *foreignTable) displace(now clock.Mono, parent int, former *formerParents, rng *rand.Rand) int {
	chosen, qualified, n := -1, true, 0
	for i := range t.rows {
		f := &t.rows[i]
		q := f.qualified(now)
		if i == parent || q && !qualified || f.preference(former) > 1 {
			continue
		}
		if q != qualified {
			qualified, n = q, 0
		}
		if n++; rng.IntN(n) == 0 {
			chosen = i
		}
	}
	return chosen
}

// best returns the best of the qualified masters and the parent (E_rbest of §9.3.2.3), -1 if there is none. Of two that
// compare equal the parent stays, unless its Syncs are of no use: they have the same identity and different addresses, and
// one of them only says that it is a master.
func (t *foreignTable) best(now clock.Mono, parent int, former *formerParents) int {
	best := parent
	for i := range t.rows {
		f := &t.rows[i]
		if !f.used || i == parent || !f.qualified(now) {
			continue
		}
		if best < 0 || f.better(&t.rows[best], former) {
			best = i
		}
	}
	return best
}

// better reports whether f is to be preferred to o. Of two rows with the same identity one is an impostor. The port prefers
// one that it has followed before, then one that sends Syncs. One whose Syncs could not be used comes last.
func (f *foreignMaster) better(o *foreignMaster, former *formerParents) bool {
	c := Compare(&f.data, &o.data)
	return c < 0 || c == Same && f.preference(former) > o.preference(former)
}

func (f *foreignMaster) preference(former *formerParents) int {
	switch {
	case f.unusable:
		return 0
	case former.has(f.announce.Port, f.announce.Address):
		return 3
	case f.syncs:
		return 2
	}
	return 1
}

// setUnusable marks the parent, and no other row, as one whose Syncs could not be used.
func (t *foreignTable) setUnusable(parent int) {
	for i := range t.rows {
		t.rows[i].unusable = i == parent
	}
}

// Parent is the port that a client port follows and what it announces. Time is the timePropertiesDS (IEEE 1588-2019 §8.2.4).
type Parent struct {
	ParentDS
	// Address is where its Announce messages come from; zero where the transport has none.
	Address Address
	// StepsRemoved is that of the Announce: 0 when the parent is the grandmaster itself.
	StepsRemoved uint16
	Time         wire.TimeProperties
	// AnnounceInterval is the interval of its Announce messages, within 62.5 ms and 16 s; 1 s if it states none.
	AnnounceInterval time.Duration
}

func parentOf(m *wire.Announce, from Address) Parent {
	return Parent{
		ParentDS: ParentDS{Port: m.Source, Grandmaster: m.Grandmaster, Priority1: m.Priority1, Priority2: m.Priority2,
			Quality: m.Quality},
		Address:          from,
		StepsRemoved:     m.StepsRemoved,
		Time:             m.TimeProperties(),
		AnnounceInterval: statedInterval(m.LogInterval, minLogAnnounce, maxLogAnnounce),
	}
}

// formerParents are the latest masters that this port has been measured by. They always get a row of the table.
type formerParents [4]struct {
	port    wire.PortIdentity
	address Address
}

func (f *formerParents) remember(p *Parent) {
	i := 0
	for i < len(f)-1 && !(f[i].port == p.Port && f[i].address == p.Address) {
		i++
	}
	copy(f[1:i+1], f[:i])
	f[0].port, f[0].address = p.Port, p.Address
}

func (f *formerParents) has(port wire.PortIdentity, address Address) bool {
	for i := range f {
		if f[i].port == port && f[i].address == address {
			return true
		}
	}
	return false
}
