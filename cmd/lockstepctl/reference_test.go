// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"io"
	"testing"

	"github.com/lockstep-time/lockstep/test/docs"
)

//go:generate go test -run TestReference -update

var update = flag.Bool("update", false, "write the commands of docs/reference/lockstepctl.md anew")

func TestReference(t *testing.T) {
	root := newRoot(&app{out: io.Discard, err: io.Discard, getenv: func(string) string { return "" }})
	docs.Check(t, "../../docs/reference/lockstepctl.md", docs.Commands(root), *update)
}
