// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/source"
)

// TestCandidate says what a source offers by its latest samples: the best one counts of a server, the last one of a source
// that is taken at its word.
func TestCandidate(t *testing.T) {
	samples := []point{{clock.Mono(1e9), 900, 40 * us}, {clock.Mono(2e9), 100, 10 * us}, {clock.Mono(3e9), 500, 90 * us}}
	for _, c := range []struct {
		name     string
		toy      *toy
		samples  []point
		believes bool // the host does
		state    source.State
		code     source.Code
		offset   time.Duration
		bound    time.Duration // at least, and at most a third more
	}{
		{name: "best of a server", toy: newToy("a", source.NTP, true, 0, 0, 0), samples: samples, believes: true,
			state:  source.Usable,
			offset: 100, bound: 10 * us},
		{name: "last of a master", toy: newToy("a", source.PTP, false, 0, 0, 0), samples: samples, believes: true,
			state:  source.Usable,
			offset: 500, bound: 90 * us},
		{name: "the age counts for a host that knows nothing", toy: newToy("a", source.NTP, true, 0, 0, 0), samples: samples[:2],
			state: source.Usable, offset: 100, bound: 10*us + 500*us},
		{name: "no sample on UTC", toy: newToy("a", source.NTP, true, 0, 0, 0), state: source.WarmingUp, code: source.NoCrossing},
		{name: "no sample on TAI", toy: func() *toy {
			y := newToy("a", source.PTP, false, 0, 0, 0)
			y.claim.Scale = clock.TAI
			return y
		}(), state: source.WarmingUp, code: source.NoUTCOffset},
		{name: "not usable by its protocol", toy: func() *toy {
			y := newToy("a", source.NTP, true, 0, 0,
				0)
			y.lose()
			return y
		}(),
			samples: samples, state: source.Unreachable, code: source.NoAnswer},
	} {
		r := newRig(t, nil, c.toy)
		s := r.sources[0]
		s.relate = true
		for _, p := range c.samples {
			s.add(p)
		}
		r.own.Known = c.believes
		got := r.candidate(clock.Mono(3e9), s)
		if got.State != c.state || got.Reason.Code != c.code || got.Offset != c.offset || got.MaxError < c.bound ||
			got.MaxError > c.bound*4/3+3*us {
			t.Errorf("%s: %v (%v), offset %v ± %v", c.name, got.State, got.Reason, got.Offset, got.MaxError)
		}
	}
}

// TestPreferredIsAwaited: at the start a source of a kind that ranks higher is waited for, if it may come at any moment.
func TestPreferredIsAwaited(t *testing.T) {
	for _, c := range []struct {
		name   string
		code   source.Code
		awaits bool
	}{{"no master yet", source.NoMaster, true}, {"its link is down", source.LinkDown, false},
		{"it has no port", source.NoPort, false}} {
		master, server := newToy("master", source.PTP, false, 0, 10, us), newToy("server", source.NTP, true, 0, 1e3, ms)
		master.standing = source.Standing{State: source.Unreachable, Reason: source.Reason{Code: c.code}}
		r := newRig(t, []source.Kind{source.PTP, source.NTP}, master, server)
		r.run(grace - 2*time.Second)
		if waits := r.leader == nil; waits != c.awaits {
			t.Errorf("%s: waited for %v", c.name, waits)
		}
		r.run(4 * time.Second)
		if r.leader == nil {
			t.Errorf("%s: waited for it for ever", c.name)
		}
	}
}

// TestJumpedLeader moves a source that is taken at its word by 5 ms. Alone it is followed after a while, by slewing; beside
// a server that says otherwise it is not.
func TestJumpedLeader(t *testing.T) {
	for _, beside := range []bool{false, true} {
		master, server := newToy("master", source.PTP, false, 0, 10, us), newToy("server", source.NTP, true, 0, 1e3, ms)
		if !beside {
			server.lose()
		}
		r := newRig(t, []source.Kind{source.PTP, source.NTP}, master, server)
		r.run(60 * time.Second)
		master.wrong = 5 * ms
		r.run(suspectHold - 5*time.Second)
		r.within(-50*us, 50*us)
		if got := master.verdict; got.State != source.Falseticker {
			t.Errorf("beside a server %v: %v %v", beside, got.State, got.Reason)
		}
		r.run(60 * time.Second)
		if beside {
			r.within(-50*us, 50*us)
		} else {
			r.within(5*ms-10*us, 5*ms+10*us)
		}
	}
}
