// SPDX-License-Identifier: Apache-2.0

// Lockstep-sim runs scenarios of hosts and networks in virtual time, with the code and the configuration of lockstepd.
//
// Its exit status is
//
//	0  all limits hold
//	1  some do not, or it failed
//	2  the command line or a scenario is wrong, or a scenario takes more work than its max_events
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/lockstep-time/lockstep/internal/plain"
)

// errUsage decides on the exit status.
var errUsage = errors.New("see lockstep-sim --help")

func usage(what string) error { return fmt.Errorf("%s (%w)", what, errUsage) }

func exitStatus(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		return 2
	}
	return 1
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newCommand(&app{out: os.Stdout, err: os.Stderr}).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lockstep-sim:", plain.Lines(err.Error()))
	}
	os.Exit(exitStatus(err))
}
