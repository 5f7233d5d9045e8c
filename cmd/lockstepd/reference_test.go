// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"testing"

	"github.com/lockstep-time/lockstep/test/docs"
)

//go:generate go test -run TestReference -update

var update = flag.Bool("update", false, "write the command line of docs/reference/lockstepd.md anew")

func TestReference(t *testing.T) {
	docs.Check(t, "../../docs/reference/lockstepd.md", docs.Commands(command()), *update)
}
