// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"math/rand/v2"
	"testing"
	"time"
)

func issue(t *testing.T, ids *idTable, n int) (last uint32) {
	t.Helper()
	for range n {
		last, _ = ids.issue()
	}
	return last
}

func checkSettle(t *testing.T, ids *idTable, n uint32, now time.Duration, wantID uint32, want verdict) {
	t.Helper()
	if id, v := ids.settle(n, now); v != want || id != wantID {
		t.Errorf("settle(%d) = %d, %d, want %d, %d", n, id, v, wantID, want)
	}
}

func TestIDsSettleOnceInAnyOrder(t *testing.T) {
	var ids idTable
	issue(t, &ids, 3)
	checkSettle(t, &ids, 2, 0, 2, expected)
	checkSettle(t, &ids, 0, 0, 0, expected)
	checkSettle(t, &ids, 0, 0, 0, foreign)
	checkSettle(t, &ids, 3, 0, 0, foreign)
	checkSettle(t, &ids, 1<<32-1, 0, 0, foreign)
	checkSettle(t, &ids, 1<<31, 0, 0, foreign)
	checkSettle(t, &ids, 1, 0, 1, expected)
}

func TestIDsGiveUpTheOldest(t *testing.T) {
	var ids idTable
	issue(t, &ids, outstanding)
	if id, lost := ids.issue(); id != outstanding || !lost {
		t.Errorf("issue() = %d, %v, want %d and one lost", id, lost, outstanding)
	}
	checkSettle(t, &ids, 0, 0, 0, late)
	checkSettle(t, &ids, 1, 0, 1, expected)
	ids.issue() // takes the slot of 1, which has had its stamp
	if _, lost := ids.issue(); !lost {
		t.Error("2 has had no stamp, and is not lost")
	}
}

func TestIDsWrapAround(t *testing.T) {
	ids := idTable{next: 1<<32 - 2, issued: 1<<32 - 2}
	issue(t, &ids, 4)
	checkSettle(t, &ids, 1<<32-1, 0, 1<<32-1, expected)
	checkSettle(t, &ids, 1, 0, 1, expected)
	checkSettle(t, &ids, 2, 0, 0, foreign)
	checkSettle(t, &ids, 1<<32-2-outstanding, 0, 0, late)
}

func TestIDsOfAFailedSend(t *testing.T) {
	var ids idTable
	id := issue(t, &ids, 1)
	ids.cancel(id)
	checkSettle(t, &ids, id, 0, 0, foreign)
}

func TestIDsAfterTheKernelsCountBeginsAnew(t *testing.T) {
	var ids idTable
	issue(t, &ids, 10)
	ids.restart(time.Minute)
	if id := issue(t, &ids, 2); id != 11 {
		t.Fatalf("id %d, want 11: the caller's ids go on", id)
	}
	checkSettle(t, &ids, 0, time.Minute, 0, late) // may be the first of either count
	ids.restart(time.Minute + settling/2)
	issue(t, &ids, 1)
	checkSettle(t, &ids, 9, time.Minute+settling, 0, late) // of the first count still
	checkSettle(t, &ids, 0, time.Minute+settling/2+settling, 12, expected)
	checkSettle(t, &ids, 1, time.Minute+settling/2+settling, 0, foreign)
}

// A stamp is never given to another send than its own, whatever is lost, doubled, delayed or refused.
func TestIDsNeverMistaken(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	type stamp struct {
		number, id uint32
		at         time.Duration
	}
	var ids idTable
	var kernel uint32
	var underway []stamp
	now, matched := time.Duration(0), 0
	for range 20000 {
		now += time.Duration(rng.IntN(20)) * time.Millisecond
		id, _ := ids.issue()
		if rng.IntN(500) == 0 { // the send fails; the kernel counts it, or not
			ids.cancel(id)
			ids.restart(now)
			kernel = 0
			continue
		}
		s := stamp{kernel, id, now + time.Duration(rng.IntN(int(settling)))}
		kernel++
		for range rng.IntN(3) {
			underway = append(underway, s)
		}
		rest := underway[:0]
		for _, s := range underway {
			if s.at > now {
				rest = append(rest, s)
				continue
			}
			if id, v := ids.settle(s.number, now); v == expected {
				matched++
				if id != s.id {
					t.Fatalf("stamp of send %d given to %d", s.id, id)
				}
			}
		}
		underway = rest
	}
	if matched < 5000 {
		t.Errorf("%d matched, want most of the 13000 that came", matched)
	}
}
