// SPDX-License-Identifier: Apache-2.0

package source

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestEqualSourcesDoNotAlternate lets two sources be better in turn.
func TestEqualSourcesDoNotAlternate(t *testing.T) {
	s := NewSelector(policy())
	s.Select([]Candidate{candidate("a", 0, ms), candidate("b", 0, 2*ms)}, Own{})
	for i := range 100 {
		a, b := time.Duration(2+i%3)*ms, time.Duration(2+(i+1)%3)*ms
		if r := s.Select([]Candidate{candidate("a", 0, a), candidate("b", 0, b)}, Own{}); r.Leader != "a" {
			t.Fatalf("round %d: %q leads", i, r.Leader)
		}
	}
}

func TestMuchBetterForAWhileTakesOver(t *testing.T) {
	s := NewSelector(policy())
	s.Select([]Candidate{candidate("a", 0, ms)}, Own{})
	both := []Candidate{candidate("a", 0, 10*ms), candidate("b", 0, 2*ms)}
	for i := range muchBetterRounds {
		want := ID("a")
		if i == muchBetterRounds-1 {
			want = "b"
		}
		if r := s.Select(both, Own{}); r.Leader != want {
			t.Fatalf("round %d: %q leads, want %q", i, r.Leader, want)
		}
	}
}

func TestHigherRankTakesOverAtOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		rise Candidate
	}{
		{"better kind", candidate("ptp", 0, 2*ms)},
		{"preferred", candidate("b", 0, 2*ms).with(prefer)},
	} {
		s := NewSelector(policy())
		s.Select([]Candidate{candidate("a", 0, ms)}, Own{})
		if r := s.Select([]Candidate{candidate("a", 0, ms), c.rise}, Own{}); r.Leader != c.rise.ID {
			t.Errorf("%s: %q leads", c.name, r.Leader)
		}
	}
}

func TestLeaderLost(t *testing.T) {
	s := NewSelector(policy())
	s.Select([]Candidate{candidate("a", 0, ms), candidate("b", 0, 2*ms)}, Own{})
	if r := s.Select([]Candidate{{ID: "a", Kind: NTP, State: Unreachable}, candidate("b", 0, 2*ms)}, Own{}); r.Leader != "b" {
		t.Errorf("%q leads after a is lost", r.Leader)
	}
	if r := s.Select([]Candidate{{ID: "b", Kind: NTP, State: Unreachable}}, Own{}); r.Leader != "" {
		t.Errorf("%q leads after all are lost", r.Leader)
	}
}

// TestReasons shows each sentence once.
func TestReasons(t *testing.T) {
	for _, c := range []struct {
		reason Reason
		want   string
	}{
		{Reason{}, ""},
		{Reason{Code: NoAnswer}, "no answer"},
		{Reason{Code: NoMaster}, "no master is heard"},
		{Reason{Code: DelayUnknown}, "the path delay is not known yet"},
		{Reason{Code: NoUTCOffset}, "its time cannot be related to UTC: TAI−UTC is unknown, or its timescale is arbitrary"},
		{Reason{Code: NoCrossing}, "its clock has not been compared with the system clock yet"},
		{Reason{Code: Stale, A: 5123 * ms}, "last sample is 5.1s old"},
		{Reason{Code: Unsynchronized}, "it says that it is not synchronised"},
		{Reason{Code: Configured}, "not to be followed, by configuration"},
		{Reason{Code: TooFar, A: 2 * time.Second, B: 1500 * ms}, "maximum error 2s exceeds 1.5s"},
		{Reason{Code: TooFew, N: 1, M: 2}, "1 of 2 sources needed agree"},
		{Reason{Code: Disagrees, A: ms, B: 10, N: 3, M: 4},
			"offset 1ms ± 10ns does not overlap with the 3 of 4 sources that agree"},
		{Reason{Code: HasJumped, A: ms, B: 100}, "its time has jumped; offset 1ms is more than the 100ns to be expected"},
		{Reason{Code: Leads, N: 3, M: 4}, "best of the 3 of 4 sources that agree"},
		{Reason{Code: JoinsLeader, Other: "ntp:a"}, "used together with ntp:a"},
		{Reason{Code: LeaderRanksHigher, Other: "ptp:a"}, "ptp:a ranks higher"},
		{Reason{Code: LinkDown}, "the link is down"},
		{Reason{Code: NoClock}, "the clock that it is measured by is gone"},
	} {
		if got := c.reason.String(); got != c.want {
			t.Errorf("code %d: %q, want %q", c.reason.Code, got, c.want)
		}
	}
}

// TestVerdictOfAFalseticker checks that the sentence says what is wrong, and with how many it disagrees.
func TestVerdictOfAFalseticker(t *testing.T) {
	r := NewSelector(policy()).Select([]Candidate{candidate("ptp", -10*ms, 1000), candidate("a", 0, ms), candidate("b", 0, ms),
		candidate("c", 0, ms)}, Own{})
	if got := r.Verdicts[0].Reason.String(); !strings.Contains(got, "-10ms ± 1µs") || !strings.Contains(got, "3 of 4 sources") {
		t.Errorf("%q", got)
	}
}

func chance(rng *rand.Rand) []Candidate {
	list := []Candidate{candidate("ptp", 0, 1000), candidate("a", 0, ms), candidate("b", 0, ms), candidate("c", 0, ms)}
	for i := range list {
		list[i].Offset = time.Duration(rng.Int64N(int64(4 * ms)))
		list[i].Suspect = rng.IntN(4) == 0
	}
	return list
}

func TestSameHistorySameChoice(t *testing.T) {
	run := func() (all []Verdict) {
		rng, s := rand.New(rand.NewPCG(1, 1)), NewSelector(policy())
		for range 500 {
			all = append(all, s.Select(chance(rng), own()).Verdicts...)
		}
		return all
	}
	if d := cmp.Diff(run(), run()); d != "" {
		t.Error(d)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	s, list := NewSelector(policy()), chance(rand.New(rand.NewPCG(1, 1)))
	s.Select(list, own())
	if n := testing.AllocsPerRun(100, func() { s.Select(list, own()) }); n != 0 {
		t.Errorf("%g allocations per selection", n)
	}
}

func BenchmarkSelect(b *testing.B) {
	s, list := NewSelector(policy()), chance(rand.New(rand.NewPCG(1, 1)))
	b.ReportAllocs()
	for b.Loop() {
		s.Select(list, own())
	}
}
