// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/phc"
)

// eventInfo is one external timestamp, or one offset of a signal.
type eventInfo struct {
	Channel int `json:"channel"`
	// At is what the clock read, nil for an offset.
	At *int64 `json:"at_ns,omitempty"`
	// Interval since the event before, 0 for the first.
	Interval int64 `json:"interval_ns,omitempty"`
	// Offset of the signal against the clock's own.
	Offset *int64 `json:"offset_ns,omitempty"`
}

func (e *eventInfo) text(w io.Writer) {
	fmt.Fprintf(w, "%d", e.Channel)
	if e.At != nil {
		fmt.Fprintf(w, "  %s", calendar(*e.At))
	}
	if e.Interval != 0 {
		fmt.Fprintf(w, "  %s", signed(e.Interval))
	}
	if e.Offset != nil {
		fmt.Fprintf(w, "  offset %s", signed(*e.Offset))
	}
	fmt.Fprintln(w)
}

// exttsOptions says which events to wait for.
type exttsOptions struct {
	edge    string
	offsets bool
	pin     int
	count   int
	period  time.Duration
	timeout time.Duration
}

func (o exttsOptions) check() error {
	switch {
	case o.period <= 0:
		return usagef("--period %v is not positive", o.period)
	case o.count < 0:
		return usagef("--count %d is negative", o.count)
	case o.timeout < 0:
		return usagef("--timeout %v is negative", o.timeout)
	}
	_, err := parseEdge(o.edge)
	return err
}

func (a *app) exttsCommand() *cobra.Command {
	var o exttsOptions
	c := a.channelCommand("extts", "print external timestamps", func(ctx context.Context, name string, channel int) error {
		if err := o.check(); err != nil {
			return err
		}
		d, err := a.open(name)
		if err != nil {
			return err
		}
		defer d.Close()
		return a.extts(ctx, d, channel, o)
	})
	c.Long =
		"Have the edges of a channel's signal stamped, and print the stamps with the intervals between them; at the end, which is\n" +
			"after --count events or at an interrupt, the statistics of the intervals and the clock's rate against a signal of the\n" +
			"nominal --period. Where a driver does not promise to stamp just the --edge asked for, that is said. Where both edges are\n" +
			"stamped, which some drivers do whatever they are asked for, each has its own statistics. There is no rate where intervals\n" +
			"are no multiples of the period. Where the clock has programmable pins, one must have the function extts with this\n" +
			"channel: see phcctl pins, or give --pin. The channel is switched off at the end, unless another process has the clock\n" +
			"open, which --force allows."
	c.Example = "  phcctl extts eth0 0 --pin 0 --count 60\n  phcctl extts eth0 1 --edge both --period 100ms"
	f := c.Flags()
	f.StringVar(&o.edge, "edge", "rising", "which edges: rising, falling or both")
	f.BoolVar(&o.offsets, "offsets", false, "have the clock measure the signal's offset instead (Linux 6.9, few drivers)")
	f.IntVar(&o.count, "count", 0, "how many events; 0: until interrupted")
	f.IntVar(&o.pin, "pin", -1, "give this pin to the channel first")
	f.DurationVar(&o.period, "period", time.Second, "nominal period of the signal, for the clock's rate against it")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "give up when no event comes for so long; 0: never")
	completeFlag(c, "edge", "rising", "falling", "both")
	return c
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

// extts prints a channel's events and, at the end, their statistics. It is one reader of its own: others' events stay
// theirs.
func (a *app) extts(ctx context.Context, d *phc.Device, channel int, o exttsOptions) (err error) {
	if err := a.mayChange(d); err != nil {
		return err
	}
	before, after, err := assign(d, o.pin, phc.PinExtTS, channel)
	if err != nil {
		return err
	}
	if after != nil {
		fmt.Fprintf(a.err, "phcctl: pin %s; before, %s\n", describePin(*after), describePin(*before))
	}
	if err := d.SelectChannels(channel); err != nil && !errors.Is(err, clock.ErrNotSupported) {
		return err
	}
	if err := a.request(d, channel, o); err != nil {
		return pinAdvice(d, err, o.pin)
	}
	defer func() {
		if serr := a.release(d, channel); err == nil { // mostly the same that went wrong before
			err = serr
		}
	}()
	statistics := newEdges(o.period)
	err = a.readEvents(ctx, d, channel, o, statistics)
	if err != nil && statistics.Events == 0 {
		return err
	}
	return errors.Join(err, a.print(statistics))
}

// request has the events come.
func (a *app) request(d *phc.Device, channel int, o exttsOptions) error {
	if o.offsets {
		return d.RequestExtOffset(channel)
	}
	edge, err := parseEdge(o.edge)
	if err != nil {
		return err
	}
	strict, err := d.RequestExtTS(channel, edge)
	if err == nil && !strict {
		edges := o.edge + " edges only"
		if edge == phc.Both {
			edges = "both edges"
		}
		fmt.Fprintf(a.err, "phcctl: %v does not promise to stamp %s\n", identify(d), edges)
	}
	return err
}

// release ends the stamping, unless others may want it: the channel is the same for all.
func (a *app) release(d *phc.Device, channel int) error {
	writers, _, err := a.writers(d.Index())
	if err != nil {
		return err
	}
	if len(writers) > 0 {
		fmt.Fprintf(a.err, "phcctl: channel %d of %v stays on for %s\n", channel, identify(d), names(writers))
		return nil
	}
	return d.StopExtTS(channel)
}

// readEvents ends after count events, or when no event comes within the timeout. The end of the context is an error before
// the first.
func (a *app) readEvents(ctx context.Context, d *phc.Device, channel int, o exttsOptions, s *edges) error {
	events := make([]phc.Event, 16)
	for o.count == 0 || s.Events < o.count {
		within, cancel := ctx, context.CancelFunc(func() {})
		if o.timeout > 0 {
			within, cancel = context.WithTimeout(ctx, o.timeout)
		}
		n, err := d.ReadEvents(within, events)
		cancel()
		switch {
		case ctx.Err() != nil && s.Events > 0:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			return fmt.Errorf(
				"%v channel %d: no event within %v; is there a signal? phcctl pins %s shows whether a pin is set to extts %d",
				identify(d), channel, o.timeout, d.Name(), channel)
		case err != nil:
			return err
		}
		for _, e := range events[:n] {
			if e.Channel != channel || o.count > 0 && s.Events >= o.count {
				continue
			}
			if err := a.print(s.event(e)); err != nil {
				return err
			}
		}
	}
	return nil
}

// event takes an event into the statistics.
func (s *edges) event(e phc.Event) *eventInfo {
	if e.IsOffset() {
		s.Events++
		offset := int64(e.Offset)
		return &eventInfo{Channel: e.Channel, Offset: &offset}
	}
	at := e.At.Nanoseconds()
	return &eventInfo{Channel: e.Channel, At: &at, Interval: s.add(at)}
}
