// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-time/lockstep/phc"
)

// run does what the arguments say and returns the exit status.
func run(ctx context.Context, a *app, args []string) int {
	root := a.command()
	root.SetArgs(protectNumbers(args))
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	switch code := exitCode(err); code {
	case exitOK:
		return code
	case exitInterrupted:
		fmt.Fprintln(a.err, "phcctl: interrupted")
		return code
	default:
		fmt.Fprintf(a.err, "phcctl: %s\n", strings.ReplaceAll(err.Error(), "\n", "; ")) // joined errors have a line each
		return code
	}
}

const rootHelp = `phcctl looks at PTP hardware clocks (/dev/ptpN) and sets them.

DEV is /dev/ptpN, ptpN, N, a network interface, or a name that stays the same between boots: the bus address
(0000:01:00.0) or driver:serial (igb:52:54:00:12:34:56). phcctl list --json shows these.

After a DEV, a chain of operations runs in order: get, set [now|TIME], adj ±DURATION, freq [PPB], phase ±DURATION,
cmp, caps, wait DURATION. Durations have a unit: 250ns, -1.5us, 20ms, 3s.

A clock that another process has open for writing is changed only with --force.

Exit status: 0 done; 1 the device failed or vanished; 2 wrong arguments or value out of range; 3 no permission;
4 not supported by driver or kernel; 5 no such clock; 6 another process may be steering the clock; 130 interrupted.`

// maxTAI is the largest TAI − UTC in seconds that the kernel takes.
const maxTAI = 100000

// command returns the command tree.
func (a *app) command() *cobra.Command {
	var tai bool
	root := &cobra.Command{
		Use:   "phcctl [DEV -- OPERATION...]",
		Short: "look at and set PTP hardware clocks",
		Long:  rootHelp, Version: version,
		Example: "  phcctl list\n  phcctl eth0 -- set now freq 0 wait 5s cmp\n" +
			"  phcctl stability eth0 --for 10m --plot eth0.svg",
		Args:              cobra.ArbitraryArgs,
		SilenceUsage:      true,
		SilenceErrors:     true,
		ValidArgsFunction: a.complete,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.taiSeconds < 0 || a.taiSeconds > maxTAI {
				return usagef("--tai-offset %d is not within 0 to %d", a.taiSeconds, maxTAI)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			return a.chain(c.Context(), args[0], args[1:], operations(&tai))
		},
	}
	root.Flags().BoolVar(&tai, "tai", false, "set: the time is UTC, and the clock is to keep TAI")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON object a line")
	root.PersistentFlags().BoolVar(&a.force, "force", false, "change a clock even if a process may be steering it, and ask nothing")
	root.PersistentFlags().IntVar(&a.taiSeconds, "tai-offset", 0, "TAI − UTC in seconds, instead of what the kernel or the leap-seconds list says")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usagef("%w; see %s --help", err, c.CommandPath()) })
	root.AddCommand(a.lookCommands()...)
	root.AddCommand(a.clockCommands()...)
	root.AddCommand(a.compareCommands()...)
	root.AddCommand(a.pinCommands()...)
	root.AddCommand(a.nicCommand(), manCommand(root))
	return root
}

// between is a check of the number of arguments whose errors are those of usage.
func between(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			return usagef("%s; got %d arguments", c.UseLine(), len(args))
		}
		return nil
	}
}

// complete offers clocks and interfaces for the first argument.
func (a *app) complete(c *cobra.Command, args []string, s string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeClock(c, args, s)
}

// completeThen offers clocks for the first argument, and these words for the second.
func (a *app) completeThen(words ...string) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, s string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 1 {
			return words, cobra.ShellCompDirectiveNoFileComp
		}
		return a.complete(c, args, s)
	}
}

// completeInterface offers interfaces.
func (a *app) completeInterface(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	all, err := a.discover()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, c := range all {
		names = append(names, c.Interface)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeFlag offers words for a flag's value.
func completeFlag(c *cobra.Command, flag string, words ...string) {
	completeFlagBy(c, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

func completeFlagBy(c *cobra.Command, flag string, by cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, by); err != nil {
		panic(err) // there is no such flag
	}
}

// completeClock offers clocks and interfaces that have one.
func (a *app) completeClock(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	infos, err := a.list()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, i := range infos {
		names = append(names, i.Device)
		names = append(names, i.Interfaces...)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// with opens a clock for the time of one operation.
func (a *app) with(name string, do func(*phc.Device) (result, error)) error {
	d, err := a.open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	r, err := do(d)
	if err != nil {
		return err
	}
	return a.print(r)
}

// step is one operation of a chain with its arguments.
type step struct {
	name string
	op   operation
	args []string
}

// parseChain splits words into steps, and finds what is wrong before anything is done.
func parseChain(words []string, ops map[string]operation) ([]step, error) {
	var steps []step
	for i := 0; i < len(words); {
		name := words[i]
		op, ok := ops[name]
		if !ok {
			return nil, usagef("%q is no operation; there are get, set, adj, freq, phase, cmp, caps, wait", plainMinus(name))
		}
		i++
		from := i
		for i < len(words) && i-from < op.max {
			if _, next := ops[words[i]]; next {
				break
			}
			i++
		}
		s := step{name, op, words[from:i]}
		if len(s.args) < op.min {
			return nil, usagef("%s needs an argument", name)
		}
		if op.check != nil {
			if err := op.check(s.args); err != nil {
				return nil, err
			}
		}
		steps = append(steps, s)
	}
	if len(steps) == 0 {
		return nil, usagef("nothing to do; see phcctl --help")
	}
	return steps, nil
}

// chain runs operations on one clock in order, until one fails.
func (a *app) chain(ctx context.Context, name string, words []string, ops map[string]operation) error {
	if len(words) == 0 && !strings.ContainsAny(name, "/0123456789:") {
		return usagef("%q is no command; see phcctl --help", name)
	}
	steps, err := parseChain(words, ops)
	if err != nil {
		return err
	}
	d, err := a.open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	for _, s := range steps {
		r, err := s.op.run(ctx, a, d, s.args)
		if err != nil {
			return err
		}
		if err := a.print(r); err != nil {
			return err
		}
	}
	return nil
}
