// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lockstep-time/lockstep/clock/sysclock"
)

func manCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "man", Short: "print the manual page", Args: between(0, 0),
		Long:    "Print the manual page, made from the commands themselves.",
		Example: "  phcctl man >/usr/local/share/man/man8/phcctl.8",
		RunE:    func(c *cobra.Command, _ []string) error { return writeManual(c.OutOrStdout(), root) },
	}
}

// roff escapes text for troff: backslashes, minus signs that are typed, and control characters at the start of a line.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "−", `\-`, "±", `\(+-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

// manual writes one page; the first error sticks in the writer.
type manual struct{ w *bufio.Writer }

func (m manual) line(format string, args ...any) { fmt.Fprintf(m.w, format+"\n", args...) }

func (m manual) prose(s string) {
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, "\n")
		if line == "" {
			m.line(".PP")
			continue
		}
		m.line("%s", roff(line))
	}
}

func (m manual) verbatim(s string) {
	m.line(".PP\n.nf")
	m.prose(strings.TrimRight(s, "\n"))
	m.line(".fi")
}

func (m manual) flags(set *pflag.FlagSet) {
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name, usage := pflag.UnquoteUsage(f)
		form := "--" + f.Name
		if f.Shorthand != "" {
			form = "-" + f.Shorthand + ", " + form
		}
		m.line(".TP\n\\fB%s\\fR \\fI%s\\fR", roff(form), roff(name))
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
			usage += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		m.line("%s", roff(usage))
	})
}

func (m manual) command(c *cobra.Command) {
	if !c.IsAvailableCommand() {
		return
	}
	m.line(".SS \"%s\"", roff(strings.TrimPrefix(c.UseLine(), "phcctl ")))
	long := c.Long
	if long == "" {
		long = strings.ToUpper(c.Short[:1]) + c.Short[1:] + "."
	}
	m.prose(long)
	m.flags(c.LocalNonPersistentFlags())
	if c.Example != "" {
		m.verbatim(c.Example)
	}
	if c.Name() == "completion" {
		return // each shell's part is the same but for the shell
	}
	for _, sub := range c.Commands() {
		m.command(sub)
	}
}

// writeManual writes the manual page of the command tree.
func writeManual(w io.Writer, root *cobra.Command) error {
	m := manual{bufio.NewWriter(w)}
	m.line(".TH PHCCTL 8 \"\" lockstep \"System Administration\"")
	m.line(".SH NAME\nphcctl \\- %s", roff(root.Short))
	m.line(".SH SYNOPSIS\n.B phcctl\n.I COMMAND\n[\\fIFLAGS\\fR]\n.br\n.B phcctl\n.I DEV\n\\-\\- \\fIOPERATION\\fR...")
	m.line(".SH DESCRIPTION")
	m.prose(rootHelp)
	m.line(".SH OPTIONS")
	m.flags(root.LocalFlags())
	m.line(".SH COMMANDS")
	for _, c := range root.Commands() {
		m.command(c)
	}
	m.line(".SH \"EXIT STATUS\"")
	for _, s := range exitStatuses() {
		m.line(".TP\n.B %d\n%s.", s.code, roff(strings.ToUpper(s.meaning[:1])+s.meaning[1:]))
	}
	m.line(".SH FILES\n.TP\n.I %s\nTells TAI \\- UTC, where neither \\-\\-tai\\-offset nor the kernel does.",
		roff(sysclock.DefaultLeapSeconds))
	m.line(".SH EXAMPLES")
	m.verbatim(root.Example)
	return m.w.Flush()
}
