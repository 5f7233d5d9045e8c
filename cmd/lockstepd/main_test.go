// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"strings"
	"testing"
)

// TestEmptyFileNames checks that an unset variable in a script does not start a daemon.
func TestEmptyFileNames(t *testing.T) {
	for _, flag := range []string{"--check", "--config"} {
		c := command()
		c.SetArgs([]string{flag, ""})
		c.SetOut(io.Discard)
		c.SetErr(io.Discard)
		if err := c.Execute(); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("lockstepd %s '': %v", flag, err)
		}
	}
}
