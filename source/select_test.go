// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const ms = time.Millisecond

// candidate returns a usable source that says the host is off by offset ± bound.
func candidate(id string, offset, bound time.Duration) Candidate {
	c := Candidate{ID: ID(id), Kind: NTP, Traits: Traits{Combinable: true}, State: Usable, Offset: offset, MaxError: bound,
		Sigma: bound / 10}
	if strings.HasPrefix(id, "ptp") {
		c.Kind, c.Combinable = PTP, false
	}
	return c
}

func policy() Policy {
	return Policy{MinSources: 1, MaxDistance: 1500 * ms, Kinds: []Kind{PTP, PPS, NTP}}
}

func own() Own { return Own{Known: true, Sigma: ms / 5, MaxError: ms} }

func (c Candidate) with(change func(*Candidate)) Candidate {
	change(&c)
	return c
}

func prefer(c *Candidate)   { c.Prefer = true }
func trust(c *Candidate)    { c.Trust = true }
func noselect(c *Candidate) { c.NoSelect = true }
func suspect(c *Candidate)  { c.Suspect = true }

func unconfigured(c *Candidate) { c.Unconfigured = true }
func unreachable(c *Candidate)  { c.State, c.Reason = Unreachable, Reason{Code: NoAnswer} }

// states returns "id=state" of all candidates, and checks that each verdict has a reason.
func states(t *testing.T, candidates []Candidate, r Result) string {
	t.Helper()
	var words []string
	for i, c := range candidates {
		v := r.Verdicts[i]
		words = append(words, fmt.Sprintf("%s=%v", c.ID, v.State))
		if v.Reason.String() == "" {
			t.Errorf("%s is %v without a reason", c.ID, v.State)
		}
	}
	return strings.Join(words, " ")
}

// selections are the cases of TestSelect.
var selections = []struct {
	name       string
	candidates []Candidate
	own        Own
	policy     func(*Policy)
	leader     ID
	states     string
}{
	{name: "none", leader: "", states: ""},
	{name: "one", candidates: []Candidate{candidate("a", 5*ms, ms)}, leader: "a", states: "a=selected"},
	{name: "the smaller error leads, the others join",
		candidates: []Candidate{candidate("a", 0, 3*ms), candidate("b", ms, ms), candidate("c", 0, 90*ms)},
		leader:     "b", states: "a=combined b=selected c=usable"},
	{name: "PTP before NTP", candidates: []Candidate{candidate("a", 0, ms), candidate("ptp", 0, ms)},
		leader: "ptp", states: "a=usable ptp=selected"},
	{name: "NTP before PTP by policy", candidates: []Candidate{candidate("a", 0, ms), candidate("ptp", 0, ms)},
		policy: func(p *Policy) { p.Kinds = []Kind{NTP, PTP} }, leader: "a", states: "a=selected ptp=usable"},
	{name: "one liar of three",
		candidates: []Candidate{candidate("a", 0, ms), candidate("liar", 10*ms, ms), candidate("c", 0, 2*ms)},
		leader:     "a", states: "a=selected liar=falseticker c=combined"},
	{name: "a lying grandmaster among three NTP servers",
		candidates: []Candidate{candidate("ptp", -10*ms, ms/1000), candidate("a", 0, ms), candidate("b", 0, ms),
			candidate("c", 0, ms)},
		leader: "a", states: "ptp=falseticker a=selected b=combined c=combined"},
	{name: "a lie within the NTP interval cannot be told",
		candidates: []Candidate{candidate("ptp", ms/10, ms/1000), candidate("a", 0, ms), candidate("b", 0, ms)},
		leader:     "ptp", states: "ptp=selected a=usable b=usable"},
	{name: "the host itself decides between two",
		candidates: []Candidate{candidate("ptp", 10*ms, ms), candidate("a", 0, ms)}, own: own(),
		leader: "a", states: "ptp=falseticker a=selected"},
	{name: "two against the host",
		candidates: []Candidate{candidate("a", 10*ms, ms), candidate("b", 10*ms, ms)}, own: own(),
		leader: "a", states: "a=selected b=combined"},
	{name: "an unconfigured source alone", candidates: []Candidate{candidate("ptp", 0, ms).with(unconfigured)},
		leader: "", states: "ptp=unconfirmed"},
	{name: "an unconfigured source alone, with a host that agrees",
		candidates: []Candidate{candidate("ptp", 0, ms).with(unconfigured)}, own: own(), leader: "", states: "ptp=unconfirmed"},
	{name: "an unconfigured source with a majority", candidates: []Candidate{candidate("ptp", 0, ms).with(unconfigured),
		candidate("a", 0, 2*ms), candidate("b", 0, 2*ms), candidate("c", 90*ms, ms)},
		leader: "ptp", states: "ptp=selected a=usable b=usable c=falseticker"},
	{name: "an unconfigured source with a majority, whatever the order",
		candidates: []Candidate{candidate("a", 0, 20*ms), candidate("b", 0, 21*ms),
			candidate("ptp", 0, ms/1000).with(unconfigured)},
		leader: "ptp", states: "a=usable b=usable ptp=selected"},
	{name: "an unconfigured source that the majority contradicts",
		candidates: []Candidate{candidate("ptp", 50*ms, ms).with(unconfigured), candidate("a", 0, ms), candidate("b", 0, ms)},
		leader:     "a", states: "ptp=falseticker a=selected b=combined"},
	{name: "an unconfigured source with an error that covers anything",
		candidates: []Candidate{candidate("ptp", 400*ms, 500*ms).with(unconfigured), candidate("a", 0, ms),
			candidate("b", 0, ms)},
		leader: "a", states: "ptp=falseticker a=selected b=combined"},
	{name: "unconfigured sources have no vote", candidates: []Candidate{candidate("ptp0", 50*ms, ms).with(unconfigured),
		candidate("ptp1", 50*ms, ms).with(unconfigured), candidate("ptp2", 50*ms, ms).with(unconfigured), candidate("a", 0, ms),
		candidate("b", 0, ms)},
		leader: "a", states: "ptp0=falseticker ptp1=falseticker ptp2=falseticker a=selected b=combined"},
	{name: "one server of several does not confirm",
		candidates: []Candidate{candidate("ptp", 0, ms).with(unconfigured), candidate("a", 0, ms),
			candidate("b", 0, ms).with(unreachable)},
		leader: "a", states: "ptp=unconfirmed a=selected b=unreachable"},
	{name: "the only server confirms",
		candidates: []Candidate{candidate("ptp", 0, ms).with(unconfigured), candidate("a", 0, ms)},
		leader:     "ptp", states: "ptp=selected a=usable"},
	{name: "two of four are no majority, with a host that agrees",
		candidates: []Candidate{candidate("ptp", 0, ms).with(unconfigured), candidate("a", 0, ms), candidate("b", 0, ms),
			candidate("c", 50*ms, ms), candidate("d", 90*ms, ms)},
		own: own(), leader: "a", states: "ptp=unconfirmed a=selected b=combined c=falseticker d=falseticker"},
	{name: "the host alone cannot be followed", own: own(), leader: "", states: ""},
	{name: "preferred of two that disagree",
		candidates: []Candidate{candidate("a", 10*ms, ms), candidate("b", 0, ms).with(prefer)},
		leader:     "b", states: "a=falseticker b=selected"},
	{name: "preferred before a better kind",
		candidates: []Candidate{candidate("ptp", 0, ms), candidate("a", 0, ms).with(prefer)},
		leader:     "a", states: "ptp=usable a=selected"},
	{name: "preference does not make true",
		candidates: []Candidate{candidate("a", 0, ms), candidate("b", 0, ms), candidate("c", 10*ms, ms).with(prefer)},
		leader:     "a", states: "a=selected b=combined c=falseticker"},
	{name: "trust does",
		candidates: []Candidate{candidate("a", 0, ms), candidate("b", 0, ms), candidate("c", 10*ms, ms).with(trust)},
		leader:     "c", states: "a=falseticker b=falseticker c=selected"},
	{name: "noselect is neither followed nor heard",
		candidates: []Candidate{candidate("a", 0, ms).with(noselect), candidate("b", 0, ms).with(noselect),
			candidate("c", 10*ms, ms)},
		leader: "c", states: "a=noselect b=noselect c=selected"},
	{name: "too few", candidates: []Candidate{candidate("a", 0, ms), candidate("b", 0, ms)},
		policy: func(p *Policy) { p.MinSources = 3 }, leader: "", states: "a=usable b=usable"},
	{name: "enough", candidates: []Candidate{candidate("a", 0, ms), candidate("b", 0, ms), candidate("c", 0, ms)},
		policy: func(p *Policy) { p.MinSources = 3 }, leader: "a", states: "a=selected b=combined c=combined"},
	{name: "falsetickers do not count for the minimum",
		candidates: []Candidate{candidate("a", 0, ms), candidate("b", 0, ms), candidate("c", 10*ms, ms)},
		policy:     func(p *Policy) { p.MinSources = 3 }, leader: "", states: "a=usable b=usable c=falseticker"},
	{name: "too far", candidates: []Candidate{candidate("a", 0, 2000*ms), candidate("b", 0, 1500*ms)},
		leader: "b", states: "a=warming up b=selected"},
	{name: "unreachable",
		candidates: []Candidate{{ID: "a", Kind: NTP, State: Unreachable, Reason: Reason{Code: NoAnswer}}, candidate("b", 0, ms)},
		leader:     "b", states: "a=unreachable b=selected"},
	{name: "one that jumped is not followed",
		candidates: []Candidate{candidate("a", 8*ms, 10*ms).with(suspect)}, own: own(),
		leader: "", states: "a=falseticker"},
	{name: "one that jumped and agrees again is",
		candidates: []Candidate{candidate("a", ms/10, ms).with(suspect)}, own: own(), leader: "a", states: "a=selected"},
	{name: "two that disagree", candidates: []Candidate{candidate("ptp", 10*ms, ms), candidate("a", 0, ms)},
		leader: "", states: "ptp=usable a=usable"},
	{name: "three that disagree", candidates: []Candidate{candidate("a", 0, ms), candidate("b", 10*ms, ms),
		candidate("c", 20*ms, ms)},
		leader: "", states: "a=usable b=usable c=usable"},
	{name: "three that disagree, one of them preferred",
		candidates: []Candidate{candidate("a", 0, ms), candidate("b", 10*ms, ms).with(prefer), candidate("c", 20*ms, ms)},
		leader:     "", states: "a=usable b=usable c=usable"},
	{name: "three that disagree, one of them trusted",
		candidates: []Candidate{candidate("a", 0, ms), candidate("b", 10*ms, ms).with(trust), candidate("c", 20*ms, ms)},
		leader:     "b", states: "a=falseticker b=selected c=falseticker"},
	{name: "two against two",
		candidates: []Candidate{candidate("a", 0, ms), candidate("b", 0, ms), candidate("c", 20*ms, ms),
			candidate("d", 20*ms, ms)},
		leader: "", states: "a=usable b=usable c=usable d=usable"},
	{name: "two against two, the host with these",
		candidates: []Candidate{candidate("a", 20*ms, ms), candidate("b", 20*ms, ms), candidate("c", 0, ms),
			candidate("d", 0, ms)},
		own: own(), leader: "c", states: "a=falseticker b=falseticker c=selected d=combined"},
	{name: "two of five",
		candidates: []Candidate{candidate("a", 0, ms), candidate("b", 0, ms), candidate("c", 20*ms, ms),
			candidate("d", 40*ms, ms),
			candidate("e", 60*ms, ms)},
		leader: "", states: "a=usable b=usable c=usable d=usable e=usable"},
	{name: "those that cannot vote do not count",
		candidates: []Candidate{candidate("a", 0, ms), candidate("b", 10*ms, ms).with(noselect), candidate("c", 20*ms, 2000*ms)},
		leader:     "a", states: "a=selected b=noselect c=warming up"},
	{name: "rank decides among PTP sources",
		candidates: []Candidate{candidate("ptp:1", 0, ms).with(func(c *Candidate) { c.Rank = 1 }), candidate("ptp:2", 0, 5*ms)},
		leader:     "ptp:2", states: "ptp:1=usable ptp:2=selected"},
}

func TestSelect(t *testing.T) {
	for _, c := range selections {
		p := policy()
		if c.policy != nil {
			c.policy(&p)
		}
		r := NewSelector(p).Select(c.candidates, c.own)
		if got := states(t, c.candidates, r); r.Leader != c.leader || got != c.states {
			t.Errorf("%s: %q leads, %s; want %q, %s", c.name, r.Leader, got, c.leader, c.states)
		}
	}
}

// TestMajorityWins mixes sources that tell the truth with fewer that lie, each in a way of its own.
func TestMajorityWins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		liars := rapid.IntRange(0, 5).Draw(t, "liars")
		n := 2*liars + rapid.IntRange(1, 4).Draw(t, "more")
		span := func(label string, lo, hi time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(int64(lo), int64(hi)).Draw(t, label))
		}
		truth := span("truth", -time.Hour, time.Hour)
		var candidates []Candidate
		for i := range n {
			bound := span("bound", time.Microsecond, 100*ms)
			offset := truth + span("error", -bound, bound)
			id := fmt.Sprintf("true%d", i)
			if i < liars {
				id, offset = fmt.Sprintf("ptp liar%d", i), truth+bound+span("lie", 201*ms, time.Hour)
			}
			candidates = append(candidates, candidate(id, offset, bound))
		}
		order := rapid.Permutation(candidates).Draw(t, "order")
		r := NewSelector(policy()).Select(order, Own{})
		for i, v := range r.Verdicts {
			lies := strings.Contains(string(order[i].ID), "liar")
			if lies != (v.State == Falseticker) {
				t.Fatalf("%s is %v: %v", order[i].ID, v.State, v.Reason)
			}
		}
		if !strings.HasPrefix(string(r.Leader), "true") {
			t.Fatalf("%q leads", r.Leader)
		}
	})
}

// TestFalsetickersOfFive has one to four of five lie by the same amount: they are believed once they are the majority.
func TestFalsetickersOfFive(t *testing.T) {
	for liars := range 5 {
		var candidates []Candidate
		for i := range 5 {
			id, offset := fmt.Sprintf("true%d", i), time.Duration(0)
			if i < liars {
				id, offset = fmt.Sprintf("liar%d", i), 10*ms
			}
			candidates = append(candidates, candidate(id, offset, ms))
		}
		leader := NewSelector(policy()).Select(candidates, Own{}).Leader
		if lies := strings.HasPrefix(string(leader), "liar"); lies != (liars >= 3) {
			t.Errorf("%d of 5 lie: %s leads", liars, leader)
		}
		leader = NewSelector(policy()).Select(candidates, own()).Leader
		if lies := strings.HasPrefix(string(leader), "liar"); lies != (liars >= 4) {
			t.Errorf("%d of 5 lie and the host agrees with the others: %s leads", liars, leader)
		}
	}
}

// TestCoversExactly: an interval that ends beyond what a Duration holds has all up to there, and does not wrap.
func TestCoversExactly(t *testing.T) {
	anything := rapid.OneOf(rapid.Int64Min(-math.MaxInt64), rapid.Int64Range(-1000, 1000),
		rapid.Int64Min(math.MaxInt64-1000), rapid.Int64Range(-math.MaxInt64, 1000-math.MaxInt64))
	rapid.Check(t, func(t *rapid.T) {
		c := Candidate{Offset: time.Duration(anything.Draw(t, "offset"))}
		c.MaxError = max(0, time.Duration(anything.Draw(t, "bound")))
		point := anything.Draw(t, "point")
		away := new(big.Int).Sub(big.NewInt(point), big.NewInt(int64(c.Offset)))
		if got, want := c.covers(time.Duration(point)), away.CmpAbs(big.NewInt(int64(c.MaxError))) <= 0; got != want {
			t.Errorf("%d ± %d covers %d: %v, want %v", c.Offset, c.MaxError, point, got, want)
		}
	})
}
