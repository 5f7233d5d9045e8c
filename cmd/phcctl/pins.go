// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/phc"
)

// pinList is a clock's pins.
type pinList struct {
	Device string    `json:"device"`
	Driver string    `json:"driver"`
	Pins   []phc.Pin `json:"pins"`
	// Before is what a pin that was set did until then.
	Before *phc.Pin `json:"before,omitempty"`
}

func (l *pinList) text(w io.Writer) {
	if len(l.Pins) == 0 {
		fmt.Fprintf(w, "%s (%s) has no programmable pins\n", l.Device, l.Driver)
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PIN\tNAME\tFUNCTION\tCHANNEL")
	for _, p := range l.Pins {
		fmt.Fprintf(t, "%d\t%s\t%v\t%d\n", p.Index, p.Name, p.Function, p.Channel)
	}
	t.Flush()
	if b := l.Before; b != nil {
		fmt.Fprintf(w, "pin %d was %v, channel %d\n", b.Index, b.Function, b.Channel)
	}
}

func listPins(d *phc.Device) (*pinList, error) {
	pins, err := d.Pins()
	if err != nil {
		return nil, err
	}
	return &pinList{Device: d.Name(), Driver: d.Driver(), Pins: pins}, nil
}

// setPin takes PIN FUNCTION CHANNEL; the channel is 0 if left out, the pin a number or a name.
func setPin(d *phc.Device, args []string) (result, error) {
	pins, err := d.Pins()
	if err != nil {
		return nil, err
	}
	index := -1
	for _, p := range pins {
		if p.Name == args[0] {
			index = p.Index
		}
	}
	if index < 0 {
		if index, err = parseIndex("pin", args[0]); err != nil {
			return nil, err
		}
	}
	function, err := phc.ParsePinFunction(args[1])
	if err != nil {
		return nil, usagef("%w", err)
	}
	channel, err := parseIndex("channel", argument(args[2:], "0"))
	if err != nil {
		return nil, err
	}
	if err := d.SetPin(index, function, channel); err != nil {
		return nil, err
	}
	l, err := listPins(d)
	if err != nil {
		return nil, fmt.Errorf("pin %d is set, but: %w", index, err)
	}
	l.Before = &pins[index]
	return l, nil
}

// eventInfo is one external timestamp.
type eventInfo struct {
	Channel int   `json:"channel"`
	At      int64 `json:"at_ns"`
	// Interval since the event before, 0 for the first.
	Interval int64 `json:"interval_ns,omitempty"`
}

func (e *eventInfo) text(w io.Writer) {
	interval := ""
	if e.Interval != 0 {
		interval = "  " + signed(e.Interval)
	}
	fmt.Fprintf(w, "%d  %s%s\n", e.Channel, calendar(e.At), interval)
}

// intervals are the statistics of a channel's events.
type intervals struct {
	Events int `json:"events"`
	// Mean, Deviation (standard), Min and Max of the intervals in ns.
	Mean      float64 `json:"mean_interval_ns"`
	Deviation float64 `json:"deviation_ns"`
	Min       int64   `json:"min_interval_ns"`
	Max       int64   `json:"max_interval_ns"`
	// Rate is how fast the clock runs against a signal of the nominal period, in ppb.
	Rate float64 `json:"rate_ppb"`

	first, last int64
	squares     float64 // sum of squared differences to the mean so far
}

func (s *intervals) text(w io.Writer) {
	fmt.Fprintf(w, "%d events", s.Events)
	if s.Events > 1 {
		fmt.Fprintf(w, "; interval mean %.1f ns, deviation %.1f ns, %d to %d ns; the clock runs %s against the signal",
			s.Mean, s.Deviation, s.Min, s.Max, ppb(s.Rate))
	}
	fmt.Fprintln(w)
}

// add takes an event and returns the interval since the one before.
func (s *intervals) add(at int64, period time.Duration) int64 {
	s.Events++
	if s.Events == 1 {
		s.first, s.last = at, at
		return 0
	}
	interval, n := at-s.last, float64(s.Events-1)
	s.last = at
	if s.Events == 2 {
		s.Min, s.Max = interval, interval
	}
	s.Min, s.Max = min(s.Min, interval), max(s.Max, interval)
	difference := float64(interval) - s.Mean
	s.Mean += difference / n
	s.squares += difference * (float64(interval) - s.Mean)
	if n > 1 {
		s.Deviation = math.Sqrt(s.squares / (n - 1))
	}
	// Missing pulses do not spoil the rate: each interval counts as a whole number of periods.
	if periods := math.Round(float64(s.last-s.first) / float64(period)); periods > 0 {
		s.Rate = (float64(s.last-s.first)/(periods*float64(period)) - 1) * 1e9
	}
	return interval
}

// exttsOptions says which events to wait for.
type exttsOptions struct {
	edge    string
	pin     int
	count   int
	period  time.Duration
	timeout time.Duration
}

func parseEdge(s string) (phc.Edge, error) {
	switch s {
	case "rising":
		return phc.Rising, nil
	case "falling":
		return phc.Falling, nil
	case "both":
		return phc.Both, nil
	}
	return 0, usagef("edge %q is none of rising, falling, both", s)
}

// extts prints a channel's events and, at the end, their statistics. It is one reader of its own: others' events stay theirs.
func (a *app) extts(ctx context.Context, d *phc.Device, channel int, o exttsOptions) (err error) {
	edge, err := parseEdge(o.edge)
	if err != nil {
		return err
	}
	switch {
	case o.period <= 0:
		return usagef("--period %v is not positive", o.period)
	case o.count < 0:
		return usagef("--count %d is negative", o.count)
	case o.timeout < 0:
		return usagef("--timeout %v is negative", o.timeout)
	}
	if o.pin >= 0 {
		if err := d.SetPin(o.pin, phc.PinExtTS, channel); err != nil {
			return err
		}
	}
	if err := d.SelectChannels(channel); err != nil && !errors.Is(err, clock.ErrNotSupported) {
		return err
	}
	strict, err := d.RequestExtTS(channel, edge)
	if err != nil {
		return err
	}
	defer func() {
		if serr := d.StopExtTS(channel); err == nil { // mostly the same that went wrong before
			err = serr
		}
	}()
	if !strict {
		fmt.Fprintf(a.err, "phcctl: %s does not promise to stamp %s edges only\n", title(d), o.edge)
	}
	statistics := &intervals{}
	err = a.readEvents(ctx, d, channel, o, statistics)
	if err != nil && statistics.Events == 0 {
		return err
	}
	return errors.Join(err, a.print(statistics))
}

// readEvents ends after count events, at the end of the context, or when no event comes within the timeout.
func (a *app) readEvents(ctx context.Context, d *phc.Device, channel int, o exttsOptions, s *intervals) error {
	events := make([]phc.Event, 16)
	for o.count == 0 || s.Events < o.count {
		within, cancel := ctx, context.CancelFunc(func() {})
		if o.timeout > 0 {
			within, cancel = context.WithTimeout(ctx, o.timeout)
		}
		n, err := d.ReadEvents(within, events)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, context.DeadlineExceeded):
			return fmt.Errorf("%s channel %d: no event within %v; is a pin set to extts, and a signal on it? %w", title(d), channel, o.timeout, err)
		case err != nil:
			return err
		}
		for _, e := range events[:n] {
			if e.Channel != channel || o.count > 0 && s.Events >= o.count {
				continue
			}
			at := e.At.Nanoseconds()
			if err := a.print(&eventInfo{e.Channel, at, s.add(at, o.period)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// outputOptions says what a periodic output is to be.
type outputOptions struct {
	period, phase, duty string
	off                 bool
	pin                 int
}

// outputInfo is what a periodic output was set to.
type outputInfo struct {
	Device  string        `json:"device"`
	Driver  string        `json:"driver"`
	Channel int           `json:"channel"`
	On      bool          `json:"on"`
	Period  time.Duration `json:"period_ns"`
	Phase   time.Duration `json:"phase_ns"`
	High    time.Duration `json:"high_ns"`
	Start   int64         `json:"start_ns"`
}

func (o *outputInfo) text(w io.Writer) {
	fmt.Fprintf(w, "%s (%s)  output %d ", o.Device, o.Driver, o.Channel)
	if !o.On {
		fmt.Fprintln(w, "off")
		return
	}
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
	high := time.Duration(v * float64(period))
	if high == 0 {
		return 0, usagef("duty %q of %v is less than a nanosecond", s, period)
	}
	return high, nil
}

// output parses the options into what the clock is asked for.
func (o outputOptions) output(d *phc.Device) (out phc.Output, err error) {
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
	if o.phase != "" {
		out.UsePhase = true
		out.Phase, err = parseDuration(o.phase)
		out.Phase = (out.Phase%out.Period + out.Period) % out.Period
		return out, err
	}
	now, err := d.Now()
	if err != nil {
		return out, err
	}
	const second = int64(time.Second)
	out.Start = (now.Nanoseconds()/second + 2) * second // a whole second, far enough ahead
	return out, nil
}

func (a *app) perout(d *phc.Device, channel int, o outputOptions) (result, error) {
	if o.off {
		if o.period != "" || o.phase != "" || o.duty != "" {
			return nil, usagef("--off goes with none of --period, --phase, --duty")
		}
		return &outputInfo{Device: d.Name(), Driver: d.Driver(), Channel: channel}, d.StopOutput(channel)
	}
	out, err := o.output(d)
	if err != nil {
		return nil, err
	}
	if o.pin >= 0 {
		if err := d.SetPin(o.pin, phc.PinPerOut, channel); err != nil {
			return nil, err
		}
	}
	if err := d.SetOutput(channel, out); err != nil {
		return nil, err
	}
	return &outputInfo{d.Name(), d.Driver(), channel, true, out.Period, out.Phase, out.On, out.Start}, nil
}

// ppsInfo is whether the pulse per second was switched on.
type ppsInfo struct {
	Device string `json:"device"`
	Driver string `json:"driver"`
	PPS    bool   `json:"pps"`
}

func (p *ppsInfo) text(w io.Writer) {
	state := "off"
	if p.PPS {
		state = "on"
	}
	fmt.Fprintf(w, "%s (%s)  PPS %s\n", p.Device, p.Driver, state)
}

func setPPS(d *phc.Device, s string) (result, error) {
	if s != "on" && s != "off" {
		return nil, usagef("pps %q is neither on nor off", s)
	}
	if err := d.EnablePPS(s == "on"); err != nil {
		return nil, err
	}
	return &ppsInfo{d.Name(), d.Driver(), s == "on"}, nil
}

// vclockInfo is how many virtual clocks there are and may be.
type vclockInfo struct {
	Device string `json:"device"`
	Driver string `json:"driver"`
	Before *int   `json:"before,omitempty"`
	Count  int    `json:"count"`
	Max    int    `json:"max"`
}

func (v *vclockInfo) text(w io.Writer) {
	fmt.Fprintf(w, "%s (%s)  %d virtual clocks of at most %d", v.Device, v.Driver, v.Count, v.Max)
	if v.Before != nil {
		fmt.Fprintf(w, "; there were %d", *v.Before)
	}
	fmt.Fprintln(w)
}

func (a *app) vclocks(d *phc.Device, args []string) (result, error) {
	n, limit, err := d.VirtualClocks()
	if err != nil {
		return nil, err
	}
	v := &vclockInfo{Device: d.Name(), Driver: d.Driver(), Count: n, Max: limit}
	if len(args) == 0 {
		return v, nil
	}
	want, err := parseIndex("number of virtual clocks", args[0])
	if err != nil {
		return nil, err
	}
	if err := a.mayChange(d); err != nil {
		return nil, err
	}
	if err := d.SetVirtualClocks(want); err != nil {
		return nil, err
	}
	after, _, err := d.VirtualClocks()
	v.Before, v.Count = &n, after
	return v, err
}
