// SPDX-License-Identifier: Apache-2.0

package text

import (
	"fmt"
	"strings"

	"github.com/lockstep-time/lockstep/status"
)

// mark is the sign of a source's state before its name, as people know it from chronyc and ntpq.
func mark(state string) string {
	switch state {
	case "selected":
		return "*"
	case "combined":
		return "+"
	case "usable":
		return "-"
	case "falseticker":
		return "x"
	case "noselect":
		return "#"
	}
	return "?"
}

// sources writes the table of sources of the status screen.
func (p *page) sources(s *status.Snapshot) {
	if len(s.Sources) == 0 {
		return
	}
	columns := []column{
		{title: "Sources", max: 24}, {title: "state"}, {title: "offset", right: true}, {title: "jitter", right: true},
		{title: "max error", right: true}, {title: "heard", right: true},
	}
	var rows []row
	for i := range s.Sources {
		src := &s.Sources[i]
		cells := row{{text: mark(src.State) + " " + clean(string(src.ID))}, {clean(src.State), stateInk(src.State)}}
		if src.Samples > 0 {
			cells = append(cells, cell{text: Offset(src.Offset)}, cell{text: Span(src.Jitter)}, cell{text: Bound(src.MaxError)},
				cell{text: since(s, src.LastSample)})
		}
		rows = append(rows, cells)
	}
	p.table(columns, rows)
}

// Sources returns a screen with all there is to know of each source.
func Sources(s *status.Snapshot, style Style) string {
	p := &page{style: style}
	if len(s.Sources) == 0 {
		p.line(normal, "No source is configured.")
		return p.String()
	}
	p.sources(s)
	for i := range s.Sources {
		p.WriteByte('\n')
		p.source(&s.Sources[i])
	}
	return p.String()
}

func (p *page) source(src *status.Source) {
	p.put(bold, clean(string(src.ID)))
	about := " " + strings.ToUpper(clean(src.Kind))
	if !strings.HasSuffix(string(src.ID), ":"+src.Name) {
		about += " " + clean(src.Name)
	}
	if src.Address != "" && src.Address != src.Name {
		about += " (" + clean(src.Address) + ")"
	}
	for _, option := range []struct {
		set  bool
		name string
	}{{src.Prefer, "prefer"}, {src.Trust, "trust"}} {
		if option.set {
			about += ", " + option.name
		}
	}
	p.line(normal, about)
	p.fact(clean(src.State), clean(src.Reason))
	if src.Samples > 0 {
		p.fact("reference", reference(src))
		p.fact("delay", Span(src.Delay))
	}
	p.fact("estimate", estimate(&src.Estimate))
	p.fact("samples", samples(src))
	if src.Kiss != "" {
		p.fact("kiss", clean(src.Kiss))
	}
}

// reference tells where the source has its time from, empty if it does not say: one that was heard may have no master now.
func reference(src *status.Source) string {
	if src.Reference == "" {
		return ""
	}
	return fmt.Sprintf("%s, stratum %d", clean(src.Reference), src.Stratum)
}

// estimate tells what all samples say together, empty if nothing.
func estimate(e *status.Estimate) string {
	if e.Samples == 0 {
		return ""
	}
	return fmt.Sprintf("offset %s ± %s, frequency %s ± %.1f",
		Offset(e.Offset), Span(e.OffsetSD), Frequency(e.Frequency), e.FrequencySD)
}

func samples(src *status.Source) string {
	text := fmt.Sprintf("%d, %d rejected", src.Samples, src.Rejected)
	if src.Interval > 0 {
		text += ", one per " + Interval(src.Interval)
	}
	if src.Timestamps != "" {
		text += ", " + clean(src.Timestamps) + " timestamps"
	}
	if src.Kind == "ntp" {
		text += fmt.Sprintf(", reach %08b", src.Reach)
	}
	return text
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
