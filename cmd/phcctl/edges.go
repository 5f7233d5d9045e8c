// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"math"
	"time"
)

// edges are the statistics of a channel's events. The kernel does not tell which edge of a pulse it stamped, so events are
// told apart by when they come within the signal's period.
type edges struct {
	Events int `json:"events"`
	// Edges has one entry, or two where both edges of pulses are stamped; the first is that of the first event.
	Edges []*intervals `json:"edges"`
	// Misfit tells that there were events that fit into no signal of the nominal period, so that no rate can be told.
	Misfit bool `json:"misfit,omitempty"`

	period time.Duration
	// all are the statistics of all events as one.
	all intervals
}

// intervals are the statistics of one edge.
type intervals struct {
	Events int `json:"events"`
	// Mean, Deviation (standard), Min and Max of the intervals in ns.
	Mean      float64 `json:"mean_interval_ns"`
	Deviation float64 `json:"deviation_ns"`
	Min       int64   `json:"min_interval_ns"`
	Max       int64   `json:"max_interval_ns"`
	// Rate is how fast the clock runs against a signal of the nominal period, in ppb; nil if that cannot be told.
	Rate *float64 `json:"rate_ppb,omitempty"`

	first, last int64
	squares     float64 // sum of squared differences to the mean so far
}

func newEdges(period time.Duration) *edges { return &edges{period: period, Edges: []*intervals{}} }

func (s *edges) text(w io.Writer) {
	fmt.Fprintf(w, "%d events", s.Events)
	if len(s.Edges) > 1 {
		fmt.Fprint(w, ", of two edges")
	}
	fmt.Fprintln(w)
	for i, e := range s.Edges {
		if e.Events < 2 {
			continue
		}
		fmt.Fprintf(w, "  edge %d: %d events; interval mean %.1f ns, deviation %.1f ns, %d to %d ns",
			i+1, e.Events, e.Mean, e.Deviation, e.Min, e.Max)
		if e.Rate != nil {
			fmt.Fprintf(w, "; the clock runs %s against the signal", ppb(*e.Rate))
		}
		fmt.Fprintln(w)
	}
	if s.Misfit {
		fmt.Fprintf(w, "  no rate: the intervals do not fit a period of %v; --period tells another\n", s.period)
	}
}

// tolerance is the part of a period by which an interval may differ from a whole number of them, oscillators being no worse.
const tolerance = 1e-3

// add takes an event and returns the interval since the one before.
func (s *edges) add(at int64) (interval int64) {
	if s.Events++; s.Events == 1 {
		s.all = intervals{Events: 1, first: at, last: at}
		s.Edges = append(s.Edges, &intervals{Events: 1, first: at, last: at})
		return 0
	}
	interval = at - s.all.last
	s.all.add(at, s.period)
	if s.Misfit {
		s.all.Rate = nil
		return interval
	}
	switch e := s.edgeOf(at); {
	case e != nil:
		e.add(at, s.period)
	case len(s.Edges) == 1:
		s.split(at)
	default:
		s.Misfit, s.all.Rate = true, nil
		s.Edges = []*intervals{&s.all}
	}
	return interval
}

// edgeOf returns the edge that an event is of, being whole periods after its last one; nil if there is none.
func (s *edges) edgeOf(at int64) (edge *intervals) {
	least := tolerance
	for _, e := range s.Edges {
		periods := float64(at-e.last) / float64(s.period)
		whole := math.Round(periods)
		if miss := math.Abs(periods-whole) / max(1, whole); whole >= 1 && miss <= least {
			edge, least = e, miss
		}
	}
	return edge
}

// split begins the statistics of another edge. Where it is so close to the one before that they could not be told apart
// until now, that one's begin anew.
func (s *edges) split(at int64) {
	if e := s.Edges[0]; float64(at-e.last) < 2*tolerance*float64(s.period) {
		*e = intervals{Events: 1, first: e.last, last: e.last}
	}
	s.Edges = append(s.Edges, &intervals{Events: 1, first: at, last: at})
}

// add takes an event of the edge.
func (s *intervals) add(at int64, period time.Duration) {
	interval, n := at-s.last, float64(s.Events)
	s.Events++
	s.last = at
	if s.Events == 2 {
		s.Min, s.Max = interval, interval
	}
	s.Min, s.Max = min(s.Min, interval), max(s.Max, interval)
	difference := float64(interval) - s.Mean
	s.Mean += difference / n
	s.squares += difference * (float64(interval) - s.Mean)
	if n > 1 {
		s.Deviation = math.Sqrt(s.squares / (n - 1))
	}
	// Missing pulses do not spoil the rate: each interval counts as a whole number of periods.
	if periods := math.Round(float64(s.last-s.first) / float64(period)); periods > 0 {
		rate := (float64(s.last-s.first)/(periods*float64(period)) - 1) * 1e9
		s.Rate = &rate
	}
}
