// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/phc"
)

// pair is two clocks that are compared; b is nil for the system clock.
type pair struct {
	a, b *phc.Device
}

// systemNames stand for the system clock.
func isSystem(name string) bool { return name == "system" || name == "CLOCK_REALTIME" }

// openPair opens a, and b unless that is the system clock or empty.
func (a *app) openPair(first, second string) (*pair, error) {
	if isSystem(first) {
		return nil, usagef("the first clock must be a PTP hardware clock; the system clock can be the second")
	}
	p := &pair{}
	var err error
	if p.a, err = a.open(first); err != nil {
		return nil, err
	}
	if second == "" || isSystem(second) {
		return p, nil
	}
	if p.b, err = a.open(second); err != nil {
		p.a.Close()
		return nil, err
	}
	if p.a.Index() == p.b.Index() {
		p.close()
		return nil, usagef("%s and %s are the same clock, %s", first, second, p.a.Name())
	}
	return p, nil
}

func (p *pair) close() {
	p.a.Close()
	if p.b != nil {
		p.b.Close()
	}
}

func (p *pair) names() (a, b string) {
	if p.b == nil {
		return p.a.Name(), "system"
	}
	return p.a.Name(), p.b.Name()
}

func (p *pair) compare(n int) (clock.Crossing, error) {
	if p.b == nil {
		return p.a.Compare(n)
	}
	return phc.Between(p.a, p.b, n)
}

// comparison is one comparison of two clocks.
type comparison struct {
	A string `json:"a"`
	B string `json:"b"`
	// At is what B read.
	At int64 `json:"at_ns"`
	offset
	// Rate is how fast A runs against B since the comparison before, in ppb.
	Rate *float64 `json:"rate_ppb,omitempty"`
}

func (c *comparison) text(w io.Writer) {
	rate := ""
	if c.Rate != nil {
		rate = "  " + ppb(*c.Rate)
	}
	fmt.Fprintf(w, "%s − %s  %v%s\n", c.A, c.B, c.offset, rate)
}

// comparison measures once. Between two PHCs no scale is guessed: they are compared as they are.
func (a *app) comparison(p *pair, n int) (*comparison, error) {
	x, err := p.compare(n)
	if err != nil {
		return nil, err
	}
	c := &comparison{At: x.B.Nanoseconds()}
	c.A, c.B = p.names()
	if p.b == nil {
		c.offset = a.offset(x)
		return c, nil
	}
	d := x.A.Nanoseconds() - x.B.Nanoseconds()
	c.offset = offset{Nanoseconds: d, Error: d, Uncertainty: int64(x.Uncertainty), Method: x.Method.String(), Scale: clock.UnknownScale.String()}
	return c, nil
}

func compareOnce(_ context.Context, a *app, d *phc.Device, _ []string) (result, error) {
	c, err := a.comparison(&pair{a: d}, readings)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// watchOptions says how long and where to.
type watchOptions struct {
	readings int
	interval time.Duration
	// count of comparisons, 0 for endless.
	count     int
	csv, plot string
}

// watch compares again and again. What was collected is written even if the clock vanishes or a person ends it.
func (a *app) watch(ctx context.Context, p *pair, o watchOptions) (err error) {
	if o.readings < 1 || o.readings > phc.MaxReadings {
		return usagef("--samples %d is not 1 to %d", o.readings, phc.MaxReadings)
	}
	if o.interval <= 0 {
		return usagef("--interval %v is not positive", o.interval)
	}
	if err := checkPlotName(o.plot); err != nil {
		return err
	}
	table, err := openCSV(o.csv, a.out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, table.close()) }()
	var all []comparison
	defer func() {
		if o.plot != "" && len(all) > 0 {
			err = errors.Join(err, plotOffsets(o.plot, all))
		}
	}()
	for i := 0; o.count == 0 || i < o.count; i++ {
		if i > 0 && a.sleep(ctx, o.interval) != nil {
			return nil // ended by a signal, as intended
		}
		c, err := a.comparison(p, o.readings)
		if err != nil {
			return err
		}
		if len(all) > 0 {
			c.Rate = rate(&all[len(all)-1], c)
		}
		if o.plot != "" || len(all) == 0 {
			all = append(all, *c)
		} else {
			all[0] = *c
		}
		if o.csv != "-" {
			if err := a.print(c); err != nil {
				return err
			}
		}
		table.add(c)
	}
	return nil
}

// rate returns how much faster A ran than B between two comparisons.
func rate(before, after *comparison) *float64 {
	elapsed := after.At - before.At
	if elapsed <= 0 {
		return nil
	}
	r := float64(after.Nanoseconds-before.Nanoseconds) / float64(elapsed) * 1e9
	return &r
}

// csvFile takes comparisons as comma-separated values; the zero one takes none.
type csvFile struct {
	file *os.File
	w    *bufio.Writer
}

// openCSV creates the file, "-" being standard output and "" none.
func openCSV(name string, stdout io.Writer) (*csvFile, error) {
	c := &csvFile{}
	switch name {
	case "":
		return c, nil
	case "-":
		c.w = bufio.NewWriter(stdout)
	default:
		f, err := os.Create(name)
		if err != nil {
			return nil, fmt.Errorf("--csv: %w", err)
		}
		c.file, c.w = f, bufio.NewWriter(f)
	}
	fmt.Fprintln(c.w, "at_ns,offset_ns,uncertainty_ns,method")
	return c, nil
}

func (c *csvFile) add(x *comparison) {
	if c.w != nil {
		fmt.Fprintf(c.w, "%d,%d,%d,%s\n", x.At, x.Nanoseconds, x.Uncertainty, x.Method)
		c.w.Flush()
	}
}

func (c *csvFile) close() error {
	if c.w == nil {
		return nil
	}
	err := c.w.Flush()
	if c.file != nil {
		err = errors.Join(err, c.file.Close())
	}
	if err != nil {
		return fmt.Errorf("--csv: %w", err)
	}
	return nil
}
