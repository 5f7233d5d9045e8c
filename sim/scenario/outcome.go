// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Outcome is what many runs of a scenario came to.
type Outcome struct {
	Scenario *Scenario
	Seeds    []uint64
	Rows     []Row
	// Stated counts, over all runs, the samples in which a maximum error is stated or would have to be, Covered those in which
	// it held.
	Stated, Covered int
	// First is the run with the first seed, for plots and logs, if it is kept.
	First *Result
}

// Row is one figure that is limited.
type Row struct {
	// Limit is the name that the file gives, What the figure's.
	Limit, What string
	Unit        Unit
	// Values by seed; Mean (the quadratic one where that is what counts) and Deviation of them.
	Values          []float64
	Mean, Deviation float64
	// Bound is the limit, and Least says that it is one from below. Each: it must hold in each run, and not on average.
	// Informational: nothing depends on it.
	Bound         float64
	Least, Each   bool
	Informational bool
	// Aim and Peers are as the file says.
	Aim, Peers string
	// OK: it holds, on average or in each run as the kind of figure demands.
	OK bool
}

// OK reports whether all limits hold.
func (o *Outcome) OK() bool {
	for i := range o.Rows {
		if !o.Rows[i].OK && !o.Rows[i].Informational {
			return false
		}
	}
	return true
}

// Options of RunAll.
type Options struct {
	// Seeds is the number of runs of each scenario, with the seeds 1, 2, …, and Jobs how many run at once.
	Seeds, Jobs int
	// Keep says of which scenarios Outcome.First is wanted; it takes memory. nil: of none.
	Keep func(*Scenario) bool
	// Progress is told how much of all has been done, 0 to 1, by one goroutine at a time. May be nil.
	Progress func(part float64)
}

// RunAll runs each scenario with each seed. The outcomes do not depend on how many run at once.
func RunAll(ctx context.Context, scenarios []*Scenario, o Options) ([]*Outcome, error) {
	var total, done time.Duration
	outcomes := make([]*Outcome, len(scenarios))
	figures := make([][][]float64, len(scenarios))
	for i, s := range scenarios {
		total += s.Duration.d * time.Duration(o.Seeds)
		outcomes[i] = &Outcome{Scenario: s}
		figures[i] = make([][]float64, o.Seeds)
		for seed := range o.Seeds {
			outcomes[i].Seeds = append(outcomes[i].Seeds, uint64(seed+1))
		}
	}
	var mu sync.Mutex
	progress := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		done += d
		if o.Progress != nil {
			o.Progress(float64(done) / float64(total))
		}
	}
	type job struct{ scenario, seed int }
	jobs := make(chan job)
	failed := make([][]error, len(scenarios))
	for i := range failed {
		failed[i] = make([]error, o.Seeds)
	}
	// After a failure no more runs begin. Those before it have begun, so that the first failure is always the same.
	more, stop := context.WithCancel(ctx)
	defer stop()
	var workers sync.WaitGroup
	for range min(max(o.Jobs, 1), atOnce(scenarios)) {
		workers.Go(func() {
			for j := range jobs {
				r, err := scenarios[j.scenario].Run(ctx, uint64(j.seed+1), progress)
				if err != nil {
					failed[j.scenario][j.seed] = err
					stop()
					continue
				}
				figures[j.scenario][j.seed] = r.Judge()
				outcomes[j.scenario].add(r, j.seed == 0 && o.Keep != nil && o.Keep(r.scenario), &mu)
			}
		})
	}
	for k := range scenarios {
		for seed := range o.Seeds {
			select {
			case jobs <- job{k, seed}:
			case <-more.Done():
			}
		}
	}
	close(jobs)
	workers.Wait()
	if err := first(failed); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("simulate: interrupted (%w)", err)
	}
	for i, o := range outcomes {
		o.Rows = rows(o.Scenario, figures[i])
	}
	return outcomes, nil
}

// maxRecorded bounds what runs at the same time record, in samples.
const maxRecorded = 4 * maxSamples

// atOnce returns how many of the runs may take memory at the same time.
func atOnce(scenarios []*Scenario) int {
	most := 1
	for _, s := range scenarios {
		most = max(most, s.samples())
	}
	return maxRecorded / most
}

// first returns the error of the run that comes first, other than that of having been ended from outside.
func first(failed [][]error) error {
	for _, errs := range failed {
		for _, err := range errs {
			if err != nil && !errors.Is(err, context.Canceled) {
				return fmt.Errorf("simulate: %w", err)
			}
		}
	}
	return nil
}

// add takes in what one run says beside its figures.
func (o *Outcome) add(r *Result, keep bool, mu *sync.Mutex) {
	stated, covered := r.Coverage()
	mu.Lock()
	defer mu.Unlock()
	o.Stated += stated
	o.Covered += covered
	if keep {
		o.First = r
	}
}

// rows holds the figures, by seed, against the limits.
func rows(s *Scenario, figures [][]float64) (list []Row) {
	k := 0
	for i := range s.Limits {
		l := &s.Limits[i]
		for _, c := range l.criteria() {
			r := Row{Limit: l.Name, What: c.name, Unit: c.unit, Bound: c.limit, Least: c.least, Each: c.each, Aim: l.Aim,
				Peers:         l.Peers,
				Informational: l.Informational}
			for _, f := range figures {
				r.Values = append(r.Values, f[k])
			}
			r.sum(&c)
			list = append(list, r)
			k++
		}
	}
	return list
}

func (r *Row) sum(c *criterion) {
	n := float64(len(r.Values))
	squares := 0.0
	r.OK, r.Mean = true, mean(r.Values)
	for _, v := range r.Values {
		if c.each && !c.holds(v) {
			r.OK = false
		}
	}
	for _, v := range r.Values {
		squares += (v - r.Mean) * (v - r.Mean)
	}
	if len(r.Values) > 1 {
		r.Deviation = math.Sqrt(squares / (n - 1))
	}
	if c.quadratic {
		r.Mean = quadraticMean(r.Values)
	}
	if !c.each {
		r.OK = c.holds(r.Mean)
	}
}

func (c *criterion) holds(v float64) bool {
	if c.least {
		return v >= c.limit
	}
	return v <= c.limit
}

// Format writes a figure of the unit for people.
func (u Unit) Format(v float64) string {
	switch u {
	case Nanoseconds:
		return nanos(v)
	case PPB:
		return significant(v) + " ppb"
	case Seconds:
		return significant(v) + " s"
	case Count:
		if v == math.Trunc(v) {
			return strconv.FormatFloat(v, 'f', 0, 64)
		}
	case Share:
		return strconv.FormatFloat(math.Floor(v*1e6)/1e4, 'f', -1, 64) + " %"
	}
	return significant(v)
}

func nanos(v float64) string {
	for _, u := range []struct {
		scale float64
		name  string
	}{{1e9, " s"}, {1e6, " ms"}, {1e3, " µs"}} {
		if math.Abs(v) >= u.scale*0.9995 {
			return significant(v/u.scale) + u.name
		}
	}
	return significant(v) + " ns"
}

// significant writes a number with three digits that count.
func significant(v float64) string {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	_, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'e', 2, 64), "e")
	e, _ := strconv.Atoi(exponent) // that is how FormatFloat writes it
	return strconv.FormatFloat(v, 'f', min(max(2-e, 0), 6), 64)
}
