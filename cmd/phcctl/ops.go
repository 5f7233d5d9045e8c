// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
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
func (a *app) measure(d *phc.Device, n int) (offset, error) {
	c, err := d.Compare(n)
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
	return fmt.Sprintf("%s ± %s (%s)", s, span(o.Uncertainty), o.Method)
}

// operation is a step of a chain, and what most commands do.
type operation struct {
	// args is how many arguments it takes.
	min, max int
	// check fails for arguments that can never be right, before anything is done.
	check func(args []string) error
	run   func(ctx context.Context, a *app, d *phc.Device, args []string) (result, error)
}

// readings is how many readings a comparison takes by default.
const readings = phc.MaxReadings

// operations returns those that chains are made of, by name.
func operations(tai *bool) map[string]operation {
	first := func(parse func(string) error) func([]string) error {
		return func(args []string) error {
			if len(args) == 0 {
				return nil
			}
			return parse(args[0])
		}
	}
	duration := func(s string) error { _, err := parseDuration(s); return err }
	return map[string]operation{
		"get":  {run: get},
		"caps": {run: capabilities},
		"cmp":  {run: compareOnce},
		"set": {max: 1, check: first(func(s string) error { _, _, err := setTarget(s); return err }),
			run: func(ctx context.Context, a *app, d *phc.Device, args []string) (result, error) {
				return a.set(d, argument(args, "now"), *tai)
			}},
		"adj":   {min: 1, max: 1, check: first(duration), run: adj},
		"phase": {min: 1, max: 1, check: first(duration), run: phase},
		"freq":  {max: 1, check: first(func(s string) error { _, err := parsePPB(s); return err }), run: freq},
		"wait":  {min: 1, max: 1, check: atLeastZero, run: wait},
	}
}

func argument(args []string, otherwise string) string {
	if len(args) > 0 {
		return args[0]
	}
	return otherwise
}

// reading is what a clock read.
type reading struct {
	Device string `json:"device"`
	Driver string `json:"driver"`
	Time   int64  `json:"time_ns"`
	Text   string `json:"time"`
	offset
}

func (r *reading) text(w io.Writer) {
	fmt.Fprintf(w, "%s (%s)  %s  (%d ns)\nagainst the system clock  %v\n", r.Device, r.Driver, r.Text, r.Time, r.offset)
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
	return &reading{Device: d.Name(), Driver: d.Driver(), Time: t, Text: calendar(t) + scale, offset: o}, nil
}

// change is what an operation did to a clock.
type change struct {
	Device string `json:"device"`
	Driver string `json:"driver"`
	// Did names it: "step", "set", "frequency", "phase".
	Did string `json:"did"`
	// Asked is in ns, or in ppb for a frequency.
	Asked any `json:"asked"`
	// Before and After are the offsets to the system clock, Moved their difference; for a frequency, ppb.
	Before *offset `json:"before,omitempty"`
	After  *offset `json:"after,omitempty"`
	Moved  int64   `json:"moved_ns,omitempty"`
	// FrequencyBefore and FrequencyAfter in ppb.
	FrequencyBefore *float64 `json:"frequency_before_ppb,omitempty"`
	FrequencyAfter  *float64 `json:"frequency_after_ppb,omitempty"`
}

func (c *change) text(w io.Writer) {
	who := fmt.Sprintf("%s (%s)", c.Device, c.Driver)
	if c.FrequencyBefore != nil {
		fmt.Fprintf(w, "%s  frequency was %s, is %s\n", who, ppb(*c.FrequencyBefore), ppb(*c.FrequencyAfter))
		return
	}
	fmt.Fprintf(w, "%s  %s; moved by %s\n  before  %v\n  after   %v\n", who, c.Did, signed(c.Moved), *c.Before, *c.After)
}

// moving does something that changes the phase, and measures before and after.
func (a *app) moving(d *phc.Device, did string, asked int64, do func(before offset) error) (result, error) {
	if err := a.mayChange(d); err != nil {
		return nil, err
	}
	before, err := a.measure(d, readings)
	if err != nil {
		return nil, err
	}
	if err := do(before); err != nil {
		return nil, err
	}
	after, err := a.measure(d, readings)
	if err != nil {
		return nil, fmt.Errorf("%s is done, but: %w", did, err)
	}
	return &change{Device: d.Name(), Driver: d.Driver(), Did: did, Asked: asked, Before: &before, After: &after,
		Moved: after.Nanoseconds - before.Nanoseconds}, nil
}

func adj(_ context.Context, a *app, d *phc.Device, args []string) (result, error) {
	delta, err := parseDuration(args[0])
	if err != nil {
		return nil, err
	}
	return a.moving(d, "step", int64(delta), func(offset) error { return d.Step(delta) })
}

func phase(_ context.Context, a *app, d *phc.Device, args []string) (result, error) {
	delta, err := parseDuration(args[0])
	if err != nil {
		return nil, err
	}
	return a.moving(d, "phase", int64(delta), func(offset) error { return d.Phase(delta) })
}

// setTarget parses the argument of set.
func setTarget(s string) (ns int64, now bool, err error) {
	if s == "now" {
		return 0, true, nil
	}
	ns, err = parseTime(s)
	return ns, false, err
}

// set has a clock read a time, counted from the comparison before, so that how long the call takes does not matter.
func (a *app) set(d *phc.Device, argument string, toTAI bool) (result, error) {
	ns, now, err := setTarget(argument)
	if err != nil {
		return nil, err
	}
	var tai int64
	if toTAI {
		seconds, ok := a.tai()
		if !ok {
			return nil, usagef("TAI − UTC is not known: neither the kernel nor a leap-seconds list has it; give it by --tai-offset")
		}
		tai = int64(seconds) * int64(time.Second)
	}
	return a.moving(d, "set", ns, func(before offset) error {
		want := tai
		if !now {
			want += ns - before.system
		}
		if err := a.checkScale(d, before.Nanoseconds, want); err != nil {
			return err
		}
		return a.reach(d, before.Nanoseconds, want)
	})
}

// checkScale asks when a clock would be moved by just TAI − UTC, and not to TAI: mostly that is a time in the wrong scale.
func (a *app) checkScale(d *phc.Device, is, want int64) error {
	seconds, known := a.tai()
	tai, moved := time.Duration(seconds)*time.Second, time.Duration(want-is)
	if !known || (moved.Abs()-tai).Abs() > sameScale/2 || (time.Duration(want)-tai).Abs() < sameScale {
		return nil
	}
	question := fmt.Sprintf("this moves %s by TAI − UTC, %s, and not to TAI.", title(d), signed(int64(moved)))
	if a.confirm(question + " Do it?") {
		return nil
	}
	hint := "add --tai if the time is UTC and the clock is to keep TAI"
	if moved > 0 {
		hint = "leave out --tai if the time is TAI already"
	}
	return fmt.Errorf("%w: %s %s, or --force if it is meant", errRefused, question, strings.ToUpper(hint[:1])+hint[1:])
}

// reach steps a clock until it is want ahead of the system clock. One step does it, unless the driver is inexact.
func (a *app) reach(d *phc.Device, is, want int64) error {
	const attempts, enough = 3, 500
	for range attempts {
		err := d.Step(time.Duration(want - is))
		if errors.Is(err, clock.ErrNotSupported) {
			now, serr := a.system()
			if serr != nil {
				return serr
			}
			return d.Set(now + want)
		}
		if err != nil {
			return err
		}
		o, err := a.measure(d, readings)
		if err != nil {
			return err
		}
		if is = o.Nanoseconds; time.Duration(want-is).Abs() <= enough {
			break
		}
	}
	return nil
}

func freq(_ context.Context, a *app, d *phc.Device, args []string) (result, error) {
	before, err := d.Frequency()
	if err != nil {
		return nil, err
	}
	if len(args) == 0 {
		return &frequency{Device: d.Name(), Driver: d.Driver(), PPB: before, Max: d.MaxFrequency()}, nil
	}
	want, err := parsePPB(args[0])
	if err != nil {
		return nil, err
	}
	if err := a.mayChange(d); err != nil {
		return nil, err
	}
	if err := d.SetFrequency(want); err != nil {
		return nil, err
	}
	after, err := d.Frequency()
	if err != nil {
		return nil, fmt.Errorf("the frequency is set, but: %w", err)
	}
	return &change{Device: d.Name(), Driver: d.Driver(), Did: "frequency", Asked: want, FrequencyBefore: &before, FrequencyAfter: &after}, nil
}

// frequency is a clock's frequency correction.
type frequency struct {
	Device string  `json:"device"`
	Driver string  `json:"driver"`
	PPB    float64 `json:"frequency_ppb"`
	Max    float64 `json:"max_ppb"`
}

func (f *frequency) text(w io.Writer) {
	fmt.Fprintf(w, "%s (%s)  frequency %s, within ±%.0f ppb\n", f.Device, f.Driver, ppb(f.PPB), f.Max)
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
