// SPDX-License-Identifier: Apache-2.0

// Lockstepctl shows how lockstepd keeps the time, and controls it, over the daemon's control socket.
//
// Its exit status is
//
//	0  done, or what was waited for is so
//	1  wait: it was not so in time; any other command: the daemon refused or failed
//	2  the command line is wrong
//	3  the daemon does not run, or its socket may not be used
//
// That of simulate is lockstep-sim's, or 127 where that cannot be run.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/lockstep-time/lockstep/internal/plain"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	a := &app{out: os.Stdout, err: os.Stderr, terminal: terminalOf(os.Stdout), getenv: os.Getenv}
	err := a.execute(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lockstepctl:", plain.Lines(err.Error()))
	}
	os.Exit(exitStatus(err))
}
