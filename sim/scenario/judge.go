// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-time/lockstep/sim"
)

// Unit of a figure.
type Unit uint8

// The units.
const (
	Nanoseconds Unit = iota
	PPB
	Seconds
	Count
	Ratio
	Share // of samples for which something holds
)

// criterion is one thing that a limit asks for.
type criterion struct {
	name  string
	unit  Unit
	limit float64
	// least: the figure must not be below the limit, in place of above. each: it must hold in each run, and not on average.
	least, each bool
	// quadratic: over hosts and runs, the root of the mean square counts.
	quadratic bool
	// pooled: over hosts, the mean counts.
	pooled  bool
	measure func(w window) float64
}

// window is what a limit looks at: the samples of one clock of one host.
type window struct {
	samples []sim.Sample
	states  []sim.HostSample
	// opinions are there if the limit is on verdicts.
	opinions [][]sim.Opinion
	// all are those from the start of the daemon to the end of the window.
	all []sim.Sample
}

// criteria of a limit, those that it names.
func (l *Limit) criteria() (list []criterion) {
	add := func(given bool, c criterion) {
		if given {
			list = append(list, c)
		}
	}
	within := func(name string, limit *span, c criterion) {
		if limit != nil {
			c.name, c.unit, c.limit = name, Nanoseconds, float64(limit.d)
			list = append(list, c)
		}
	}
	number := func(name string, unit Unit, limit *float64, c criterion) {
		if limit != nil {
			c.name, c.unit, c.limit = name, unit, *limit
			list = append(list, c)
		}
	}
	within("rms", l.RMS, criterion{quadratic: l.At != nil, measure: window.rms})
	within("max", l.Max, criterion{measure: window.max})
	number("frequency rms", PPB, l.FrequencyRMS, criterion{measure: window.frequencyRMS})
	number("frequency max", PPB, l.FrequencyMax, criterion{measure: window.frequencyMax})
	if l.Sync != nil {
		within := float64(l.SyncWithin.d)
		add(true, criterion{name: "sync within " + l.SyncWithin.d.String(), unit: Seconds,
			limit: l.Sync.d.Seconds(), measure: func(w window) float64 { return w.sync(within) }})
	}
	if l.Steps != nil {
		add(true, criterion{name: "steps", unit: Count, limit: float64(*l.Steps), each: true, measure: window.steps})
	}
	if l.Requests != nil {
		add(true, criterion{name: "NTP requests", unit: Count, limit: float64(*l.Requests), measure: window.requests})
	}
	number("coverage", Share, l.Coverage, criterion{least: true, pooled: true, measure: window.coverage})
	number("bound per rms", Ratio, l.BoundPerRMS, criterion{measure: window.boundPerRMS})
	add(len(l.States) > 0, criterion{name: fmt.Sprint("state ", l.States), unit: Share, limit: 1, least: true, each: true,
		measure: func(w window) float64 {
			return w.share(func(s sim.HostSample) bool { return slices.Contains(l.States, string(s.State)) })
		}})
	add(len(l.Sources) > 0, criterion{name: fmt.Sprint("source ", l.Sources), unit: Share, limit: 1, least: true, each: true,
		measure: func(w window) float64 {
			return w.share(func(s sim.HostSample) bool { return matchesAny(l.Sources, string(s.Source)) })
		}})
	add(len(l.Verdicts) > 0, criterion{name: fmt.Sprint(l.Of, " ", l.Verdicts), unit: Share, limit: 1, least: true, each: true,
		measure: func(w window) float64 { return w.judged(l.Of, l.Verdicts) }})
	return list
}

func (w window) rms() float64 {
	sum := 0.0
	for _, s := range w.samples {
		sum += s.Error * s.Error
	}
	return math.Sqrt(sum / float64(len(w.samples)))
}

func (w window) max() (most float64) {
	for _, s := range w.samples {
		most = max(most, math.Abs(s.Error))
	}
	return most
}

func (w window) frequencyRMS() float64 {
	sum := 0.0
	for _, s := range w.samples {
		sum += s.Frequency * s.Frequency
	}
	return math.Sqrt(sum / float64(len(w.samples)))
}

func (w window) frequencyMax() (most float64) {
	for _, s := range w.samples {
		most = max(most, math.Abs(s.Frequency))
	}
	return most
}

// sync is the number of seconds from the start of the daemon after which the error has stayed within ns.
func (w window) sync(ns float64) float64 {
	for i := len(w.all) - 1; i >= 0; i-- {
		if math.Abs(w.all[i].Error) > ns {
			return float64(i + 1)
		}
	}
	return 0
}

func (w window) steps() float64 {
	return float64(w.states[len(w.states)-1].Steps - w.states[0].Steps)
}

func (w window) requests() float64 {
	return float64(w.states[len(w.states)-1].Requests - w.states[0].Requests)
}

// judged is the share of the seconds in which the host thinks so of all sources that are meant, and there is one.
func (w window) judged(of string, verdicts []string) float64 {
	n := 0
	for _, list := range w.opinions {
		found, so := false, true
		for _, o := range list {
			if matchesAny([]string{of}, string(o.Source)) {
				state, _, _ := strings.Cut(o.Verdict, ":")
				found, so = true, so && (slices.Contains(verdicts, state) || matchesAny(verdicts, o.Verdict))
			}
		}
		if found && so {
			n++
		}
	}
	return float64(n) / float64(len(w.states))
}

// coverage is the share of the seconds that count in which the true error is within the stated bound.
func (w window) coverage() float64 {
	counted, covered := coverage(w.samples)
	if counted == 0 {
		return 0
	}
	return float64(covered) / float64(counted)
}

// coverage counts the seconds in which a bound is stated or would have to be, since the host says that the clock is locked,
// and those of them in which the true error is within the bound.
func coverage(samples []sim.Sample) (counted, covered int) {
	for _, s := range samples {
		if s.Bounded || s.Locked {
			counted++
		}
		if s.Bounded && math.Abs(s.Error) <= float64(s.MaxError) {
			covered++
		}
	}
	return counted, covered
}

func (w window) boundPerRMS() float64 {
	sum, n := 0.0, 0
	for _, s := range w.samples {
		if s.Bounded {
			sum += float64(s.MaxError)
			n++
		}
	}
	if n == 0 {
		return math.Inf(1)
	}
	return sum / float64(n) / w.rms()
}

func (w window) share(holds func(sim.HostSample) bool) float64 {
	n := 0
	for _, s := range w.states {
		if holds(s) {
			n++
		}
	}
	return float64(n) / float64(len(w.states))
}

// Judge returns one figure for each criterion of each limit, in their order, over all the hosts that a limit is for: the
// worst, the root mean square where a limit is on the rms at an instant, or the share of all samples for a coverage.
func (r *Result) Judge() (figures []float64) {
	for i := range r.scenario.Limits {
		l := &r.scenario.Limits[i]
		hosts := r.host(l.Host)
		for _, c := range l.criteria() {
			var values []float64
			for _, h := range hosts {
				values = append(values, c.measure(r.window(l, h)))
			}
			figures = append(figures, c.over(values))
		}
	}
	return figures
}

// Coverage counts, over all clocks of all hosts, the seconds in which a maximum error is stated or would have to be, and
// those of them in which the true error was within it.
func (r *Result) Coverage() (counted, covered int) {
	for _, h := range r.Hosts {
		for _, id := range h.Clocks() {
			n, c := coverage(h.Samples(id))
			counted, covered = counted+n, covered+c
		}
	}
	return counted, covered
}

// over reduces the figures of several hosts to one.
func (c *criterion) over(values []float64) float64 {
	switch {
	case c.quadratic:
		return quadraticMean(values)
	case c.pooled:
		return mean(values)
	case c.least:
		return slices.Min(values)
	}
	return slices.Max(values)
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

func quadraticMean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v * v
	}
	return math.Sqrt(sum / float64(len(values)))
}

func (r *Result) window(l *Limit, h *sim.Host) window {
	samples, states := h.Samples(l.On.ID), h.States()
	start := r.start(h)
	from, to := start, len(states)-1
	if l.From != nil {
		from = seconds(*l.From)
	}
	if l.To != nil {
		to = seconds(*l.To)
	}
	if l.At != nil {
		from, to = seconds(*l.At), seconds(*l.At)
	}
	to = min(to, len(states)-1)
	from = min(from, to)
	w := window{samples: samples[from : to+1], states: states[from : to+1], all: samples[min(start, to) : to+1]}
	if o := h.Opinions(); o != nil {
		w.opinions = o[from : to+1]
	}
	return w
}

func seconds(s span) int { return int(s.d / time.Second) }

// start returns the second at which the daemon of a host starts.
func (r *Result) start(h *sim.Host) int {
	for i := range r.scenario.Hosts {
		if slices.Contains(r.scenario.Hosts[i].names(), h.Name()) {
			return seconds(*r.scenario.Hosts[i].Start)
		}
	}
	return 0
}
