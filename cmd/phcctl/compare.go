// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"

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
	if p.a, err = a.openRead(first); err != nil {
		return nil, err
	}
	if second == "" || isSystem(second) {
		return p, nil
	}
	if p.b, err = a.openRead(second); err != nil {
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
	c.offset = offset{Nanoseconds: d, Error: d, Uncertainty: int64(x.Uncertainty), Method: x.Method.String(),
		Scale: clock.UnknownScale.String()}
	return c, nil
}

func compareOnce(_ context.Context, a *app, d *phc.Device, _ []string) (result, error) {
	c, err := a.comparison(&pair{a: d}, readings)
	if err != nil {
		return nil, err
	}
	return c, nil
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
