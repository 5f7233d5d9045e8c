// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-time/lockstep/phc"
)

// watchOptions says how long and where to.
type watchOptions struct {
	readings int
	interval time.Duration
	// count of comparisons, 0 for endless.
	count     int
	csv, plot string
}

// check finds what can never be right, before a clock is opened.
func (o watchOptions) check(json bool) error {
	switch {
	case o.readings < 1 || o.readings > phc.MaxReadings:
		return usagef("--samples %d is not 1 to %d", o.readings, phc.MaxReadings)
	case o.interval <= 0:
		return usagef("--interval %v is not positive", o.interval)
	case o.count < 0:
		return usagef("--count %d is negative", o.count)
	case o.csv == "-" && json:
		return usagef("--csv - and --json both want standard output")
	}
	if err := checkPlotName(o.plot); err != nil {
		return err
	}
	if o.plot != "" && o.count == 1 {
		return usagef("--plot of a single comparison: give --count N or --watch")
	}
	return nil
}

func (a *app) cmpCommand() *cobra.Command {
	var w watchOptions
	var endless bool
	c := &cobra.Command{
		Use: "cmp A [B]", Short: "compare a clock with the system clock or another", Args: between(1, 2),
		ValidArgsFunction: a.completePair,
		Long: "" +
			"Compare clock A with B, the system clock if left out. Two hardware clocks are compared by way of the system clock.\n" +
			"The uncertainty is half of the mean window of the tightest readings, which are averaged. By precise, where the hardware latches both,\n" +
			"there is none, and the kernel states no bound: it is the unit of the readings then, 1 ns, and the error may be larger.\n" +
			"Watching, it also shows A's rate against B.\n" +
			"A plot of a long watch shows at least 32768 comparisons, evenly chosen.",
		Example: "  phcctl cmp eth0\n  phcctl cmp eth0 eth1 --watch\n  phcctl cmp eth0 --count 600 --csv eth0.csv --plot eth0.svg",
		RunE: func(c *cobra.Command, args []string) error {
			if !endless && !c.Flags().Changed("count") {
				w.count = 1
			}
			if err := w.check(a.json); err != nil {
				return err
			}
			if err := tryPlot(w.plot); err != nil {
				return err
			}
			p, err := a.openPair(args[0], argument(args[1:], ""))
			if err != nil {
				return err
			}
			defer p.close()
			return a.watch(c.Context(), p, w)
		},
	}
	f := c.Flags()
	f.BoolVarP(&endless, "watch", "w", false, "go on until interrupted")
	f.IntVar(&w.count, "count", 0, "how many comparisons; 0: until interrupted")
	f.DurationVar(&w.interval, "interval", time.Second, "between comparisons")
	f.IntVar(&w.readings, "samples", readings, "readings of each comparison, 1 to 25")
	f.StringVar(&w.csv, "csv", "", "write comma-separated values to `FILE`, - for standard output")
	f.StringVar(&w.plot, "plot", "", "draw the offset over time into `FILE`.svg, .png or .pdf")
	return c
}

// watch compares again and again. What was collected is written even if the clock vanishes or a person ends it.
func (a *app) watch(ctx context.Context, p *pair, o watchOptions) (err error) {
	table, err := openCSV(o.csv, a.out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, table.close()) }()
	var drawn thinned
	defer func() {
		if o.plot != "" && len(drawn.kept) > 0 {
			err = errors.Join(err, plotOffsets(o.plot, drawn.kept))
		}
	}()
	turns := a.every(o.interval)
	var before *comparison
	for i := 0; o.count == 0 || i < o.count; i++ {
		if i > 0 && turns.next(ctx) != nil {
			return nil // ended by a signal, as intended
		}
		c, err := a.comparison(p, o.readings)
		if err != nil {
			return err
		}
		if before != nil {
			c.Rate = rate(before, c)
		}
		before = c
		if o.plot != "" {
			drawn.add(*c)
		}
		if o.csv != "-" {
			if err := a.print(c); err != nil {
				return err
			}
		}
		if err := table.add(c); err != nil {
			return err
		}
	}
	return nil
}

// thinned keeps a bounded number of comparisons for a plot: once there are too many, every other one.
type thinned struct {
	kept []comparison
	// stride is how many comparisons there are for one that is kept; skip counts them.
	stride, skip int
}

// mostDrawn is the largest number of comparisons of a plot. Even.
const mostDrawn = 1 << 16

func (t *thinned) add(c comparison) {
	if t.skip > 0 {
		t.skip--
		return
	}
	if len(t.kept) == mostDrawn {
		for i := range mostDrawn / 2 {
			t.kept[i] = t.kept[2*i]
		}
		t.kept = t.kept[:mostDrawn/2]
		t.stride = max(1, t.stride) * 2
	}
	t.kept = append(t.kept, c)
	t.skip = max(0, t.stride-1)
}
