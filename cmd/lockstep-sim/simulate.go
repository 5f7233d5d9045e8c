// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/internal/files"
	"github.com/lockstep-time/lockstep/internal/plain"
	"github.com/lockstep-time/lockstep/internal/version"
	"github.com/lockstep-time/lockstep/sim/report"
	"github.com/lockstep-time/lockstep/sim/scenario"
)

// errLimits: a simulation went wrong.
var errLimits = errors.New("not all limits hold")

// app is where the output goes.
type app struct{ out, err io.Writer }

// simulation is what the flags say.
type simulation struct {
	seeds, jobs    int
	json, csv, log bool
	plot, host     string
	doc            string
}

const about = `Runs scenario files in virtual time: hosts with the production code and
configuration, over simulated clocks and networks. Each scenario is run with the
seeds 1 to N; the table shows mean and deviation beside the limits of the file.
The same files and number of seeds give the same output, with any number of
jobs; the same binary gives it on all amd64 processors that have FMA.

Exit status: 0 all limits hold; 1 some do not; 2 wrong command line or scenario,
also one that takes more work than its max_events, or in which an expression
comes to an impossible value.`

func newCommand(a *app) *cobra.Command {
	var s simulation
	c := &cobra.Command{
		Use: "lockstep-sim FILE...", Short: "Run scenarios in virtual time", Long: about, Version: version.String(),
		SilenceErrors: true, SilenceUsage: true,
		Example: "  lockstep-sim --seeds 10 --plot lie.svg sim/scenarios/s7-lie-100us.toml",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("the names of scenario files are missing")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.runSimulation(c, args, s) },
	}
	c.SetOut(a.out)
	c.SetErr(a.err)
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err.Error()) })
	f := c.Flags()
	f.BoolVar(&s.json, "json", false, "print JSON")
	f.IntVar(&s.seeds, "seeds", 3, "runs of each scenario, 1 to 10000")
	f.IntVar(&s.jobs, "jobs", runtime.NumCPU(), "runs at the same time")
	f.BoolVar(&s.csv, "csv", false, "print CSV, a line for each figure and seed")
	f.BoolVar(&s.log, "log", false, "print what the hosts tell in the run with the first seed")
	f.StringVar(&s.plot, "plot", "", "write a plot of the run with the first seed to this SVG or PNG `file`")
	f.StringVar(&s.host, "plot-host", "", "plot this `host`, in place of the first one")
	f.StringVar(&s.doc, "document", "", "write a Markdown document to this `file`, and plots beside it")
	// "lockstepctl simulate" passes these on, and they mean nothing here.
	f.String("socket", "", "control socket of the daemon")
	f.Bool("no-color", false, "print without colours")
	for _, name := range []string{"socket", "no-color"} {
		f.Lookup(name).Hidden = true
	}
	return c
}

func (a *app) runSimulation(c *cobra.Command, files []string, s simulation) error {
	if err := a.checkSimulation(files, s); err != nil {
		return err
	}
	var list []*scenario.Scenario
	seen := map[string]bool{}
	for _, name := range files {
		if seen[name] {
			continue // it is in two patterns of the shell
		}
		seen[name] = true
		one, err := scenario.Load(name)
		if err != nil {
			return fmt.Errorf("%w (%w)", err, errUsage)
		}
		list = append(list, one)
	}
	if s.host != "" && (s.plot == "" || !slices.Contains(list[0].HostNames(), s.host)) {
		return usage(fmt.Sprintf("--plot-host %s is not a host of the scenario that --plot is for; allowed: %s",
			s.host, strings.Join(list[0].HostNames(), " ")))
	}
	outcomes, err := scenario.RunAll(c.Context(), list,
		scenario.Options{Seeds: s.seeds, Jobs: s.jobs, Keep: s.keeps, Progress: a.progress()})
	a.endProgress()
	var p *scenario.Problem
	if errors.As(err, &p) {
		return fmt.Errorf("%w (%w)", err, errUsage)
	}
	if err != nil {
		return err
	}
	return a.showSimulation(outcomes, s)
}

// checkSimulation finds out before a run that may take long what would be in its way afterwards.
func (a *app) checkSimulation(names []string, s simulation) error {
	switch {
	case s.seeds < 1 || s.seeds > 10000:
		return usage(fmt.Sprintf("--seeds %d is not 1 to 10000", s.seeds))
	case s.jobs < 1:
		return usage(fmt.Sprintf("--jobs %d is not 1 or more", s.jobs))
	case s.csv && s.json:
		return usage("--csv and --json cannot be printed together")
	case s.plot != "" && len(names) > 1:
		return usage("--plot takes one scenario; --document has a plot of each")
	case s.plot != "" && !strings.HasSuffix(s.plot, ".svg") && !strings.HasSuffix(s.plot, ".png"):
		return usage(fmt.Sprintf("--plot %s is not the name of an .svg or .png file", s.plot))
	}
	for _, x := range []struct{ flag, file string }{{"--plot", s.plot}, {"--document", s.doc}} {
		if x.file == "" {
			continue
		}
		if err := files.Writable(x.file); err != nil {
			return usage(fmt.Sprintf("%s: %v", x.flag, err))
		}
	}
	return nil
}

// keeps reports whether more than the figures is wanted of a scenario's first run.
func (s *simulation) keeps(one *scenario.Scenario) bool {
	return s.plot != "" || s.log || s.doc != "" && one.Plot
}

func (a *app) showSimulation(outcomes []*scenario.Outcome, s simulation) error {
	var err error
	switch {
	case s.json:
		err = report.JSON(plain.Writer(a.out), outcomes)
	case s.csv:
		err = report.CSV(a.out, outcomes)
	default:
		err = report.Table(a.out, outcomes)
	}
	if err == nil && s.log {
		err = report.Log(a.out, outcomes)
	}
	if err == nil && s.plot != "" {
		err = report.PlotFile(s.plot, outcomes[0].First, s.host)
	}
	if err == nil && s.doc != "" {
		err = report.Document(s.doc, outcomes)
	}
	if err != nil {
		return err
	}
	for _, o := range outcomes {
		if !o.OK() {
			return fmt.Errorf("%s: %w", o.Scenario.Name, errLimits)
		}
	}
	return nil
}

const barWidth = 40

// progress returns what draws a bar where a person looks on, nil elsewhere.
func (a *app) progress() func(part float64) {
	if !a.watched() {
		return nil
	}
	last := -1
	return func(part float64) {
		if n := int(part * 1000); n != last {
			last = n
			fmt.Fprintf(a.err, "\r%s", report.Bar(part, barWidth))
		}
	}
}

func (a *app) endProgress() {
	if a.watched() {
		fmt.Fprintf(a.err, "\r%s\r", strings.Repeat(" ", barWidth+10))
	}
}

// watched reports whether the errors go to a terminal.
func (a *app) watched() bool {
	f, ok := a.err.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return err == nil
}
