// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/lockstep-time/lockstep/status/text"
)

// report is what was seen.
type report struct {
	began    time.Time
	events   []string
	chapters []named
	promises []string
	broken   bool
}

type named struct {
	name string
	*figures
}

func (r *report) event(what string) {
	r.events = append(r.events, fmt.Sprintf("%6.1f s  %s", time.Since(r.began).Seconds(), strings.TrimSpace(what)))
}

// chapter returns where the figures of a chapter go.
func (r *report) chapter(name string) *figures {
	f := new(figures)
	r.chapters = append(r.chapters, named{name, f})
	return f
}

func (r *report) promise(kept bool, what string) {
	mark := "ok    "
	if !kept {
		mark, r.broken = "BROKEN", true
	}
	r.promises = append(r.promises, mark+" "+what)
}

// write writes the summary. What cannot be written is of no use to anybody.
func (r *report) write(w io.Writer) {
	fmt.Fprintf(w, "\nWhat was seen\n  %s\n", strings.Join(r.events, "\n  "))
	if len(r.chapters) > 0 {
		fmt.Fprintf(w, "\nThe clock against CLOCK_REALTIME while locked, read to %v\n", readingError)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprint(t, "\tmedian\t95 %\tlargest\tstated bound\t\n")
		for _, c := range r.chapters {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t\n", c.name, text.Span(c.quantile(0.5)), text.Span(c.quantile(0.95)),
				text.Span(c.quantile(1)), text.Bound(c.bound))
		}
		t.Flush()
	}
	if len(r.promises) > 0 {
		fmt.Fprintf(w, "\nWhat was promised\n  %s\n", strings.Join(r.promises, "\n  "))
	}
	fmt.Fprintln(w)
}
