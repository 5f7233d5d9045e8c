// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"sync"
	"time"
)

// outstanding is how many sends may be without their stamp before the oldest is given up, stampPatience how long one may
// be. NICs under load have been seen to take some hundreds of milliseconds.
const (
	outstanding   = 64
	stampPatience = 4 * time.Second
)

// settling is how long stamps may be under way that were numbered before the kernel's count began anew. Those that could
// be of either count are dropped for so long, rather than given to the wrong datagram.
const settling = time.Second

// verdict says what became of a stamp.
type verdict uint8

const (
	expected verdict = iota
	// late: its id has been given up, or may have been one of before the kernel's count began anew.
	late
	// foreign: its id was never given, or has had its stamp.
	foreign
)

// idTable matches the kernel's numbers of sends with those that Send returns. It is safe for concurrent use.
type idTable struct {
	mu     sync.Mutex
	next   uint32
	oldest uint32               // no id before it waits for its stamp
	sends  [outstanding]pending // by id modulo outstanding, of the ids next-outstanding to next-1
	issued uint64               // sends so far
	lost   uint64               // of them, given up
	// base is what to add to the kernel's number. It changes when the kernel's count begins anew; before is how many
	// numbers the former count had given, which may be mistaken for new ones until settled.
	base    uint32
	before  uint32
	settled time.Duration
}

// stage is how far a send has come.
type stage uint8

const (
	done stage = iota // it has its stamp, or has failed
	waiting
	givenUp
)

type pending struct {
	stage stage
	at    time.Duration
}

// issue numbers the next send. If it takes the place of one that waits, that is given up.
func (t *idTable) issue(now time.Duration) (id uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire(now)
	id = t.next
	slot := &t.sends[id%outstanding]
	if slot.stage == waiting {
		t.lost++
	}
	*slot = pending{waiting, now}
	t.next++
	t.issued++
	return id
}

// expire gives up the sends that have waited too long. The caller holds the lock.
func (t *idTable) expire(now time.Duration) {
	if t.next-t.oldest > outstanding {
		t.oldest = t.next - outstanding
	}
	for ; t.oldest != t.next; t.oldest++ {
		slot := &t.sends[t.oldest%outstanding]
		if slot.stage != waiting {
			continue
		}
		if now-slot.at < stampPatience {
			return
		}
		slot.stage = givenUp
		t.lost++
	}
}

// losses returns how many sends have been given up.
func (t *idTable) losses(now time.Duration) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire(now)
	return t.lost
}

// cancel says that the send of this id failed: no stamp will come.
func (t *idTable) cancel(id uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next-id <= outstanding {
		t.sends[id%outstanding].stage = done
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
	t.expire(now)
	slot := &t.sends[id%outstanding]
	was := slot.stage
	slot.stage = done
	switch was {
	case waiting:
		return id, expected
	case givenUp:
		return 0, late
	}
	return 0, foreign
}
