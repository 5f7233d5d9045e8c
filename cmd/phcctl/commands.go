// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lockstep-time/lockstep/phc"
)

// lookCommands are those that change nothing.
func (a *app) lookCommands() []*cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "all PTP hardware clocks of this host", Example: "  phcctl list\n  phcctl list --json",
		Long: "" +
			"List every clock: its driver, the names that stay the same between boots, interfaces with their links, what it can do\n" +
			"(maximum frequency adjustment, resolution, pins, external timestamp channels, periodic outputs, PPS, virtual clocks),\n" +
			"which ways of comparing it with the system clock work and the narrowest window that each achieved, its frequency\n" +
			"correction and its offset to the system clock (less TAI − UTC where it seems to keep TAI), and the processes that have\n" +
			"it open; \"?\" there means that this user may not look into all processes.\n" +
			"That there are no clocks is told with the reason, and is no error.",
		Args: between(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			l, err := a.listClocks()
			if err != nil {
				return err
			}
			return a.print(l)
		},
	}
	get := a.single("get [DEV]", "read a clock", "  phcctl get eth0\n  phcctl get 0000:01:00.0 --json", 0, "get")
	get.Long =
		"Read a clock, as date and time of its own scale and in nanoseconds since 1970-01-01, together with its offset to the\n" +
			"system clock, the uncertainty of that, and the way it was measured. The scale is told where the offset gives it away.\n" +
			"On a host with one clock, DEV may be left out."
	caps := a.single("caps DEV", "what a clock can do", "  phcctl caps ptp0 --json", 1, "caps")
	caps.Long =
		"Show what driver and kernel say that a clock can do, and what trying shows: the ways of comparing it with the system\n" +
			"clock, each with the narrowest window of 25 readings, or the reason why it does not work. The smallest step of frequency\n" +
			"is told where it is known and coarse enough to matter."
	return []*cobra.Command{list, get, caps}
}

// single makes a command of an operation of chains. With least 0, DEV may be left out where there is only one clock.
func (a *app) single(use, short, example string, least int, name string) *cobra.Command {
	var scale scaleFlags
	op := operations(&scale)[name]
	c := &cobra.Command{
		Use: use, Short: short, Example: example,
		Args: between(least, 1+op.max), ValidArgsFunction: a.complete,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 1 || len(op.flags) > 0 {
				if err := op.check(args[1:]); err != nil {
					return err
				}
			}
			device, rest, err := a.device(args)
			if err != nil {
				return err
			}
			open := a.openRead
			if op.changes(len(rest)) {
				open = a.open
			}
			return a.with(open, device, func(d *phc.Device) (result, error) { return op.run(c.Context(), a, d, rest) })
		},
	}
	if len(op.flags) > 0 {
		scale.add(c.Flags(), "")
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
	set := a.single("set DEV TIME|now", "set a clock",
		"  phcctl set eth0 now --tai\n  phcctl set eth0 2026-01-02T15:04:05Z --tai", 2, "set")
	set.Long =
		"Set a clock to the system clock's time (now), to a number of nanoseconds since 1970-01-01 or, with the unit s, of seconds\n" +
			"(ms and us do as well), or to an RFC 3339 time. A number without a unit that is hardly meant in nanoseconds, being before\n" +
			"1980 in these but not in another unit, is asked about, and refused where there is nobody to ask.\n" +
			"The clock is measured and stepped by the difference, so the time that this takes does not count. With --tai, the time is\n" +
			"UTC and the clock gets TAI, which hardware clocks keep by convention. If a clock that keeps TAI would get UTC, or any\n" +
			"clock TAI and TAI − UTC once more, phcctl asks as well; --utc says that UTC is meant."
	adj := a.single("adj DEV ±DURATION", "step a clock", "  phcctl adj eth0 -1.5us", 2, "adj")
	adj.Long = "Step a clock by a duration, exact to the nanosecond, and show its offset to the system clock before and after."
	freq := a.single("freq DEV [PPB]", "show or set a clock's frequency correction",
		"  phcctl freq eth0\n  phcctl freq eth0 -12.5\n  phcctl freq eth0 50ppm", 1, "freq")
	freq.Long =
		"Show by how much the clock is made to run faster than its oscillator, in parts per billion, or set it; ppm may be\n" +
			"given as unit. The driver tells what was last asked of it. Where the smallest step of the hardware is known and coarse\n" +
			"enough to matter, what it really does is shown beside that."
	phase := a.single("phase DEV ±DURATION", "have the driver's own servo shift a clock",
		"  phcctl phase eth0 100ns", 2, "phase")
	phase.Long =
		"Hand an offset to the servo that some drivers have (ADJ_OFFSET), which works it off without a step. That takes its\n" +
			"time: the offset after is that right after the call, and phcctl cmp DEV --watch shows how it goes on."
	wait := &cobra.Command{
		Use: "wait DURATION", Short: "do nothing for a while",
		Example: "  phcctl wait 5s\n  phcctl eth0 -- freq 1000 wait 10s cmp",
		Long:    "Wait, which is of use in a chain of operations.",
		Args:    between(1, 1), ValidArgsFunction: cobra.NoFileCompletions,
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

// channelCommand makes a command that takes a clock and the number of a channel.
func (a *app) channelCommand(use, short string,
	do func(ctx context.Context, name string, channel int) error) *cobra.Command {
	return &cobra.Command{
		Use: use + " DEV CHANNEL", Short: short, Args: between(2, 2), ValidArgsFunction: a.complete,
		RunE: func(c *cobra.Command, args []string) error {
			channel, err := parseIndex("channel", args[1])
			if err != nil {
				return err
			}
			return do(c.Context(), args[0], channel)
		},
	}
}
