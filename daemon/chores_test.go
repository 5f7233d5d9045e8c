// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/status"
)

// TestSnapshotsAreMadeWhenAskedFor looks from outside while the loop runs, and after its end.
func TestSnapshotsAreMadeWhenAskedFor(t *testing.T) {
	r := newRig(t, newFakeHost(t), "")
	r.nextChores, r.nextWatchdog = r.now().Add(time.Hour), r.now().Add(time.Hour)
	ended := make(chan error)
	before := r.snapshot.Load()
	go func() { ended <- r.loop.run(r.ctx, r.Daemon, r.handle) }()
	first := r.look()
	if before != nil || first == nil {
		t.Fatalf("before anybody looks there is %v, then %v", before, first)
	}
	at := r.looked
	if again := r.look(); again != first && r.now().Sub(at) < snapshotAge {
		t.Error("another snapshot was made at once")
	}
	time.Sleep(snapshotAge)
	later := r.look()
	if later.Time.Sub(first.Time) < snapshotAge {
		t.Errorf("%v later the snapshot is %v newer", snapshotAge, later.Time.Sub(first.Time))
	}
	r.cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	time.Sleep(snapshotAge)
	if s := r.look(); s != later {
		t.Errorf("after the end: %+v", s)
	}
}

// TestServiceManagerIsToldOfChanges, not of each nanosecond.
func TestServiceManagerIsToldOfChanges(t *testing.T) {
	told := toldState{status.Locked, "following a", 1000}
	for _, c := range []struct {
		now  toldState
		same bool
	}{
		{told, true},
		{toldState{status.Locked, "following a", 1250}, true},
		{toldState{status.Locked, "following a", 800}, true},
		{toldState{status.Locked, "following a", 1300}, false},
		{toldState{status.Locked, "following a", 700}, false},
		{toldState{status.Locked, "following a", 0}, false},
		{toldState{status.Locked, "following b", 1000}, false},
		{toldState{status.Holdover, "following a", 1000}, false},
	} {
		if got := c.now.same(told); got != c.same {
			t.Errorf("%+v is the same as %+v: %v", c.now, told, got)
		}
	}
}

// TestChoresTakeNoWakeUp has the loop woken once a second, wherever between two of them the first chores are due.
func TestChoresTakeNoWakeUp(t *testing.T) {
	r := newRig(t, newFakeHost(t), "")
	start := r.now()
	for phase := time.Duration(0); phase < time.Second; phase += 50 * time.Millisecond {
		r.nextChores, r.nextWatchdog = start.Add(phase), start.Add(time.Hour)
		done, alone := 0, 0
		for after := time.Duration(0); after < 20*time.Second; after += time.Second {
			if next := r.nextChores; next < start.Add(after) {
				r.Wake(next)
				alone++
			}
			next := r.nextChores
			if r.Wake(start.Add(after)); r.nextChores != next {
				done++
			}
		}
		if alone > 2 || done < 17 {
			t.Errorf("phase %v: done %d times with other things, %d times alone", phase, done, alone)
		}
	}
}
