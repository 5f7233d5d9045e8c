// SPDX-License-Identifier: Apache-2.0

// Package docs keeps the documentation true: it makes the parts of pages that come from command trees, and its tests check
// links, and that pages name all states, reasons and fields that the code has.
package docs

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

const (
	begin = "<!-- begin -->\n"
	end   = "<!-- end -->\n"
)

// Commands returns the reference of a command tree in Markdown: a section for each command with its text and its flags.
// Cobra's own commands are left out.
func Commands(root *cobra.Command) string {
	var b strings.Builder
	describe(&b, root)
	return b.String()
}

func describe(b *strings.Builder, c *cobra.Command) {
	if c.Name() == "help" || c.Name() == "completion" {
		return
	}
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	flags := c.LocalFlags().FlagUsages() // first, since it also adds the flags of the parents, which UseLine needs
	fmt.Fprintf(b, "### %s\n\n```text\n%s\n\nUsage: %s\n", c.CommandPath(), strings.TrimSpace(text), c.UseLine())
	if flags != "" {
		fmt.Fprintf(b, "\n%s\n", strings.TrimRight(flags, "\n"))
	}
	b.WriteString("```\n\n")
	for _, sub := range c.Commands() {
		describe(b, sub)
	}
}

// Check compares the part of a page between its marks with what it is to be, or writes it if update is true.
func Check(t *testing.T, page, want string, update bool) {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(b), begin)
	got, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no part between <!-- begin --> and <!-- end -->", page)
	}
	if update {
		if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s is stale: run this test with -update (-want +got):\n%s", page, diff)
	}
}
