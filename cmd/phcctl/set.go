// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/phc"
)

// setting is what a clock is to be set to.
type setting struct {
	// now: the system clock's time; else ns.
	now bool
	ns  int64
	// text is how the time was given.
	text string
	scaleFlags
}

// parseSetting reads the arguments of set: a time or none, which is now, and flags that add to those of the command line.
func parseSetting(args []string, flags scaleFlags) (s setting, err error) {
	s = setting{now: true, scaleFlags: flags}
	for _, arg := range args {
		switch arg {
		case "--tai":
			s.tai = true
		case "--utc":
			s.utc = true
		case "now":
		default:
			s.now, s.text = false, arg
			if s.ns, err = parseTime(arg); err != nil {
				return s, err
			}
		}
	}
	if s.tai && s.utc {
		return s, usagef("--tai and --utc exclude each other")
	}
	return s, nil
}

// asked is what goes into the result.
func (s setting) asked() any {
	if s.now {
		return "now"
	}
	return s.ns
}

// set has a clock read a time, counted from the comparison before, so that how long the call takes does not matter.
func (a *app) set(ctx context.Context, d *phc.Device, args []string, flags scaleFlags) (result, error) {
	s, err := parseSetting(args, flags)
	if err != nil {
		return nil, err
	}
	seconds := 0
	if s.tai {
		var ok bool
		if seconds, ok = a.tai(); !ok {
			return nil, usagef("TAI − UTC is not known: neither the kernel nor a leap-seconds list has it; give it by --tai-offset")
		}
	}
	note := ""
	c, err := a.moving(d, "set", s.asked(), func(before offset) error {
		want := int64(seconds) * int64(time.Second)
		if !s.now {
			want += s.ns - before.system
		}
		if err := a.checkUnit(ctx, d, s); err != nil {
			return err
		}
		if err := a.checkScale(ctx, d, before.Nanoseconds, want, s); err != nil {
			return err
		}
		if near(want, 0) && !s.utc && !s.tai && !near(before.Nanoseconds, 0) {
			note = "it keeps UTC now; hardware clocks keep TAI by convention: --tai sets it so, --utc if UTC is meant"
		}
		return a.reach(d, before.Nanoseconds, want)
	})
	if err == nil {
		c.Note = note
		if s.tai {
			c.TAI = &seconds
		}
	}
	return orError(c, err)
}

// checkUnit asks about a number without a unit that was hardly meant in ns.
func (a *app) checkUnit(ctx context.Context, d *phc.Device, s setting) error {
	unit, meant, ok := likelierUnit(s.text)
	if !ok {
		return nil
	}
	question := fmt.Sprintf("%s is nanoseconds since 1970: this sets %v to %s, not to %s",
		s.text, identify(d), calendar(s.ns), calendar(meant))
	return a.ask(ctx, question, fmt.Sprintf("did you mean %s%s? If not, write %sns", s.text, unit, s.text))
}

// near tells whether an offset is of that scale.
func near(offset, scale int64) bool { return time.Duration(offset-scale).Abs() < sameScale }

// likelyTAI is what TAI − UTC has been since 2017, in seconds, for the case that nobody knows.
const likelyTAI = 37

// checkScale asks when a clock would land in what is mostly the wrong scale: on UTC where it kept TAI, more or less, or
// beyond TAI by TAI − UTC once more. Offsets are those to the system clock.
func (a *app) checkScale(ctx context.Context, d *phc.Device, is, want int64, s setting) error {
	seconds, known := a.tai()
	if !known {
		seconds = likelyTAI
	}
	tai := int64(seconds) * int64(time.Second)
	if time.Duration(tai) < 2*sameScale {
		return nil
	}
	var question, hint string
	switch {
	case near(want, 2*tai):
		question = fmt.Sprintf("this sets %v to %d s ahead of TAI", identify(d), seconds)
		hint = "the time seems to be TAI already; leave out --tai"
		if !s.tai {
			hint = "TAI − UTC seems to have been added twice"
		}
	case near(want, 0) && !s.utc && time.Duration(is-tai).Abs() < time.Duration(tai/2):
		question = fmt.Sprintf("this sets %v to UTC, while it keeps TAI now, being %s ahead of the system clock",
			identify(d), span(is))
		hint = "add --tai if the time is UTC and the clock is to keep TAI, or --utc if it is to keep UTC"
	default:
		return nil
	}
	return a.ask(ctx, question, hint)
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
		o, err := a.measure(d)
		if err != nil {
			return err
		}
		if is = o.Nanoseconds; time.Duration(want-is).Abs() <= enough {
			break
		}
	}
	return nil
}
