// SPDX-License-Identifier: Apache-2.0

package timescale

import (
	"fmt"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

func reference(n uint64) func(*Witness) { return func(w *Witness) { w.Claim.Reference = n } }

func TestAdvice(t *testing.T) {
	const lastDay, otherDay = "2026-06-30 12:00:00", "2026-06-29 12:00:00"
	for _, c := range []struct {
		name      string
		now       string
		list      string // when it expires, none if empty
		listed    []string
		witnesses []Witness
		due       clock.Leap
		why       AdviceReason
	}{
		{name: "nobody", now: lastDay, why: NotAnnounced},
		{name: "two of three servers", now: lastDay,
			witnesses: []Witness{server("a").with(inserts), server("b").with(inserts), server("c")},
			due:       clock.LeapInsert, why: ByMajority},
		{name: "one to be deleted", now: lastDay, witnesses: []Witness{server("a").with(deletes)}, due: clock.LeapDelete,
			why: ByMajority},
		{name: "one of two servers", now: lastDay, witnesses: []Witness{server("a").with(inserts), server("b")}, why: ByMinority},
		{name: "one inserts, one deletes", now: lastDay,
			witnesses: []Witness{server("a").with(inserts), server("b").with(deletes)}, why: ByMinority},
		{name: "liars have no vote", now: lastDay, witnesses: []Witness{server("a"), server("b").with(inserts).with(falseticker),
			server("c").with(inserts).with(suspect)}, why: NotAnnounced},
		{name: "another day", now: otherDay, witnesses: []Witness{server("a").with(inserts)}, why: OtherDay},
		{name: "a minute after the end of the day", now: "2026-07-01 00:01:00", witnesses: []Witness{server("a").with(inserts)},
			why: NotAnnounced},
		{name: "grandmasters that know UTC", now: lastDay, witnesses: []Witness{grandmaster("a", 37).with(inserts)},
			due: clock.LeapInsert, why: ByMajority},
		{name: "a grandmaster that does not", now: lastDay, witnesses: []Witness{grandmaster("a", 37).with(invalid).with(inserts)},
			why: NotAnnounced},
		{name: "an unconfigured grandmaster", now: lastDay,
			witnesses: []Witness{grandmaster("a", 37).with(unconfigured).with(inserts)}, why: NotAnnounced},
		{name: "one grandmaster through two ports", now: lastDay,
			witnesses: []Witness{grandmaster("a", 37).with(inserts).with(reference(1)),
				grandmaster("b", 37).with(inserts).with(reference(1)), server("c")}, why: ByMinority},
		{name: "two grandmasters", now: lastDay, witnesses: []Witness{grandmaster("a", 37).with(inserts).with(reference(1)),
			grandmaster("b", 37).with(inserts).with(reference(2)), server("c")}, due: clock.LeapInsert, why: ByMajority},
		{name: "the list alone", now: lastDay, list: "2026-12-28", listed: []string{"2026-07-01"}, due: clock.LeapInsert,
			why: Listed},
		{name: "the list against all", now: lastDay, list: "2026-12-28", witnesses: []Witness{server("a").with(inserts)},
			why: NotListed},
		{name: "a list that expires today", now: lastDay, list: "2026-06-30", witnesses: []Witness{server("a").with(inserts)},
			due: clock.LeapInsert, why: ByMajority},
	} {
		cfg := Config{}
		if c.list != "" {
			cfg.Leaps = list(t, c.list, c.listed...)
		}
		r := newRig(cfg, &clocks{utc: at(c.now)})
		r.CheckLeap(0, true, c.witnesses)
		if a := r.Advice(); a.Due != c.due || a.Why != c.why || r.Armed() != c.due {
			t.Errorf("%s: due %d because %v, armed %d; want %d", c.name, a.Due, a, r.Armed(), c.due)
		}
	}
}

// TestArming: what is armed stays while nobody can be asked, and nothing is armed by a clock that may be off.
func TestArming(t *testing.T) {
	const now = "2026-06-30 12:00:00"
	announced := []Witness{server("a").with(inserts)}
	for _, c := range []struct {
		name   string
		clocks clocks
		steps  func(*rig)
		armed  clock.Leap
	}{
		{"followed", clocks{}, func(r *rig) { r.CheckLeap(1, true, announced) }, clock.LeapInsert},
		{"nobody is followed", clocks{}, func(r *rig) { r.CheckLeap(1, false, announced) }, clock.NoLeap},
		{"not locked yet", clocks{untrusted: true}, func(r *rig) { r.CheckLeap(1, true, announced) }, clock.NoLeap},
		{"not steered", clocks{untrusted: true, free: true}, func(r *rig) { r.CheckLeap(1, true, announced) }, clock.LeapInsert},
		{"taken back", clocks{}, func(r *rig) { r.CheckLeap(1, true, announced); r.CheckLeap(2, true, []Witness{server("a")}) },
			clock.NoLeap},
		{"all are lost", clocks{}, func(r *rig) { r.CheckLeap(1, true, announced); r.CheckLeap(2, false, nil) }, clock.LeapInsert},
		{"taken over from the kernel", clocks{}, func(r *rig) {
			r.TakeUp(1, clock.LeapInsert, clock.At(clock.System, at(now)))
			r.CheckLeap(2, false, nil)
		}, clock.LeapInsert},
		{"the clock is set", clocks{}, func(r *rig) {
			r.CheckLeap(1, true, announced)
			if !r.Rearm(2) || r.Armed() != clock.NoLeap {
				t.Error("not disarmed when the clock is set")
			}
			r.CheckLeap(clock.Mono(second), true, announced) // the kernel has not looked yet
			if r.Armed() != clock.NoLeap {
				t.Error("armed again too soon")
			}
			r.CheckLeap(clock.Mono(3*second), true, announced)
		}, clock.LeapInsert},
		{"nothing to arm again", clocks{}, func(r *rig) {
			if r.Rearm(1) {
				t.Error("something is to be armed again")
			}
		}, clock.NoLeap},
	} {
		c.clocks.utc = at(now)
		r := newRig(Config{}, &c.clocks)
		c.steps(r)
		if r.Armed() != c.armed {
			t.Errorf("%s: armed %d, want %d", c.name, r.Armed(), c.armed)
		}
	}
}

// TestTooLate changes nothing within the last two seconds of the day, and allows for the second being wrong.
func TestTooLate(t *testing.T) {
	c := &clocks{utc: at("2026-06-30 23:59:50")}
	r := newRig(Config{}, c)
	r.CheckLeap(1, true, []Witness{server("a").with(inserts)})
	r.CheckLeap(clock.Mono(8500*time.Millisecond), true, []Witness{server("a")})
	if r.Armed() != clock.LeapInsert || c.uncertainty != second {
		t.Errorf("armed %d, uncertainty %v", r.Armed(), c.uncertainty)
	}
}

// TestLeapSecond goes over the end of the day, and reviews what the sources have made of it.
func TestLeapSecond(t *testing.T) {
	const after = clock.Mono(20 * second) // 10 s after the end of the day
	for _, leap := range []clock.Leap{clock.LeapInsert, clock.LeapDelete} {
		ns := float64(leap) * 1e9 // by which the clock would be behind one that has had none
		for _, c := range []struct {
			name    string
			sources []Witness
			open    bool // still is
			undone  bool
		}{
			{name: "servers have had it", sources: []Witness{server("a").with(off(1e3, after)), server("b").with(off(-2e6, after))}},
			{name: "servers have not had it", sources: []Witness{server("a").with(off(-ns, after)),
				server("b").with(off(-ns, after))}, undone: true},
			{name: "one has, one has not", sources: []Witness{server("a").with(off(0, after)), server("b").with(off(-ns, after))},
				open: true},
			{name: "two of three have", sources: []Witness{server("a").with(off(0, after)), server("b").with(off(-ns, after)),
				server("c").with(off(0, after))}},
			{name: "nobody has been asked since", sources: []Witness{server("a").with(off(0, clock.Mono(11*second)))}, open: true},
			{name: "one is neither here nor there", sources: []Witness{server("a").with(off(5e8, after))}, open: true},
			{name: "a grandmaster announces the new offset", sources: []Witness{grandmaster("a", 37+int(leap))}},
			{name: "a grandmaster that nobody has configured", sources: []Witness{grandmaster("a", 37+int(leap)).with(unconfigured)},
				open: true},
		} {
			k := &clocks{utc: at("2026-06-30 23:59:50")}
			announce := func(w *Witness) { w.Claim.Leap = leap }
			r := newRig(Config{Saved: 37}, k)
			r.Review(0, nil)
			r.CheckLeap(1, true, []Witness{server("a").with(announce)})
			r.CheckLeap(clock.Mono(10*second), true, nil)
			if want := fmt.Sprint("done ", leap); len(k.leaps) != 1 || k.leaps[0] != want || r.Offset().Seconds != 37+int(leap) ||
				r.Armed() != clock.NoLeap || k.uncertainty != second {
				t.Fatalf("%s: %v, offset %v, uncertainty %v", c.name, k.leaps, r.Offset(), k.uncertainty)
			}
			undone, ok := r.ReviewLeap(after, c.sources)
			if ok != c.undone || ok && (undone.Leap != leap || undone.Since != clock.Mono(12*second)) {
				t.Errorf("%d, %s: undone %v, %+v", leap, c.name, ok, undone)
			}
			want := 37 + int(leap)
			if c.undone {
				want = 37
			}
			if got := r.Offset().Seconds; got != want {
				t.Errorf("%d, %s: offset %d, want %d", leap, c.name, got, want)
			}
			if open := k.uncertainty != 0; open != c.open {
				t.Errorf("%d, %s: uncertainty %v", leap, c.name, k.uncertainty)
			}
		}
	}
}

// TestGrandmasterKeepsItsOffset waits for a grandmaster to announce the new offset, and takes the leap second back if it
// does not.
func TestGrandmasterKeepsItsOffset(t *testing.T) {
	k := &clocks{utc: at("2026-06-30 23:59:50")}
	r := newRig(Config{Saved: 37}, k)
	r.Review(0, nil)
	r.CheckLeap(1, true, []Witness{grandmaster("a", 37).with(inserts)})
	r.CheckLeap(clock.Mono(10*second), true, nil)
	stale := []Witness{grandmaster("a", 37)}
	if _, ok := r.ReviewLeap(clock.Mono(10*second+leapPatience-1), stale); ok {
		t.Error("taken back while it may still be announced")
	}
	if _, ok := r.ReviewLeap(clock.Mono(10*second+leapPatience), stale); !ok || r.Offset().Seconds != 37 {
		t.Errorf("not taken back: %+v", r.Offset())
	}
}

// TestListedLeapSecond needs nobody to confirm it.
func TestListedLeapSecond(t *testing.T) {
	k := &clocks{utc: at("2026-06-30 23:59:50")}
	r := newRig(Config{Leaps: list(t, "2026-12-28", "2026-07-01")}, k)
	r.Review(0, nil)
	r.CheckLeap(1, false, nil)
	r.CheckLeap(clock.Mono(10*second), false, nil)
	if r.Offset().Seconds != 38 || k.uncertainty != 0 || len(k.leaps) != 1 {
		t.Errorf("%+v, uncertainty %v, %v", r.Offset(), k.uncertainty, k.leaps)
	}
}
