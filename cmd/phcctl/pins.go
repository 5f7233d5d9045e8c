// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/lockstep-time/lockstep/phc"
)

// pinList is a clock's pins.
type pinList struct {
	ident
	Pins []phc.Pin `json:"pins"`
	// Before is what a pin that was set did until then.
	Before *phc.Pin `json:"before,omitempty"`
}

func (l *pinList) text(w io.Writer) {
	if len(l.Pins) == 0 {
		fmt.Fprintf(w, "%v has no programmable pins\n", l.ident)
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PIN\tNAME\tFUNCTION\tCHANNEL")
	for _, p := range l.Pins {
		fmt.Fprintf(t, "%d\t%s\t%v\t%d\n", p.Index, p.Name, p.Function, p.Channel)
	}
	t.Flush()
	if l.Before != nil {
		fmt.Fprintf(w, "before, pin %s\n", describePin(*l.Before))
	}
}

// describePin says what a pin does.
func describePin(p phc.Pin) string {
	s := fmt.Sprintf("%d (%s) %v", p.Index, p.Name, p.Function)
	if p.Function != phc.PinNone {
		s += fmt.Sprintf(" channel %d", p.Channel)
	}
	return s
}

func (a *app) pinsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "pins DEV [set PIN FUNCTION [CHANNEL]]", Short: "show or set a clock's pins",
		Example: "  phcctl pins eth0\n  phcctl pins eth0 set SDP0 extts 0\n  phcctl pins eth0 set 1 none",
		Long: "" +
			"Show the programmable pins, or give a pin (number or name) a function: none, extts (external timestamps), perout\n" +
			"(periodic output) or physync, and the channel of that, 0 if left out. The kernel takes the channel from the pin that\n" +
			"had it. What the pin did before is shown below.",
		Args: between(1, 5), ValidArgsFunction: a.completePin,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return a.with(a.openRead, args[0], func(d *phc.Device) (result, error) { return listPins(d) })
			}
			if args[1] != "set" || len(args) < 4 {
				return usagef("want pins DEV set PIN FUNCTION [CHANNEL]")
			}
			function, err := phc.ParsePinFunction(args[3])
			if err != nil {
				return usagef("%w", err)
			}
			channel, err := parseIndex("channel", argument(args[4:], "0"))
			if err != nil {
				return err
			}
			return a.with(a.open, args[0], func(d *phc.Device) (result, error) { return a.setPin(d, args[2], function, channel) })
		},
	}
}

func listPins(d *phc.Device) (*pinList, error) {
	pins, err := d.Pins()
	if err != nil {
		return nil, err
	}
	return &pinList{ident: identify(d), Pins: pins}, nil
}

// setPin sets a pin, given as a number or a name.
func (a *app) setPin(d *phc.Device, pin string, function phc.PinFunction, channel int) (result, error) {
	if err := a.mayChange(d); err != nil {
		return nil, err
	}
	pins, err := d.Pins()
	if err != nil {
		return nil, err
	}
	index := -1
	for _, p := range pins {
		if p.Name == pin {
			index = p.Index
		}
	}
	if index < 0 {
		if index, err = parseIndex("pin", pin); err != nil {
			return nil, err
		}
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

// assign gives a pin to a channel, if one was named (from 0), and returns what it did before and does now.
func assign(d *phc.Device, pin int, f phc.PinFunction, channel int) (before, after *phc.Pin, err error) {
	if pin < 0 {
		return nil, nil, nil
	}
	b, err := d.Pin(pin)
	if err != nil {
		return nil, nil, err
	}
	if err := d.SetPin(pin, f, channel); err != nil {
		return nil, nil, err
	}
	n, err := d.Pin(pin)
	return &b, &n, err
}
