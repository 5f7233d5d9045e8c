// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/phc"
)

// outputOptions says what a periodic output is to be.
type outputOptions struct {
	period, phase, duty string
	off                 bool
	pin                 int
}

// outputInfo is what a periodic output was set to. The kernel does not tell what it was before, but what a pin was.
type outputInfo struct {
	ident
	Channel int           `json:"channel"`
	On      bool          `json:"on"`
	Period  time.Duration `json:"period_ns"`
	Phase   time.Duration `json:"phase_ns"`
	High    time.Duration `json:"high_ns"`
	Start   int64         `json:"start_ns"`
	// PinBefore and Pin are what the pin that was named did, and does.
	PinBefore *phc.Pin `json:"pin_before,omitempty"`
	Pin       *phc.Pin `json:"pin,omitempty"`
}

func (o *outputInfo) text(w io.Writer) {
	fmt.Fprintf(w, "%v  output %d ", o.ident, o.Channel)
	if !o.On {
		fmt.Fprintln(w, "off")
	} else {
		fmt.Fprintf(w, "on, period %v", o.Period)
		if o.Start != 0 {
			fmt.Fprintf(w, ", from %s on", calendar(o.Start))
		} else {
			fmt.Fprintf(w, ", phase %v", o.Phase)
		}
		if o.High > 0 {
			fmt.Fprintf(w, ", high for %v", o.High)
		}
		fmt.Fprintln(w)
	}
	if o.Pin != nil {
		fmt.Fprintf(w, "  before  pin %s\n  after   pin %s\n", describePin(*o.PinBefore), describePin(*o.Pin))
	}
	fmt.Fprintln(w, "  what the output did before, the kernel does not tell")
}

func (a *app) peroutCommand() *cobra.Command {
	var o outputOptions
	c := a.channelCommand("perout", "start or stop a periodic output", func(_ context.Context, name string, channel int) error {
		out, err := o.output()
		if err != nil {
			return err
		}
		return a.with(a.open, name, func(d *phc.Device) (result, error) { return a.perout(d, channel, o, out) })
	})
	c.Long =
		"Start a periodic signal, or stop it. With --phase it is aligned to whole multiples of the period on the clock, plus the\n" +
			"phase; without, it begins at a whole second soon. Where the clock has programmable pins, one must have the function\n" +
			"perout with this channel: see phcctl pins, or give --pin."
	c.Example = "  phcctl perout eth0 0 --period 1s --pin 1\n" +
		"  phcctl perout eth0 0 --period 100ms --phase 10ms --duty 25%\n  phcctl perout eth0 0 --off"
	f := c.Flags()
	f.StringVar(&o.period, "period", "", "period of the signal, like 1s")
	f.StringVar(&o.phase, "phase", "",
		"phase against whole multiples of the period on the clock, like 100us; shorter than the period")
	f.StringVar(&o.duty, "duty", "", "share of the period that the signal is high, like 0.25 or 25%")
	f.BoolVar(&o.off, "off", false, "stop the signal")
	f.IntVar(&o.pin, "pin", -1, "give this pin to the output first")
	return c
}

// parseDuty reads a share of the period, "0.25" or "25%".
func parseDuty(s string, period time.Duration) (time.Duration, error) {
	number, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v > 0 && v < 1) {
		return 0, usagef("duty %q: want a share of the period between 0 and 1, like 0.25 or 25%%", s)
	}
	high := clock.Nanoseconds(v * float64(period))
	if high == 0 {
		return 0, usagef("duty %q of %v is less than a nanosecond", s, period)
	}
	return high, nil
}

// output parses the options into what the clock is asked for, but for the start, which depends on what it reads.
func (o outputOptions) output() (out phc.Output, err error) {
	if o.off {
		if o.period != "" || o.phase != "" || o.duty != "" {
			return out, usagef("--off goes with none of --period, --phase, --duty")
		}
		return out, nil
	}
	if o.period == "" {
		return out, usagef("give --period, or --off")
	}
	if out.Period, err = parseDuration(o.period); err != nil {
		return out, err
	}
	if out.Period <= 0 {
		return out, usagef("period %s is not positive", o.period)
	}
	if o.duty != "" {
		if out.On, err = parseDuty(o.duty, out.Period); err != nil {
			return out, err
		}
	}
	if o.phase == "" {
		return out, nil
	}
	out.UsePhase = true
	if out.Phase, err = parseDuration(o.phase); err != nil {
		return out, err
	}
	if out.Phase.Abs() >= out.Period {
		return out, usagef("phase %s is not shorter than the period %s", o.phase, o.period)
	}
	if out.Phase < 0 {
		out.Phase += out.Period
	}
	return out, nil
}

func (a *app) perout(d *phc.Device, channel int, o outputOptions, out phc.Output) (result, error) {
	if err := a.mayChange(d); err != nil {
		return nil, err
	}
	if !o.off && !out.UsePhase {
		now, err := d.Now()
		if err != nil {
			return nil, err
		}
		const second = int64(time.Second)
		out.Start = (now.Nanoseconds()/second + 2) * second // a whole second, far enough ahead
	}
	before, after, err := assign(d, o.pin, phc.PinPerOut, channel)
	if err != nil {
		return nil, err
	}
	if o.off {
		err = d.StopOutput(channel)
	} else {
		err = d.SetOutput(channel, out)
	}
	if err != nil {
		return nil, pinAdvice(d, err, o.pin)
	}
	return &outputInfo{identify(d), channel, !o.off, out.Period, out.Phase, out.On, out.Start, before, after}, nil
}

// pinAdvice adds to an error that may be for want of a pin how to get one.
func pinAdvice(d *phc.Device, err error, pin int) error {
	if pin >= 0 || d.Caps().Pins == 0 || !errors.Is(err, phc.ErrBusy) && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return fmt.Errorf("%w phcctl pins %s shows it, --pin N sets one", err, d.Name())
}

// ppsInfo is whether the pulse per second was switched on.
type ppsInfo struct {
	ident
	PPS bool `json:"pps"`
	// Source is where the pulses come, nil if sysfs does not tell; its pulses were counted before.
	Source *phc.PPSSource `json:"source,omitempty"`
}

func (p *ppsInfo) text(w io.Writer) {
	state := "off"
	if p.PPS {
		state = "on"
	}
	fmt.Fprintf(w, "%v  PPS %s", p.ident, state)
	if p.Source != nil {
		fmt.Fprintf(w, "; %s had %d pulses before", p.Source.Device, p.Source.Pulses)
	}
	fmt.Fprintln(w)
}

func (a *app) ppsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "pps DEV on|off", Short: "switch a clock's pulse per second to the kernel", Example: "  phcctl pps eth0 on",
		Long: "Have the kernel be given a pulse at each second of the clock, on a /dev/ppsN of its own, or end that. It needs\n" +
			"CAP_SYS_TIME. The kernel does not tell whether it was on before, only how many pulses there have been.",
		Args: between(2, 2), ValidArgsFunction: a.completeThen("on", "off"),
		RunE: func(_ *cobra.Command, args []string) error {
			if args[1] != "on" && args[1] != "off" {
				return usagef("pps %q is neither on nor off", args[1])
			}
			return a.with(a.open, args[0], func(d *phc.Device) (result, error) { return a.setPPS(d, args[1] == "on") })
		},
	}
}

func (a *app) setPPS(d *phc.Device, on bool) (result, error) {
	if err := a.mayChange(d); err != nil {
		return nil, err
	}
	p := &ppsInfo{ident: identify(d), PPS: on}
	if source, ok := a.pps(d.Index()); ok {
		p.Source = &source
	}
	if err := d.EnablePPS(on); err != nil {
		return nil, err
	}
	return p, nil
}
