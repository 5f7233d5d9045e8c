// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/internal/plain"
	"github.com/lockstep-time/lockstep/internal/version"
	"github.com/lockstep-time/lockstep/phc"
)

// run does what the arguments say and returns the exit status.
func run(ctx context.Context, a *app, args []string) int {
	root := a.command()
	root.SetArgs(protectNumbers(args, valueFlags(root)))
	c, err := root.ExecuteContextC(ctx)
	switch code := exitCode(err); code {
	case exitOK:
		return code
	case exitInterrupted:
		fmt.Fprintln(a.err, "phcctl: interrupted")
		return code
	default:
		line := strings.ReplaceAll(err.Error(), "\n", "; ") // joined errors have a line each
		fmt.Fprintf(a.err, "phcctl: %s%s\n", plain.Text(plainMinus(line)), advice(err, line, c))
		return code
	}
}

// advice says where to look after an error, if its line does not say so already.
func advice(err error, line string, c *cobra.Command) string {
	switch {
	case strings.Contains(line, "phcctl "), strings.Contains(line, "--force"):
		return ""
	case errors.Is(err, errUsage), errors.Is(err, nic.ErrConfig):
		return "; see " + c.CommandPath() + " --help"
	case errors.Is(err, clock.ErrGone):
		return "; phcctl list shows what is left"
	case errors.Is(err, unix.ERANGE):
		return "; phcctl caps shows the limits that it tells"
	case errors.Is(err, phc.ErrNotPHC), errors.Is(err, errAmbiguous):
		return "; phcctl list shows the clocks of this host"
	case errors.Is(err, hwts.ErrNoInterface):
		return "; phcctl nic shows the interfaces"
	case errors.As(err, new(*phc.Error)) && errors.Is(err, clock.ErrNotSupported):
		return "; phcctl caps shows what a clock can do"
	}
	return ""
}

const rootHelp = `phcctl looks at PTP hardware clocks (/dev/ptpN) and sets them.

DEV is /dev/ptpN, ptpN, N, a network interface, or a name that stays the same between boots: the bus address
(0000:01:00.0) or driver:serial (igb:52:54:00:12:34:56). phcctl list shows these.

After a DEV, a chain of operations runs in order: get, set [now|TIME] [--tai|--utc], adj ±DURATION, freq [PPB],
phase ±DURATION, cmp, caps, wait DURATION. Durations have a unit: 250ns, -1.5us, 20ms, 3s. All is checked before
anything is done, and the chain stops at the first operation that fails.

A hardware clock keeps TAI by convention, the system clock UTC. Offsets are shown less TAI − UTC where a clock seems
to keep TAI.

A clock that another process has open for writing is changed only with --force.`

// maxTAI is the largest TAI − UTC in seconds that the kernel takes.
const maxTAI = 100000

// command returns the command tree.
func (a *app) command() *cobra.Command {
	var scale scaleFlags
	root := &cobra.Command{
		Use:   "phcctl [DEV -- OPERATION...]",
		Short: "look at and set PTP hardware clocks",
		Long:  rootHelp + "\n\n" + statusHelp(), Version: version.String(),
		Example: "  phcctl list\n  phcctl eth0 -- set now --tai freq 0 wait 5s cmp\n" +
			"  phcctl stability eth0 --for 10m --plot eth0.svg",
		Args:              cobra.ArbitraryArgs,
		SilenceUsage:      true,
		SilenceErrors:     true,
		ValidArgsFunction: a.completeChain,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			a.taiGiven = c.Flags().Changed("tai-offset")
			if a.taiSeconds < 0 || a.taiSeconds > maxTAI {
				return usagef("--tai-offset %d is not within 0 to %d", a.taiSeconds, maxTAI)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			return a.chain(c, args[0], args[1:], operations(&scale))
		},
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	scale.add(root.Flags(), "set: ")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON object a line")
	root.PersistentFlags().BoolVar(&a.force, "force", false,
		"change a clock even if a process may be steering it, and ask nothing")
	root.PersistentFlags().IntVar(&a.taiSeconds, "tai-offset", 0,
		"TAI − UTC in seconds, instead of what the kernel or the leap-seconds list says")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usagef("%w", err) })
	root.AddCommand(a.lookCommands()...)
	root.AddCommand(a.clockCommands()...)
	root.AddCommand(a.cmpCommand(), a.stabilityCommand())
	root.AddCommand(a.pinsCommand(), a.exttsCommand(), a.peroutCommand(), a.ppsCommand(), a.vclocksCommand())
	root.AddCommand(a.nicCommand(), manCommand(root))
	root.SetHelpCommand(helpCommand())
	ownCompletion(root)
	return root
}

// statusHelp tells the exit statuses.
func statusHelp() string {
	var parts []string
	for _, s := range exitStatuses() {
		parts = append(parts, fmt.Sprintf("  %3d  %s", s.code, s.meaning))
	}
	return "Exit status:\n" + strings.Join(parts, "\n")
}

// helpCommand is cobra's, but that asking for what is not there is an error.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "help about a command", Example: "  phcctl help nic set",
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("there is no help about %q%s", strings.Join(args, " "), suggestion(c.Root(), args[0]))
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// ownCompletion has cobra's command refuse a shell that it does not know.
func ownCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd("completion")
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Use, c.Short = "completion SHELL", "print a completion script for bash, zsh, fish or powershell"
		c.Long =
			"Print the script by which a shell (bash, zsh, fish or powershell) completes commands, clocks, interfaces and flags."
		c.Example = "  phcctl completion bash >/etc/bash_completion.d/phcctl\n" +
			"  phcctl completion zsh >/usr/share/zsh/site-functions/_phcctl"
		c.Args = func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("completion needs a shell: bash, zsh, fish or powershell")
			}
			return usagef("there is no completion for %q; want bash, zsh, fish or powershell", args[0])
		}
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		for _, shell := range c.Commands() {
			shell.Args = between(0, 0)
		}
	}
}

// suggestion names a command that may have been meant.
func suggestion(root *cobra.Command, word string) string {
	for distance := 1; distance <= 2; distance++ {
		root.SuggestionsMinimumDistance = distance
		if like := root.SuggestionsFor(word); len(like) > 0 {
			return "; did you mean " + strings.Join(like, " or ") + "?"
		}
	}
	return ""
}

// valueFlags returns the names of the flags that take a value.
func valueFlags(root *cobra.Command) map[string]bool {
	names := map[string]bool{}
	add := func(f *pflag.Flag) {
		if f.NoOptDefVal == "" {
			names["--"+f.Name] = true
		}
	}
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		c.Flags().VisitAll(add)
		c.PersistentFlags().VisitAll(add)
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(root)
	return names
}

// between is a check of the number of arguments whose errors are those of usage.
func between(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) >= least && (most < 0 || len(args) <= most) {
			return nil
		}
		how := strings.TrimSuffix(c.UseLine(), " [flags]")
		if len(args) < least {
			return usagef("something is missing: %s; see %s --help", how, c.CommandPath())
		}
		return usagef("%q is too much: %s; see %s --help", plainMinus(args[most]), how, c.CommandPath())
	}
}

// with opens a clock for the time of one operation, by a.open or a.openRead.
func (a *app) with(open func(string) (*phc.Device, error), name string, do func(*phc.Device) (result, error)) error {
	d, err := open(name)
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
