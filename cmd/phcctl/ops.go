// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/phc"
)

// offset is how far a clock is from the system clock.
type offset struct {
	// Nanoseconds is the clock less the system clock, whatever scales they keep.
	Nanoseconds int64  `json:"offset_ns"`
	Uncertainty int64  `json:"uncertainty_ns"`
	Method      string `json:"method"`
	// Scale is what the clock seems to keep, judged by TAI − UTC: "TAI", "UTC" or "unknown".
	Scale string `json:"scale"`
	// Error is Nanoseconds less TAI − UTC where the scale is TAI.
	Error int64 `json:"error_ns"`
	// system is what the system clock read.
	system int64
}

// measure compares a clock with the system clock.
func (a *app) measure(d *phc.Device) (offset, error) {
	c, err := d.Compare(readings)
	if err != nil {
		return offset{}, err
	}
	return a.offset(c), nil
}

// sameScale is how far two clocks of one scale may be apart and still seem to keep it.
const sameScale = 2 * time.Second

func (a *app) offset(c clock.Crossing) offset {
	o := offset{Nanoseconds: c.A.Nanoseconds() - c.B.Nanoseconds(), Uncertainty: int64(c.Uncertainty),
		Method: c.Method.String(), Scale: clock.UnknownScale.String(), system: c.B.Nanoseconds()}
	o.Error = o.Nanoseconds
	seconds, known := a.tai()
	tai := int64(seconds) * int64(time.Second)
	switch {
	case known && time.Duration(o.Nanoseconds-tai).Abs() < sameScale:
		o.Scale, o.Error = clock.TAI.String(), o.Nanoseconds-tai
	case time.Duration(o.Nanoseconds).Abs() < sameScale:
		o.Scale = clock.UTC.String()
	}
	return o
}

// String writes the offset for people.
func (o offset) String() string {
	s := signed(o.Nanoseconds)
	if o.Scale == clock.TAI.String() {
		s = fmt.Sprintf("%s after TAI − UTC of %d s", signed(o.Error), (o.Nanoseconds-o.Error)/int64(time.Second))
	}
	uncertainty := span(o.Uncertainty)
	if o.Method == clock.Precise.String() {
		uncertainty += " or more" // there is no window that would bound it
	}
	return fmt.Sprintf("%s ± %s (%s)", s, uncertainty, o.Method)
}

// readings is how many readings a comparison takes by default.
const readings = phc.MaxReadings

func argument(args []string, otherwise string) string {
	if len(args) > 0 {
		return args[0]
	}
	return otherwise
}

// reading is what a clock read.
type reading struct {
	ident
	Time int64  `json:"time_ns"`
	Text string `json:"time"`
	offset
}

func (r *reading) text(w io.Writer) {
	fmt.Fprintf(w, "%v  %s  (%d ns)\nagainst the system clock  %v\n", r.ident, r.Text, r.Time, r.offset)
}

func get(_ context.Context, a *app, d *phc.Device, _ []string) (result, error) {
	c, err := d.Compare(readings)
	if err != nil {
		return nil, err
	}
	o := a.offset(c)
	scale := ""
	if o.Scale != clock.UnknownScale.String() {
		scale = " " + o.Scale
	}
	t := c.A.Nanoseconds()
	return &reading{ident: identify(d), Time: t, Text: calendar(t) + scale, offset: o}, nil
}

// change is what an operation did to a clock's time.
type change struct {
	ident
	// Did names it: "step", "set", "phase".
	Did string `json:"did"`
	// Asked is in ns, or "now".
	Asked any `json:"asked"`
	// TAI is TAI − UTC in seconds, where that was added to what was asked for.
	TAI *int `json:"tai_offset_s,omitempty"`
	// Before and After are the offsets to the system clock, Moved their difference.
	Before offset `json:"before"`
	After  offset `json:"after"`
	Moved  int64  `json:"moved_ns"`
	// Note is what else there is to say.
	Note string `json:"note,omitempty"`
}

func (c *change) text(w io.Writer) {
	fmt.Fprintf(w, "%v  %s; moved by %s\n  before  %v\n  after   %v\n", c.ident, c.Did, signed(c.Moved), c.Before, c.After)
	if c.Note != "" {
		fmt.Fprintf(w, "  %s\n", c.Note)
	}
}

// moving does something that changes the phase, and measures before and after.
func (a *app) moving(d *phc.Device, did string, asked any, do func(before offset) error) (*change, error) {
	if err := a.mayChange(d); err != nil {
		return nil, err
	}
	before, err := a.measure(d)
	if err != nil {
		return nil, err
	}
	if err := do(before); err != nil {
		return nil, err
	}
	after, err := a.measure(d)
	if err != nil {
		return nil, fmt.Errorf("%s is done, but: %w", did, err)
	}
	return &change{ident: identify(d), Did: did, Asked: asked, Before: before, After: after,
		Moved: after.Nanoseconds - before.Nanoseconds}, nil
}

func adj(_ context.Context, a *app, d *phc.Device, args []string) (result, error) {
	delta, err := parseDuration(args[0])
	if err != nil {
		return nil, err
	}
	return orError(a.moving(d, "step", int64(delta), func(offset) error { return d.Step(delta) }))
}

func phase(_ context.Context, a *app, d *phc.Device, args []string) (result, error) {
	delta, err := parseDuration(args[0])
	if err != nil {
		return nil, err
	}
	c, err := a.moving(d, "phase", int64(delta), func(offset) error { return d.Phase(delta) })
	if err == nil {
		c.Note = "the driver's servo takes its time; phcctl cmp " + d.Name() + " --watch shows how it goes on"
	}
	return orError(c, err)
}

// orError makes a result of a change, none where that failed.
func orError(c *change, err error) (result, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

// waited is that time has passed.
type waited struct {
	Waited time.Duration `json:"waited_ns"`
}

func (waited) text(io.Writer) {}

func wait(ctx context.Context, a *app, _ *phc.Device, args []string) (result, error) {
	d, err := parseDuration(args[0])
	if err != nil {
		return nil, err
	}
	return waited{d}, a.sleep(ctx, d)
}

// atLeastZero checks the argument of wait.
func atLeastZero(args []string) error {
	d, err := parseDuration(args[0])
	if err == nil && d < 0 {
		return usagef("wait %v: want a duration that is not negative", d)
	}
	return err
}
