// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-time/lockstep/internal/plain"
	"github.com/lockstep-time/lockstep/internal/version"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/control"
	"github.com/lockstep-time/lockstep/status/text"
)

// Errors that decide on the exit status.
var (
	errUsage  = errors.New("see lockstepctl --help")
	errNotYet = errors.New("timed out")
	errNoSim  = errors.New("lockstep-sim cannot be run")
)

func exitStatus(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errNoSim):
		return 127 // as that of a shell that does not find a program
	case errors.Is(err, errNotYet):
		return 1
	case errors.Is(err, errUsage):
		return 2
	case errors.Is(err, control.ErrNotRunning), errors.Is(err, fs.ErrPermission):
		return 3
	}
	return 1
}

// app is what the commands share.
type app struct {
	out, err io.Writer
	terminal *terminal // nil where out is none
	getenv   func(string) string

	socket  string
	json    bool
	noColor bool
	asked   bool // the daemon
	printed bool // a JSON document
}

func (a *app) client() *control.Client {
	a.asked = true
	return control.NewClient(a.socket)
}

const about = `Shows how lockstepd keeps the time, and controls it.

Exit status: 0 done, or what was waited for is so; 1 it was not so in time, or the
daemon refused; 2 wrong command line; 3 the daemon does not run, or its socket may
not be used. That of simulate is lockstep-sim's, or 127 where that cannot be run.

Environment: LOCKSTEP_SOCKET is the default of --socket; NO_COLOR works as
--no-color does.`

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "lockstepctl",
		Short:         "Show how lockstepd keeps the time, and control it",
		Long:          about,
		Version:       version.String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err.Error()) })
	socket := a.getenv("LOCKSTEP_SOCKET")
	if socket == "" {
		socket = control.DefaultSocket
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.socket, "socket", socket, "control socket of the daemon")
	flags.BoolVar(&a.json, "json", false, "print JSON")
	flags.BoolVar(&a.noColor, "no-color", a.getenv("NO_COLOR") != "", "print without colours")
	root.AddCommand(
		a.show("status", "Show how the host's time is", text.Status, func(s *status.Snapshot) any { return s }),
		a.show("sources", "Show the sources of time", text.Sources, func(s *status.Snapshot) any { return s.Sources }),
		a.show("clocks", "Show the clocks and what they follow", text.Clocks, func(s *status.Snapshot) any { return s.Clocks }),
		a.show("ports", "Show the PTP ports", text.Ports, func(s *status.Snapshot) any { return s.Ports }),
		a.watch(), a.wait(), a.resume(), simulate(),
	)
	return root
}

// noArgs refuses arguments, and at the root says which commands sound like them.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.HasParent() {
		return usage(fmt.Sprintf("%s takes no argument, and got %q", c.Name(), args[0]))
	}
	text := fmt.Sprintf("there is no command %q", args[0])
	c.SuggestionsMinimumDistance = 2
	if similar := c.SuggestionsFor(args[0]); len(similar) > 0 {
		text += "; did you mean " + strings.Join(similar, " or ") + "?"
	}
	return usage(text)
}

func usage(what string) error { return fmt.Errorf("%s (%w)", what, errUsage) }

// show makes a command that prints one screen, or the same part of the snapshot as JSON.
func (a *app) show(name, short string,
	screen func(*status.Snapshot, text.Style) string, part func(*status.Snapshot) any) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		client := a.client()
		defer client.Close()
		s, err := client.Status(c.Context())
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(part(s))
		}
		_, err = io.WriteString(a.out, screen(s, a.style()))
		return err
	}}
}

func (a *app) resume() *cobra.Command {
	return &cobra.Command{
		Use: "resume", Short: "Steer again after a panic", Args: noArgs,
		Long: "Has the daemon steer again after it stopped because a step beyond the panic\n" +
			"threshold would have been needed. The daemon must permit writing on its socket.",
		RunE: func(c *cobra.Command, _ []string) error {
			client := a.client()
			defer client.Close()
			err := client.Resume(c.Context())
			if err == nil && a.json {
				err = a.printJSON(map[string]bool{"resumed": true})
			}
			return err
		},
	}
}

func (a *app) style() text.Style { return text.Style{Color: a.terminal != nil && !a.noColor} }

// execute runs the command line. With --json a failure of what the daemon was asked for is told in JSON too, unless a
// document has been printed already.
func (a *app) execute(ctx context.Context, args []string) error {
	root := newRoot(a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && a.json && a.asked && !a.printed {
		err = errors.Join(err, a.printJSON(map[string]string{"error": err.Error()}))
	}
	return err
}

func (a *app) printJSON(v any) error {
	a.printed = true
	encoder := json.NewEncoder(plain.Writer(a.out))
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
