// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"math/rand/v2"
	"testing"
	"time"
)

func issue(ids *idTable, n int, now time.Duration) (last uint32) {
	for range n {
		last = ids.issue(now)
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
	issue(&ids, 3, 0)
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
	issue(&ids, outstanding, 0)
	if id := issue(&ids, 1, 0); id != outstanding || ids.losses(0) != 1 {
		t.Errorf("issued %d with %d lost, want %d and one lost", id, ids.losses(0), outstanding)
	}
	checkSettle(t, &ids, 0, 0, 0, late)
	checkSettle(t, &ids, 1, 0, 1, expected)
	issue(&ids, 1, 0) // takes the slot of 1, which has had its stamp
	if issue(&ids, 1, 0); ids.losses(0) != 2 {
		t.Error("2 has had no stamp, and is not lost")
	}
}

// A few sends are given up in time too, once each, whoever asks.
func TestIDsGiveUpAfterAWhile(t *testing.T) {
	var ids idTable
	issue(&ids, 2, 0)
	ids.issue(time.Second)
	checkSettle(t, &ids, 1, time.Second, 1, expected)
	for _, c := range []struct {
		now  time.Duration
		want uint64
	}{{stampPatience - 1, 0}, {stampPatience, 1}, {stampPatience, 1}, {time.Second + stampPatience, 2}, {time.Hour, 2}} {
		if got := ids.losses(c.now); got != c.want {
			t.Errorf("at %v %d are lost, want %d", c.now, got, c.want)
		}
	}
	checkSettle(t, &ids, 0, time.Hour, 0, late)
	checkSettle(t, &ids, 0, time.Hour, 0, foreign)
	checkSettle(t, &ids, 1, time.Hour, 0, foreign)
	id := ids.issue(time.Hour)
	checkSettle(t, &ids, id, time.Hour+stampPatience, 0, late)
	if got := ids.losses(time.Hour + stampPatience); got != 3 {
		t.Errorf("%d are lost, want 3", got)
	}
}

func TestIDsWrapAround(t *testing.T) {
	ids := idTable{next: 1<<32 - 2, oldest: 1<<32 - 2, issued: 1<<32 - 2}
	issue(&ids, 4, 0)
	checkSettle(t, &ids, 1<<32-1, 0, 1<<32-1, expected)
	checkSettle(t, &ids, 1, 0, 1, expected)
	checkSettle(t, &ids, 2, 0, 0, foreign)
	checkSettle(t, &ids, 1<<32-2-outstanding, 0, 0, late)
}

func TestIDsOfAFailedSend(t *testing.T) {
	var ids idTable
	id := issue(&ids, 1, 0)
	ids.cancel(id)
	checkSettle(t, &ids, id, 0, 0, foreign)
}

func TestIDsAfterTheKernelsCountBeginsAnew(t *testing.T) {
	var ids idTable
	issue(&ids, 10, time.Minute)
	ids.restart(time.Minute)
	if id := issue(&ids, 2, time.Minute); id != 11 {
		t.Fatalf("id %d, want 11: the caller's ids go on", id)
	}
	checkSettle(t, &ids, 0, time.Minute, 0, late) // may be the first of either count
	ids.restart(time.Minute + settling/2)
	issue(&ids, 1, time.Minute+settling/2)
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
		id := ids.issue(now)
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
