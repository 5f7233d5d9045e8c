// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-time/lockstep/phc"
	"github.com/lockstep-time/lockstep/phc/stability"
)

// stabilityOptions says how long to collect, and how.
type stabilityOptions struct {
	readings      int
	duration      time.Duration
	interval      time.Duration
	csv, plot     string
	keepFrequency bool
}

// stabilityInfo is how steady a clock runs against another.
type stabilityInfo struct {
	A        string        `json:"a"`
	B        string        `json:"b"`
	Samples  int           `json:"samples"`
	Interval time.Duration `json:"interval_ns"`
	// Interpolated counts the phases that no sample came in time for; they make small taus read low.
	Interpolated int `json:"interpolated"`
	// Rate is the mean frequency of A against B in ppb. MTIE is of what remains without it, unless RateKept.
	Rate     float64           `json:"rate_ppb"`
	RateKept bool              `json:"rate_kept"`
	Points   []stability.Point `json:"points"`
}

func (s *stabilityInfo) text(w io.Writer) {
	kept := "taken out of the MTIE"
	if s.RateKept {
		kept = "contained in the MTIE"
	}
	fmt.Fprintf(w, "%s − %s  %d samples every %v; mean rate %s, %s\n", s.A, s.B, s.Samples, s.Interval, ppb(s.Rate), kept)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "TAU\tADEV\tTDEV ns\tMTIE ns\tN\t")
	for _, p := range s.Points {
		tdev := "-"
		if p.TDEV != nil {
			tdev = fmt.Sprintf("%.2f", *p.TDEV)
		}
		fmt.Fprintf(t, "%v\t%.3e\t%s\t%.1f\t%d\t\n", p.Tau, p.ADEV, tdev, p.MTIE, p.N)
	}
	t.Flush()
	if s.Interpolated > 0 {
		fmt.Fprintf(w, "interpolated, no sample having come in time: %d; where those are many, small taus read low\n",
			s.Interpolated)
	}
}

// check finds what can never be right, before a clock is opened.
func (o stabilityOptions) check() error {
	switch {
	case o.interval <= 0 || o.duration < 4*o.interval:
		return usagef("--for %v at an --interval of %v: at least four intervals are needed", o.duration, o.interval)
	case o.duration/o.interval > 10_000_000:
		return usagef("--for %v at an --interval of %v: more than 10 million samples", o.duration, o.interval)
	case o.readings < 1 || o.readings > phc.MaxReadings:
		return usagef("--samples %d is not 1 to %d", o.readings, phc.MaxReadings)
	case o.csv == "-":
		return usagef("--csv wants the name of a file; the statistics go to standard output")
	}
	return checkPlotName(o.plot)
}

func (a *app) stabilityCommand() *cobra.Command {
	var s stabilityOptions
	var against string
	c := &cobra.Command{
		Use: "stability DEV", Short: "Allan deviation, time deviation and MTIE of a clock", Args: between(1, 1),
		ValidArgsFunction: a.complete,
		Long: "" +
			"Collect comparisons and print, over averaging times tau, the overlapping Allan deviation, the time deviation and the\n" +
			"maximum time interval error (ITU-T G.810). The clock's mean rate is taken out of the latter. An interrupt ends the\n" +
			"collection early, and what there is by then counts. The noise of the comparisons themselves is part of what is shown;\n" +
			"it is what dominates at small tau.",
		Example: "  phcctl stability eth0 --for 10m\n  phcctl stability eth0 --against eth1 --interval 100ms --plot stability.svg",
		RunE: func(c *cobra.Command, args []string) error {
			if err := s.check(); err != nil {
				return err
			}
			if err := tryPlot(s.plot); err != nil {
				return err
			}
			p, err := a.openPair(args[0], against)
			if err != nil {
				return err
			}
			defer p.close()
			return a.stability(c.Context(), p, s)
		},
	}
	f := c.Flags()
	f.StringVar(&against, "against", "system", "the clock to compare with")
	f.DurationVar(&s.duration, "for", 10*time.Minute, "how long to collect")
	f.DurationVar(&s.interval, "interval", time.Second, "between comparisons")
	f.IntVar(&s.readings, "samples", readings, "readings of each comparison, 1 to 25")
	f.BoolVar(&s.keepFrequency, "keep-rate", false, "leave the mean rate in the MTIE")
	f.StringVar(&s.csv, "csv", "", "write the comparisons to `FILE`")
	f.StringVar(&s.plot, "plot", "", "draw the deviations over tau into `FILE`.svg, .png or .pdf")
	completeFlagBy(c, "against", func(c *cobra.Command, _ []string, s string) ([]string, cobra.ShellCompDirective) {
		return a.completePair(c, []string{""}, s)
	})
	return c
}

// stability collects comparisons and analyses them. A signal ends the collection early, as does a clock that vanishes, and
// what there is counts.
func (a *app) stability(ctx context.Context, p *pair, o stabilityOptions) error {
	samples, collectErr := a.collect(ctx, p, o)
	if len(samples) < fewest && (collectErr != nil || ctx.Err() != nil) {
		return cmp.Or(collectErr, ctx.Err())
	}
	phases, interpolated := stability.Resample(samples, o.interval)
	info := &stabilityInfo{Samples: len(samples), Interval: o.interval, Interpolated: interpolated, RateKept: o.keepFrequency}
	info.A, info.B = p.names()
	if len(phases) > 1 {
		info.Rate = phases[len(phases)-1] / (float64(len(phases)-1) * o.interval.Seconds())
	}
	if !o.keepFrequency {
		for i := range phases {
			phases[i] -= info.Rate * float64(i) * o.interval.Seconds()
		}
	}
	var err error
	if info.Points, err = stability.Analyse(phases, o.interval); err != nil {
		return errors.Join(collectErr, err)
	}
	err = a.print(info)
	if o.plot != "" {
		err = errors.Join(err, plotStability(o.plot, info))
	}
	return errors.Join(collectErr, err)
}

// fewest samples that can be analysed.
const fewest = 4

func (a *app) collect(ctx context.Context, p *pair, o stabilityOptions) (samples []stability.Sample, err error) {
	table, err := openCSV(o.csv, a.out)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := table.close(); err == nil {
			err = cerr
		}
	}()
	total := int(o.duration/o.interval) + 1
	turns := a.every(o.interval)
	bar := progress{w: a.err, total: total, interval: o.interval, shown: a.terminal, now: a.monotonic}
	turns.idle = func() { bar.show(turns.turn) }
	defer bar.end()
	for turns.turn < total {
		c, err := a.comparison(p, o.readings)
		if err != nil {
			return samples, err
		}
		samples = append(samples, stability.Sample{At: c.At, Phase: c.Nanoseconds})
		if err := table.add(c); err != nil {
			return samples, err
		}
		bar.show(turns.turn + 1)
		if turns.turn == total-1 || turns.next(ctx) != nil {
			break
		}
	}
	return samples, nil
}
