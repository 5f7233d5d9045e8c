// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"io"
	"testing"

	"github.com/lockstep-time/lockstep/test/docs"
)

//go:generate go test -run TestReference -update

var update = flag.Bool("update", false, "write the command line of docs/reference/simulation.md anew")

func TestReference(t *testing.T) {
	command := newCommand(&app{out: io.Discard, err: io.Discard})
	command.Flags().Lookup("jobs").DefValue = "one per processor" // not those of this machine
	docs.Check(t, "../../docs/reference/simulation.md", docs.Commands(command), *update)
}
