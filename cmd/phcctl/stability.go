// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

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
		if p.TDEV > 0 {
			tdev = fmt.Sprintf("%.2f", p.TDEV)
		}
		fmt.Fprintf(t, "%v\t%.3e\t%s\t%.1f\t%d\t\n", p.Tau, p.ADEV, tdev, p.MTIE, p.N)
	}
	t.Flush()
}

// stability collects comparisons and analyses them. A signal ends the collection early, as does a clock that vanishes, and
// what there is counts.
func (a *app) stability(ctx context.Context, p *pair, o stabilityOptions) error {
	switch {
	case o.interval <= 0 || o.duration < 4*o.interval:
		return usagef("--for %v at an --interval of %v: at least four intervals are needed", o.duration, o.interval)
	case o.duration/o.interval > 10_000_000:
		return usagef("--for %v at an --interval of %v: more than 10 million samples", o.duration, o.interval)
	case o.readings < 1 || o.readings > phc.MaxReadings:
		return usagef("--samples %d is not 1 to %d", o.readings, phc.MaxReadings)
	}
	if err := checkPlotName(o.plot); err != nil {
		return err
	}
	samples, collectErr := a.collect(ctx, p, o)
	if len(samples) < fewest && (collectErr != nil || ctx.Err() != nil) {
		return cmp.Or(collectErr, ctx.Err())
	}
	phases := stability.Resample(samples, o.interval)
	info := &stabilityInfo{Samples: len(samples), Interval: o.interval, RateKept: o.keepFrequency}
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
	bar := progress{w: a.err, total: total, shown: a.terminal}
	defer bar.end()
	for i := range total {
		if i > 0 && a.sleep(ctx, o.interval) != nil {
			break
		}
		c, err := a.comparison(p, o.readings)
		if err != nil {
			return samples, err
		}
		table.add(c)
		samples = append(samples, stability.Sample{At: c.At, Phase: c.Nanoseconds})
		bar.show(i + 1)
	}
	return samples, nil
}

// progress is a bar for a person to look at.
type progress struct {
	w     io.Writer
	total int
	shown bool
	drawn int
}

func (p *progress) show(n int) {
	const width = 40
	if filled := width * n / p.total; p.shown && (filled != p.drawn || n == 1) {
		p.drawn = filled
		fmt.Fprintf(p.w, "\r[%s%s] %d of %d", strings.Repeat("#", filled), strings.Repeat(".", width-filled), n, p.total)
	}
}

func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.w, "\r\033[K")
	}
}
