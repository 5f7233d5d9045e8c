// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-time/lockstep/phc"
)

// lookCommands are those that change nothing.
func (a *app) lookCommands() []*cobra.Command {
	return []*cobra.Command{
		{
			Use: "list", Short: "all PTP hardware clocks of this host", Example: "  phcctl list\n  phcctl list --json",
			Long: "List every clock: its driver and hardware, interfaces with their links, what it can do, which ways of comparing it\n" +
				"with the system clock work and the narrowest window that each achieved, its frequency correction and its offset to\n" +
				"the system clock (less TAI − UTC where it seems to keep TAI), the processes that have it open, and virtual clocks.\n" +
				"That there are no clocks is told with the reason, and is no error.",
			Args: between(0, 0),
			RunE: func(*cobra.Command, []string) error {
				l, err := a.listClocks()
				if err != nil {
					return err
				}
				return a.print(l)
			},
		},
		a.single("get [DEV]", "read a clock", "  phcctl get eth0", 0, "get"),
		a.single("caps DEV", "what a clock can do", "  phcctl caps ptp0 --json", 1, "caps"),
	}
}

// single makes a command of an operation of chains. With least 0, DEV may be left out where there is only one clock.
func (a *app) single(use, short, example string, least int, name string) *cobra.Command {
	var tai bool
	op := operations(&tai)[name]
	c := &cobra.Command{
		Use: use, Short: short, Example: example,
		Args: between(least, 1+op.max), ValidArgsFunction: a.complete,
		RunE: func(c *cobra.Command, args []string) error {
			device, rest, err := a.device(args)
			if err != nil {
				return err
			}
			if op.check != nil {
				if err := op.check(rest); err != nil {
					return err
				}
			}
			return a.with(device, func(d *phc.Device) (result, error) { return op.run(c.Context(), a, d, rest) })
		},
	}
	if name == "set" {
		c.Flags().BoolVar(&tai, "tai", false, "the time is UTC, and the clock is to keep TAI: add TAI − UTC")
	}
	return c
}

// device returns the first argument, or the only clock that there is.
func (a *app) device(args []string) (name string, rest []string, err error) {
	if len(args) > 0 {
		return args[0], args[1:], nil
	}
	infos, err := a.list()
	if err != nil {
		return "", nil, err
	}
	switch len(infos) {
	case 0:
		return "", nil, fmt.Errorf("%w on this host; phcctl list says why", phc.ErrNotPHC)
	case 1:
		return infos[0].Device, nil, nil
	}
	return "", nil, usagef("this host has %d clocks; name one, see phcctl list", len(infos))
}

// clockCommands are those that set and slew.
func (a *app) clockCommands() []*cobra.Command {
	set := a.single("set DEV TIME|now", "set a clock", "  phcctl set eth0 now --tai\n  phcctl set eth0 2026-01-02T15:04:05Z --tai", 2, "set")
	set.Long = "Set a clock to the system clock's time (now), to nanoseconds since 1970-01-01, or to an RFC 3339 time. The clock is\n" +
		"measured and stepped by the difference, so the time that this takes does not count. With --tai, the time is UTC and\n" +
		"the clock gets TAI. If the clock would be moved by just TAI − UTC, and not to TAI, phcctl asks first."
	adj := a.single("adj DEV ±DURATION", "step a clock", "  phcctl adj eth0 -1.5us", 2, "adj")
	freq := a.single("freq DEV [PPB]", "show or set a clock's frequency correction", "  phcctl freq eth0\n  phcctl freq eth0 -12.5", 1, "freq")
	phase := a.single("phase DEV ±DURATION", "have the driver's own servo shift a clock", "  phcctl phase eth0 100ns", 2, "phase")
	wait := &cobra.Command{
		Use: "wait DURATION", Short: "do nothing for a while", Example: "  phcctl wait 5s", Args: between(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := atLeastZero(args); err != nil {
				return err
			}
			r, err := wait(c.Context(), a, nil, args)
			if err != nil {
				return err
			}
			return a.print(r)
		},
	}
	return []*cobra.Command{set, adj, freq, phase, wait}
}

// compareCommands are cmp and stability.
func (a *app) compareCommands() []*cobra.Command {
	var w watchOptions
	var endless bool
	cmp := &cobra.Command{
		Use: "cmp A [B]", Short: "compare a clock with the system clock or another", Args: between(1, 2), ValidArgsFunction: a.completePair,
		Long: "Compare clock A with B, the system clock if left out. Two hardware clocks are compared by way of the system clock.\n" +
			"The uncertainty is half of the narrowest window in which both were read. Watching, it also shows A's rate against B.",
		Example: "  phcctl cmp eth0\n  phcctl cmp eth0 eth1 --watch\n  phcctl cmp eth0 --count 600 --csv eth0.csv --plot eth0.svg",
		RunE: func(c *cobra.Command, args []string) error {
			if !endless && !c.Flags().Changed("count") {
				w.count = 1
			}
			if w.count < 0 {
				return usagef("--count %d is negative", w.count)
			}
			p, err := a.openPair(args[0], argument(args[1:], ""))
			if err != nil {
				return err
			}
			defer p.close()
			return a.watch(c.Context(), p, w)
		},
	}
	f := cmp.Flags()
	f.BoolVarP(&endless, "watch", "w", false, "go on until interrupted")
	f.IntVar(&w.count, "count", 0, "how many comparisons; 0: until interrupted")
	f.DurationVar(&w.interval, "interval", time.Second, "between comparisons")
	f.IntVar(&w.readings, "samples", readings, "readings of each comparison, 1 to 25")
	f.StringVar(&w.csv, "csv", "", "write comma-separated values to `FILE`, - for standard output")
	f.StringVar(&w.plot, "plot", "", "draw the offset over time into `FILE`.svg, .png or .pdf")

	var s stabilityOptions
	var against string
	stability := &cobra.Command{
		Use: "stability DEV", Short: "Allan deviation, time deviation and MTIE of a clock", Args: between(1, 1), ValidArgsFunction: a.complete,
		Long: "Collect comparisons and print, over averaging times tau, the overlapping Allan deviation, the time deviation and the\n" +
			"maximum time interval error (ITU-T G.810). The clock's mean rate is taken out of the latter. An interrupt ends the\n" +
			"collection early, and what there is by then counts.",
		Example: "  phcctl stability eth0 --for 10m\n  phcctl stability eth0 --against eth1 --interval 100ms --plot stability.svg",
		RunE: func(c *cobra.Command, args []string) error {
			p, err := a.openPair(args[0], against)
			if err != nil {
				return err
			}
			defer p.close()
			return a.stability(c.Context(), p, s)
		},
	}
	f = stability.Flags()
	f.StringVar(&against, "against", "system", "the clock to compare with")
	f.DurationVar(&s.duration, "for", 10*time.Minute, "how long to collect")
	f.DurationVar(&s.interval, "interval", time.Second, "between comparisons")
	f.IntVar(&s.readings, "samples", readings, "readings of each comparison, 1 to 25")
	f.BoolVar(&s.keepFrequency, "keep-rate", false, "leave the mean rate in the MTIE")
	f.StringVar(&s.csv, "csv", "", "write the comparisons to `FILE`")
	f.StringVar(&s.plot, "plot", "", "draw the deviations over tau into `FILE`.svg, .png or .pdf")
	completeFlagBy(stability, "against", func(c *cobra.Command, _ []string, s string) ([]string, cobra.ShellCompDirective) {
		return a.completePair(c, []string{""}, s)
	})
	return []*cobra.Command{cmp, stability}
}

// completePair offers clocks, and the system clock as the second.
func (a *app) completePair(c *cobra.Command, args []string, s string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return a.completeClock(c, args, s)
	case 1:
		names, directive := a.completeClock(c, args, s)
		return append(names, "system"), directive
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// pinCommands are those about signals and virtual clocks.
func (a *app) pinCommands() []*cobra.Command {
	pins := &cobra.Command{
		Use: "pins DEV [set PIN FUNCTION [CHANNEL]]", Short: "show or set a clock's pins", ValidArgsFunction: a.completeThen("set"),
		Example: "  phcctl pins eth0\n  phcctl pins eth0 set SDP0 extts 0",
		Long:    "Show the programmable pins, or give a pin (number or name) a function: none, extts, perout or physync.",
		Args:    between(1, 5),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 && (args[1] != "set" || len(args) < 4) {
				return usagef("pins DEV set PIN FUNCTION [CHANNEL]")
			}
			return a.with(args[0], func(d *phc.Device) (result, error) {
				if len(args) == 1 {
					l, err := listPins(d)
					return l, err
				}
				return setPin(d, args[2:])
			})
		},
	}
	pps := &cobra.Command{
		Use: "pps DEV on|off", Short: "switch a clock's pulse per second to the kernel", Example: "  phcctl pps eth0 on",
		Args: between(2, 2), ValidArgsFunction: a.completeThen("on", "off"),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.with(args[0], func(d *phc.Device) (result, error) { return setPPS(d, args[1]) })
		},
	}
	vclocks := &cobra.Command{
		Use: "vclocks DEV [N]", Short: "show or set the number of virtual clocks", Example: "  phcctl vclocks eth0 2",
		Long: "Show or set how many virtual clocks run on top of a clock. With any, the clock itself runs free.",
		Args: between(1, 2), ValidArgsFunction: a.complete,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.with(args[0], func(d *phc.Device) (result, error) { return a.vclocks(d, args[1:]) })
		},
	}
	return []*cobra.Command{pins, a.exttsCommand(), a.peroutCommand(), pps, vclocks}
}

func (a *app) exttsCommand() *cobra.Command {
	var o exttsOptions
	c := &cobra.Command{
		Use: "extts DEV CHANNEL", Short: "print external timestamps", Args: between(2, 2), ValidArgsFunction: a.complete,
		Long: "Print the external timestamps of a channel with the intervals between them, and statistics of these at the end, which\n" +
			"is after --count events or at an interrupt.",
		Example: "  phcctl extts eth0 0 --pin 0 --count 60",
		RunE: func(c *cobra.Command, args []string) error {
			channel, err := parseIndex("channel", args[1])
			if err != nil {
				return err
			}
			d, err := a.open(args[0])
			if err != nil {
				return err
			}
			defer d.Close()
			return a.extts(c.Context(), d, channel, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.edge, "edge", "rising", "which edges: rising, falling or both")
	f.IntVar(&o.count, "count", 0, "how many events; 0: until interrupted")
	f.IntVar(&o.pin, "pin", -1, "give this pin to the channel first")
	f.DurationVar(&o.period, "period", time.Second, "nominal period of the signal, for the clock's rate against it")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "give up when no event comes for so long; 0: never")
	completeFlag(c, "edge", "rising", "falling", "both")
	return c
}

func (a *app) peroutCommand() *cobra.Command {
	var o outputOptions
	c := &cobra.Command{
		Use: "perout DEV CHANNEL", Short: "start or stop a periodic output", Args: between(2, 2), ValidArgsFunction: a.complete,
		Long: "Start a periodic signal, or stop it. With --phase it is aligned to whole multiples of the period on the clock, plus the\n" +
			"phase; without, it begins at a whole second soon.",
		Example: "  phcctl perout eth0 0 --period 1s --pin 1\n  phcctl perout eth0 0 --off",
		RunE: func(_ *cobra.Command, args []string) error {
			channel, err := parseIndex("channel", args[1])
			if err != nil {
				return err
			}
			return a.with(args[0], func(d *phc.Device) (result, error) { return a.perout(d, channel, o) })
		},
	}
	f := c.Flags()
	f.StringVar(&o.period, "period", "", "period of the signal, like 1s")
	f.StringVar(&o.phase, "phase", "", "phase against whole multiples of the period on the clock, like 100us")
	f.StringVar(&o.duty, "duty", "", "share of the period that the signal is high, like 0.25 or 25%")
	f.BoolVar(&o.off, "off", false, "stop the signal")
	f.IntVar(&o.pin, "pin", -1, "give this pin to the output first")
	return c
}

// nicCommand is about interfaces instead of clocks.
func (a *app) nicCommand() *cobra.Command {
	nic := &cobra.Command{
		Use: "nic [INTERFACE...]", Short: "what timestamping network interfaces can do, and how it is configured",
		Example: "  phcctl nic\n  phcctl nic eth0 --json\n  phcctl nic set eth0 --tx on --rx ptp-v2-event",
		Long: "Show what each interface, or those named, can timestamp by hardware and by the kernel, its hardware clock, who on the\n" +
			"way to the wire takes the stamps (Linux 6.14), how it is configured now, and how the transmit stamps have fared since\n" +
			"the driver was loaded, where the driver counts that (Linux 6.10).",
		Args: between(0, -1), ValidArgsFunction: a.completeInterface,
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := a.nics(args)
			if err != nil {
				return err
			}
			return a.print(r)
		},
	}
	var tx, rx string
	set := &cobra.Command{
		Use: "set INTERFACE", Short: "configure timestamping", Args: between(1, 1), ValidArgsFunction: a.completeInterface,
		Long: "Configure which packets a NIC stamps, and print what the driver really granted, which may be more than was asked for.\n" +
			"The half that is not given stays as it is; a driver that cannot tell how it is configured needs both.",
		Example: "  phcctl nic set eth0 --tx on --rx all\n  phcctl nic set eth0 --tx off --rx none",
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := a.setNIC(args[0], tx, rx)
			if err != nil {
				return err
			}
			return a.print(r)
		},
	}
	set.Flags().StringVar(&tx, "tx", "", "transmitted packets: off, on, onestep-sync, onestep-p2p")
	set.Flags().StringVar(&rx, "rx", "", "received packets: none, all, ptp-v2-event, ptp-v2-l4-event, ntp, ...")
	completeFlag(set, "tx", "off", "on", "onestep-sync", "onestep-p2p")
	completeFlag(set, "rx", "none", "all", "ptp-v2-event", "ptp-v2-l4-event", "ptp-v2-l2-event", "ntp")
	nic.AddCommand(set)
	return nic
}
