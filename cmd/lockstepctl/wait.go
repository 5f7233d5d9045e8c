// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-time/lockstep/internal/plain"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/text"
)

const waitPeriod = 100 * time.Millisecond

// states that --state takes.
func states() []string {
	return []string{string(status.Starting), string(status.Acquiring), string(status.Locked), string(status.Holdover),
		string(status.Unsynchronised), string(status.Panicked)}
}

// goal is what wait waits for.
type goal struct {
	state    status.State  // any if empty
	maxError time.Duration // any if 0
}

// reached tells whether it is so. A maximum error counts in the states only in which there is one, and it is known.
func (g goal) reached(s *status.Snapshot) bool {
	if g.state != "" && s.State != g.state {
		return false
	}
	if g.maxError == 0 {
		return true
	}
	bounded := s.State == status.Locked || s.State == status.Acquiring || s.State == status.Holdover
	return bounded && s.MaxError > 0 && s.MaxError <= g.maxError
}

func (g goal) String() string {
	var parts []string
	if g.state != "" {
		parts = append(parts, "state "+string(g.state))
	}
	if g.maxError != 0 {
		parts = append(parts, "max error at most "+text.Bound(g.maxError))
	}
	return strings.Join(parts, " and ")
}

const aboutWait = `Waits until the host's time is good enough, for unit files and scripts. A daemon
that does not run yet is waited for as well.

Without --max-error and --state it waits for the state locked. With --max-error
alone any state will do in which the maximum error is known. A time-out of 0 looks
once.

    ExecStartPre=/usr/bin/lockstepctl wait --max-error 100us --timeout 60s`

func (a *app) wait() *cobra.Command {
	var g goal
	var state string
	var timeout time.Duration
	c := &cobra.Command{Use: "wait", Short: "Wait until the time is good enough", Long: aboutWait, Args: noArgs}
	c.Flags().DurationVar(&g.maxError, "max-error", 0, "largest maximum error of the system clock")
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait")
	c.Flags().StringVar(&state, "state", "", "state to wait for: "+strings.Join(states(), ", "))
	cobra.CheckErr(c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(states(), cobra.ShellCompDirectiveNoFileComp)))
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case c.Flags().Changed("max-error") && g.maxError <= 0:
			return usage("--max-error must be positive")
		case timeout < 0:
			return usage("--timeout must not be negative")
		case state != "" && !slices.Contains(states(), state):
			return usage(fmt.Sprintf("--state is %q, and not one of %s", state, strings.Join(states(), ", ")))
		}
		g.state = status.State(state)
		if g == (goal{}) {
			g.state = status.Locked
		}
		client := a.client()
		defer client.Close()
		s, err := waitFor(c.Context(), client.Status, g, timeout)
		if s != nil {
			err = errors.Join(a.report(s), err)
		}
		return err
	}
	return c
}

// report prints the snapshot that ended the wait.
func (a *app) report(s *status.Snapshot) error {
	if a.json {
		return a.printJSON(s)
	}
	_, err := fmt.Fprintln(a.out, text.Line(s))
	return err
}

// asker asks the daemon for its snapshot.
type asker func(context.Context) (*status.Snapshot, error)

// waitFor returns the snapshot with which the goal was reached, or the last one and an error that says what it lacks.
func waitFor(ctx context.Context, ask asker, g goal, timeout time.Duration) (*status.Snapshot, error) {
	deadline := time.Now().Add(timeout)
	var last *status.Snapshot
	for {
		s, err := askOnce(ctx, ask, deadline)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil && g.reached(s):
			return s, nil
		case err == nil:
			last = s
		case !transient(err):
			return nil, err
		}
		if !time.Now().Add(waitPeriod).Before(deadline) {
			return last, late(g, timeout, last, err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(waitPeriod):
		}
	}
}

// askOnce gives the daemon until the deadline to answer, and a second at least.
func askOnce(ctx context.Context, ask asker, deadline time.Time) (*status.Snapshot, error) {
	ctx, cancel := context.WithDeadline(ctx, maxTime(deadline, time.Now().Add(time.Second)))
	defer cancel()
	return ask(ctx)
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// transient tells whether waiting can help.
func transient(err error) bool {
	return !errors.Is(err, fs.ErrPermission)
}

// late says what was missing at the end.
func late(g goal, timeout time.Duration, last *status.Snapshot, err error) error {
	if err != nil {
		//nolint:errorlint // the exit status is that of errNotYet, whatever kept it from becoming so
		return fmt.Errorf("%w after %v waiting for %v: %v", errNotYet, timeout, g, err)
	}
	bound := "unknown"
	if last.MaxError > 0 {
		bound = text.Bound(last.MaxError)
	}
	return fmt.Errorf("%w after %v waiting for %v: it is %s with max error %s: %s", errNotYet, timeout, g,
		plain.Short(string(last.State)), bound, plain.Short(last.Reason))
}
