// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/discipline"
	"github.com/lockstep-time/lockstep/source"
)

// absurd returns an engine with one usable source of the kind, whose residuals are given, one second apart.
func absurd(traits source.Traits, bound time.Duration, residuals ...float64) (*Engine, *tracked, clock.Mono) {
	e := New(Config{}, Env{}, nil)
	e.graph.Add(0, discipline.Info{ID: clock.System, Reading: clock.At(clock.System, 0)})
	e.Register(&toy{info: source.Info{ID: "absurd", Kind: "toy", Traits: traits}, standing: source.Standing{State: source.Usable}})
	s := e.sources[0]
	now := clock.Mono(0)
	for _, ns := range residuals {
		now = now.Add(time.Second)
		s.add(point{now, ns, bound})
	}
	return e, s, now
}

// TestAbsurdOffsetsHaveHugeErrors: what is beyond all times must not come out as a small or a negative error, with which a
// source would outvote others.
func TestAbsurdOffsetsHaveHugeErrors(t *testing.T) {
	const most = time.Duration(math.MaxInt64)
	for name, c := range map[string]struct {
		bound     time.Duration
		residuals []float64
		least     time.Duration // of the maximum error
	}{
		"jitter beyond a Duration":        {0, []float64{-9e18, 9e18}, most},
		"jitter of 317 years":             {0, []float64{0, 1e19}, most},
		"jitter of 200 years":             {0, []float64{0, 6e18}, most},
		"residuals beyond a Duration":     {0, []float64{1e19, 1e19, 1e19}, 0},
		"residuals that are no numbers":   {0, []float64{math.NaN(), math.NaN()}, most},
		"infinite residuals":              {0, []float64{math.Inf(-1), math.Inf(1)}, most},
		"the largest bound":               {most, []float64{0, 0}, most},
		"the largest bound, and a jitter": {most, []float64{-9e18, 9e18, -9e18, 9e18, -9e18}, most},
	} {
		for _, traits := range []source.Traits{{}, {Combinable: true}} {
			for _, known := range []bool{false, true} {
				e, s, now := absurd(traits, c.bound, c.residuals...)
				e.own.Known = known
				got := e.candidate(now.Add(time.Second), s)
				if got.State != source.Usable {
					t.Fatalf("%s: %v, %v", name, got.State, got.Reason)
				}
				if got.Sigma < 0 || got.MaxError < c.least {
					t.Errorf("%s, %+v: sigma %d, maximum error %d, want %d at least", name, traits, got.Sigma, got.MaxError, c.least)
				}
				if c.least == most && outvotes(e, got) {
					t.Errorf("%s, %+v: it is followed against two that tell the truth", name, traits)
				}
			}
		}
	}
}

// outvotes reports whether a candidate makes one of two others a falseticker that agree with each other.
func outvotes(e *Engine, c source.Candidate) bool {
	honest := source.Candidate{ID: "a", Kind: source.NTP, State: source.Usable, Sigma: 1, MaxError: time.Millisecond}
	other := honest
	other.ID = "b"
	s := source.NewSelector(source.Policy{MinSources: 1, MaxDistance: 24 * time.Hour, Kinds: []source.Kind{c.Kind}})
	r := s.Select([]source.Candidate{c, honest, other}, e.own)
	return r.Leader == c.ID || r.Verdicts[1].State == source.Falseticker || r.Verdicts[2].State == source.Falseticker
}

func TestAnyOffsetsHaveErrors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		residuals := rapid.SliceOfN(rapid.OneOf(rapid.Float64(), rapid.Float64Range(-1e19, 1e19), rapid.Float64Range(-1e3, 1e3)),
			1, recentPoints).Draw(t, "residuals")
		bound := time.Duration(rapid.Int64Min(0).Draw(t, "bound"))
		traits := source.Traits{Combinable: rapid.Bool().Draw(t, "combinable")}
		e, s, now := absurd(traits, bound, residuals...)
		e.own = source.Own{Known: rapid.Bool().Draw(t, "known"), MaxError: time.Duration(rapid.Int64Min(0).Draw(t, "own"))}
		c := e.candidate(now, s)
		if c.Sigma < 0 || c.MaxError < bound {
			t.Errorf("sigma %d, maximum error %d, of a bound of %d", c.Sigma, c.MaxError, bound)
		}
		e.candidates = []source.Candidate{c}
		e.coverContradiction(0)
		if d := e.contradiction(); d < 0 {
			t.Errorf("contradicted by %d", d)
		}
		m := e.corrected(s, source.Sample{MaxError: bound})
		s.rebase(residuals[0])
		if m.MaxError < bound {
			t.Errorf("maximum error %d, of a bound of %d", m.MaxError, bound)
		}
	})
}
