// SPDX-License-Identifier: Apache-2.0

package source

import (
	"math"
	"slices"
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

// Options are what the configuration says of a source.
type Options struct {
	// Prefer it among those that tell the truth; Trust what it says against untrusted ones; NoSelect: watch it only.
	Prefer, Trust, NoSelect bool
	// Unconfigured: nobody has named it, so anybody may be what it hears. It has no vote, and is followed only where a
	// majority of the sources that somebody has named confirm it.
	Unconfigured bool
}

// Candidate is what one source says of the host's time at the instant of a selection.
type Candidate struct {
	ID   ID
	Kind Kind
	Options
	Traits
	// State is Unreachable or WarmingUp for a source that cannot be used yet, else Usable; Reason says why.
	State  State
	Reason Reason
	// Offset of the host's time less the source's; Sigma is the standard deviation to be expected of it, and MaxError
	// its bound.
	Offset, Sigma, MaxError time.Duration
	// Bias is what Offset usually is.
	Bias time.Duration
	// Rank among sources of the same kind by the protocol's own comparison, lower is better; equal ranks go by MaxError.
	Rank int
	// Suspect: its time has jumped against the host's. It is not followed until it agrees with the host again.
	Suspect bool
}

// Own is what the host itself believes: a witness that cannot be followed.
type Own struct {
	// Known is false as long as no source has been followed.
	Known bool
	// Sigma is the standard deviation to be expected of the host's time, and MaxError its bound.
	Sigma, MaxError time.Duration
}

// Policy says what it takes to be followed.
type Policy struct {
	// MinSources that must agree before any is followed, 1 at least.
	MinSources int
	// MaxDistance is the largest MaxError with which a source is usable.
	MaxDistance time.Duration
	// Kinds in the order of preference; a kind that is not named comes last.
	Kinds []Kind
}

// Result of a selection.
type Result struct {
	// Leader is the source to follow, empty if there is none.
	Leader ID
	// Verdicts on the candidates, in their order.
	Verdicts []Verdict
	// Confirmed is how far the time of an unconfigured leader may be off, as far as the sources that confirm it tell: the
	// distance to the farther end of what they have in common. 0 for other leaders.
	Confirmed time.Duration
}

// Selector decides which sources tell the truth, and which one leads. It remembers the leader, so that equal sources do
// not alternate. It belongs to one goroutine.
type Selector struct {
	policy   Policy
	leader   ID
	better   int // selections in a row that another source of the same rank was much better
	verdicts []Verdict
	clique   []bool
	best     []bool
}

const (
	agreementSigmas  = 4   // standard deviations within which a suspect source agrees with the host
	muchBetter       = 0.5 // of the leader's maximum error
	muchBetterRounds = 8   // selections for which another source has to be that much better
	combinable       = 4   // times the leader's maximum error
)

// NewSelector returns a selector without a leader.
func NewSelector(p Policy) *Selector { return &Selector{policy: p} }

// Select judges the candidates. The result is valid until the next call.
func (s *Selector) Select(candidates []Candidate, own Own) Result {
	s.verdicts = s.verdicts[:0]
	for i := range candidates {
		s.verdicts = append(s.verdicts, s.eligible(&candidates[i]))
	}
	agree := s.intersect(candidates, own)
	agree.voters = s.voters(candidates)
	s.confirm(candidates, agree)
	if !own.Known && !agree.decides() {
		s.leader = ""
		s.excuse(Reason{Code: NoMajority, N: agree.members, M: agree.voters})
		return Result{Leader: s.leader, Verdicts: s.verdicts}
	}
	s.judge(candidates, own, agree)
	s.lead(candidates, agree)
	return Result{Leader: s.leader, Verdicts: s.verdicts, Confirmed: s.confirmed(candidates)}
}

// excuse gives the reason why none of the usable sources is followed.
func (s *Selector) excuse(why Reason) {
	for i := range s.verdicts {
		if s.verdicts[i].State == Usable {
			s.verdicts[i].Reason = why
		}
	}
}

// eligible says whether the candidate may vote at all.
func (s *Selector) eligible(c *Candidate) Verdict {
	switch {
	case c.State != Usable:
		return Verdict{State: c.State, Reason: c.Reason}
	case c.NoSelect:
		return Verdict{State: NoSelect, Reason: Reason{Code: Configured}}
	case c.MaxError > s.policy.MaxDistance:
		return Verdict{State: WarmingUp, Reason: Reason{Code: TooFar, A: c.MaxError, B: s.policy.MaxDistance}}
	}
	return Verdict{State: Usable}
}

func (c *Candidate) covers(point time.Duration) bool {
	return clock.Sum(c.Offset, -c.MaxError) <= point && point <= clock.Sum(c.Offset, c.MaxError)
}

// intersect marks in s.best the largest set of candidates that all overlap, and returns its weight.
func (s *Selector) intersect(candidates []Candidate, own Own) (best vote) {
	s.best = append(s.best[:0], make([]bool, len(candidates))...)
	s.clique = append(s.clique[:0], make([]bool, len(candidates))...)
	try := func(point time.Duration) {
		v := s.count(candidates, own, point)
		if v.beats(best) {
			best = v
			copy(s.best, s.clique)
		}
	}
	for i := range candidates {
		if s.verdicts[i].State == Usable {
			try(clock.Sum(candidates[i].Offset, -candidates[i].MaxError))
		}
	}
	if own.Known {
		try(-own.MaxError)
	}
	return best
}

// vote is the weight of a set of sources that agree, most important first.
type vote struct {
	trusted, members, own, preferred, leader int
	voters                                   int // all, in agreement or not
	kind                                     int // preference of its best source; higher is better
	unconfigured                             int // members without a vote, of which the more the better if all else is equal
}

// decides reports whether a set may be believed by a host that knows nothing of the time itself: more than half of the
// voters, or half of them with a preferred one; trusted sources need nobody.
func (v vote) decides() bool {
	return v.trusted > 0 || 2*v.members > v.voters || 2*v.members == v.voters && v.preferred > 0
}

func (v vote) beats(o vote) bool {
	return v.members > 0 && slices.Compare(
		[]int{v.trusted, v.members + v.own, v.own, v.preferred, v.leader, v.kind, v.unconfigured},
		[]int{o.trusted, o.members + o.own, o.own, o.preferred, o.leader, o.kind, o.unconfigured}) > 0
}

// count weighs the candidates whose interval has the point, and marks them in s.clique.
func (s *Selector) count(candidates []Candidate, own Own, point time.Duration) (v vote) {
	v.kind = -len(s.policy.Kinds) - 1
	for i := range candidates {
		c := &candidates[i]
		s.clique[i] = s.verdicts[i].State == Usable && c.covers(point)
		if !s.clique[i] {
			continue
		}
		if c.Unconfigured {
			v.unconfigured++
			continue
		}
		v.members++
		v.trusted += number(c.Trust)
		v.preferred += number(c.Prefer)
		v.leader += number(c.ID == s.leader)
		v.kind = max(v.kind, -s.preference(c.Kind))
	}
	if own.Known && -own.MaxError <= point && point <= own.MaxError {
		v.own = 1
	}
	return v
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s *Selector) preference(k Kind) int {
	if i := slices.Index(s.policy.Kinds, k); i >= 0 {
		return i
	}
	return len(s.policy.Kinds)
}

func (s *Selector) voters(candidates []Candidate) (n int) {
	for i := range s.verdicts {
		n += number(s.verdicts[i].State == Usable && !candidates[i].Unconfigured)
	}
	return n
}

// confirm takes unconfigured candidates out of the choice, unless the majority of the voters agrees, and their time lies in
// what these have in common: an interval of theirs that is wide enough has that in common with anybody. A single voter is
// enough only where no more can be had.
func (s *Selector) confirm(candidates []Candidate, agree vote) {
	possible := 0
	for i := range candidates {
		possible += number(!candidates[i].Unconfigured && !candidates[i].NoSelect)
	}
	needed := max(agree.voters/2+1, min(possible, 2))
	for i := range candidates {
		if !candidates[i].Unconfigured || s.verdicts[i].State != Usable {
			continue
		}
		switch {
		case agree.members < needed:
			s.verdicts[i] = Verdict{Unconfirmed, Reason{Code: NeedsMajority, N: agree.members, M: needed}}
		case !s.best[i] || !s.common(candidates).holds(&candidates[i]):
			s.verdicts[i] = disagrees(&candidates[i], agree)
		}
	}
}

// span is an interval of offsets.
type span struct{ low, high time.Duration }

// common returns what the intervals of the voters that agree have in common.
func (s *Selector) common(candidates []Candidate) span {
	all := span{math.MinInt64, math.MaxInt64}
	for i := range candidates {
		if c := &candidates[i]; s.best[i] && !c.Unconfigured {
			all.low = max(all.low, clock.Sum(c.Offset, -c.MaxError))
			all.high = min(all.high, clock.Sum(c.Offset, c.MaxError))
		}
	}
	return all
}

// holds reports whether the candidate's offset lies in the interval, or beside it by no more than the candidate's error and
// half of the interval's width, as that of an honest source may if the truth is near an end.
func (a span) holds(c *Candidate) bool {
	slack := min(c.MaxError, clock.Sum(a.high, -a.low)/2)
	return clock.Sum(a.low, -slack) <= c.Offset && c.Offset <= clock.Sum(a.high, slack)
}

func (s *Selector) confirmed(candidates []Candidate) time.Duration {
	for i := range candidates {
		if c := &candidates[i]; c.ID == s.leader && c.Unconfigured {
			all := s.common(candidates)
			return max(clock.Sum(c.Offset, -all.low), clock.Sum(all.high, -c.Offset))
		}
	}
	return 0
}

func disagrees(c *Candidate, agree vote) Verdict {
	return Verdict{Falseticker, Reason{Code: Disagrees, A: c.Offset, B: c.MaxError, N: agree.members, M: agree.voters}}
}

// judge names those outside the agreement falsetickers, and those whose time has jumped.
func (s *Selector) judge(candidates []Candidate, own Own, agree vote) {
	for i := range candidates {
		c, v := &candidates[i], &s.verdicts[i]
		if v.State != Usable {
			continue
		}
		limit := clock.Nanoseconds(agreementSigmas * math.Hypot(float64(c.Sigma), float64(own.Sigma)))
		switch {
		case !s.best[i]:
			*v = disagrees(c, agree)
		case c.Suspect && own.Known && clock.Sum(c.Offset, -c.Bias).Abs() > limit:
			*v = Verdict{Falseticker, Reason{Code: HasJumped, A: c.Offset, B: limit}}
		}
	}
}

// lead chooses the leader among the truechimers and says of the others why it is not them.
func (s *Selector) lead(candidates []Candidate, agree vote) {
	best, current, truechimers := -1, -1, 0
	for i := range candidates {
		if s.verdicts[i].State != Usable {
			continue
		}
		truechimers++
		if candidates[i].ID == s.leader {
			current = i
		}
		if best < 0 || s.outranks(&candidates[i], &candidates[best]) {
			best = i
		}
	}
	if truechimers < s.policy.MinSources {
		s.excuse(Reason{Code: TooFew, N: truechimers, M: s.policy.MinSources})
		s.leader = ""
		return
	}
	if best >= 0 {
		best = s.keep(candidates, best, current)
		s.leader = candidates[best].ID
		s.explain(candidates, best, agree)
		return
	}
	s.leader = ""
}

// outranks reports whether a is to be preferred to b, if they do not lead already.
func (s *Selector) outranks(a, b *Candidate) bool {
	if c := s.rank(a, b); c != 0 {
		return c < 0
	}
	return a.MaxError < b.MaxError
}

// rank compares what does not depend on the quality of the samples: negative if a is to be preferred.
func (s *Selector) rank(a, b *Candidate) int {
	if a.Prefer != b.Prefer {
		return number(b.Prefer) - number(a.Prefer)
	}
	if d := s.preference(a.Kind) - s.preference(b.Kind); d != 0 {
		return d
	}
	return a.Rank - b.Rank
}

// keep holds on to the current leader unless the best one ranks above it or has been much better for a while.
func (s *Selector) keep(candidates []Candidate, best, current int) int {
	if current < 0 || current == best || s.rank(&candidates[best], &candidates[current]) < 0 {
		s.better = 0
		return best
	}
	if float64(candidates[best].MaxError) > muchBetter*float64(candidates[current].MaxError) {
		s.better = 0
		return current
	}
	if s.better++; s.better < muchBetterRounds {
		return current
	}
	s.better = 0
	return best
}

func (s *Selector) explain(candidates []Candidate, leader int, agree vote) {
	l := &candidates[leader]
	for i := range candidates {
		c, v := &candidates[i], &s.verdicts[i]
		if v.State != Usable {
			continue
		}
		switch {
		case i == leader:
			*v = Verdict{Selected, Reason{Code: Leads, N: agree.members, M: agree.voters}}
		case c.Combinable && l.Combinable && !c.Suspect && c.Prefer == l.Prefer && c.MaxError <= combinable*l.MaxError:
			*v = Verdict{Combined, Reason{Code: JoinsLeader, Other: l.ID}}
		default:
			v.Reason = Reason{Code: LeaderRanksHigher, Other: l.ID}
		}
	}
}
