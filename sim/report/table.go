// SPDX-License-Identifier: Apache-2.0

// Package report writes what simulations came to: as a table for people, as CSV and JSON for programs, as plots, and as
// the project's document on its accuracy.
package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/lockstep-time/lockstep/sim/scenario"
)

// Table writes one line for each figure: mean and deviation over the seeds beside limit, aim and the peers' figures.
func Table(w io.Writer, outcomes []*scenario.Outcome) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SCENARIO\tWHAT\tFIGURE\tLIMIT\tAIM\tPEERS\t")
	for _, o := range outcomes {
		name := o.Scenario.Name
		for i := range o.Rows {
			r := &o.Rows[i]
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, What(r), Figure(r), Bound(r), r.Aim, r.Peers, Verdict(r))
			name = ""
		}
	}
	return t.Flush()
}

// What names a figure.
func What(r *scenario.Row) string {
	if r.Limit == "" {
		return r.What
	}
	return r.Limit + ", " + r.What
}

// Figure writes mean and deviation.
func Figure(r *scenario.Row) string {
	if len(r.Values) < 2 || r.Deviation == 0 {
		return r.Unit.Format(r.Mean)
	}
	return r.Unit.Format(r.Mean) + " ± " + r.Unit.Format(r.Deviation)
}

// Bound writes the limit.
func Bound(r *scenario.Row) string {
	sign := "≤ "
	if r.Least {
		sign = "≥ "
	}
	return sign + r.Unit.Format(r.Bound)
}

// Verdict says whether the limit holds.
func Verdict(r *scenario.Row) string {
	switch {
	case r.OK:
		return "ok"
	case r.Informational:
		return "not reached"
	}
	return "FAIL"
}

// CSV writes one line for each figure and seed: scenario, limit, figure, unit, seed, value, limit's value.
func CSV(w io.Writer, outcomes []*scenario.Outcome) error {
	c := csv.NewWriter(w)
	records := [][]string{{"scenario", "limit", "figure", "unit", "seed", "value", "bound", "least", "ok"}}
	for _, o := range outcomes {
		for _, r := range o.Rows {
			for i, v := range r.Values {
				records = append(records, []string{o.Scenario.Name, r.Limit, r.What, unitName(r.Unit),
					strconv.FormatUint(o.Seeds[i], 10), number(v), number(r.Bound), strconv.FormatBool(r.Least),
					strconv.FormatBool(r.OK)})
			}
		}
	}
	if err := c.WriteAll(records); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	return nil
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 9, 64) }

func unitName(u scenario.Unit) string {
	switch u {
	case scenario.Nanoseconds:
		return "ns"
	case scenario.PPB:
		return "ppb"
	case scenario.Seconds:
		return "s"
	}
	return "1"
}

// JSON writes everything as one array with an object for each scenario.
func JSON(w io.Writer, outcomes []*scenario.Outcome) error {
	type row struct {
		Limit         string    `json:"limit,omitempty"`
		Figure        string    `json:"figure"`
		Unit          string    `json:"unit"`
		Mean          float64   `json:"mean"`
		Deviation     float64   `json:"deviation"`
		Values        []float64 `json:"values"`
		Bound         float64   `json:"bound"`
		Least         bool      `json:"least"`
		Informational bool      `json:"informational"`
		Aim           string    `json:"aim,omitempty"`
		Peers         string    `json:"peers,omitempty"`
		OK            bool      `json:"ok"`
	}
	type result struct {
		Scenario string   `json:"scenario"`
		Title    string   `json:"title"`
		Seeds    []uint64 `json:"seeds"`
		OK       bool     `json:"ok"`
		Rows     []row    `json:"rows"`
	}
	all := make([]result, 0, len(outcomes))
	for _, o := range outcomes {
		v := result{Scenario: o.Scenario.Name, Title: o.Scenario.Title, Seeds: o.Seeds, OK: o.OK(), Rows: []row{}}
		for _, r := range o.Rows {
			v.Rows = append(v.Rows, row{r.Limit, r.What, unitName(r.Unit), finite(r.Mean), finite(r.Deviation),
				finites(r.Values), r.Bound, r.Least, r.Informational, r.Aim, r.Peers, r.OK})
		}
		all = append(all, v)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(all); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// finite keeps JSON writable: what has no finite value is the largest number.
func finite(v float64) float64 {
	const largest = 1e300
	if v != v {
		return 0
	}
	return max(-largest, min(largest, v))
}

func finites(values []float64) []float64 {
	list := make([]float64, len(values))
	for i, v := range values {
		list[i] = finite(v)
	}
	return list
}

// Bar is a progress bar of the given width for a part from 0 to 1.
func Bar(part float64, width int) string {
	n := int(part*float64(width) + 0.5)
	n = max(0, min(width, n))
	return "[" + strings.Repeat("#", n) + strings.Repeat("-", width-n) + fmt.Sprintf("] %3.0f %%", 100*part)
}

// Log writes what the hosts told in the first run of each scenario.
func Log(w io.Writer, outcomes []*scenario.Outcome) error {
	for _, o := range outcomes {
		for _, h := range o.First.Hosts {
			for _, e := range h.Log() {
				if _, err := fmt.Fprintf(w, "%s %s %12.6f  %s\n", o.Scenario.Name, h.Name(), e.Time.Seconds(), e.Text); err != nil {
					return fmt.Errorf("write log: %w", err)
				}
			}
		}
	}
	return nil
}
