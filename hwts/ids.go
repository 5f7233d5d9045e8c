// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"sync"
	"time"
)

// outstanding is how many sends may be without their stamp before the oldest is given up.
const outstanding = 64

// settling is how long stamps may be under way that were numbered before the kernel's count began anew. Those that could
// be of either count are dropped for so long, rather than given to the wrong datagram.
const settling = time.Second

// verdict says what became of a stamp.
type verdict uint8

const (
	expected verdict = iota
	// late: its id has been given up.
	late
	// foreign: its id was never given, or has had its stamp.
	foreign
)

// idTable matches the kernel's numbers of sends with those that Send returns. It is safe for concurrent use.
type idTable struct {
	mu      sync.Mutex
	next    uint32
	pending [outstanding]bool // by id modulo outstanding, of the ids next-outstanding to next-1
	issued  uint64            // sends so far
	// base is what to add to the kernel's number. It changes when the kernel's count begins anew; before is how many
	// numbers the former count had given, which may be mistaken for new ones until settled.
	base    uint32
	before  uint32
	settled time.Duration
}

// issue numbers the next send. lost says that the oldest one has been given up for it.
func (t *idTable) issue() (id uint32, lost bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	id = t.next
	slot := &t.pending[id%outstanding]
	lost, *slot = *slot, true
	t.next++
	t.issued++
	return id, lost
}

// cancel says that the send of this id failed: no stamp will come.
func (t *idTable) cancel(id uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next-id <= outstanding {
		t.pending[id%outstanding] = false
	}
}

// restart says that the kernel's count begins anew at 0 with the next send.
func (t *idTable) restart(now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	numbers := t.next - t.base
	if now < t.settled {
		numbers = max(numbers, t.before)
	}
	t.before, t.base, t.settled = numbers, t.next, now+settling
}

// settle finds the send that the kernel has numbered n.
func (t *idTable) settle(n uint32, now time.Duration) (id uint32, v verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now < t.settled && n < t.before {
		return 0, late
	}
	id = t.base + n
	age := t.next - id // 1 for the latest
	if age == 0 || age > 1<<31 || uint64(age) > t.issued {
		return 0, foreign
	}
	if age > outstanding {
		return 0, late
	}
	slot := &t.pending[id%outstanding]
	if !*slot {
		return 0, foreign
	}
	*slot = false
	return id, expected
}
