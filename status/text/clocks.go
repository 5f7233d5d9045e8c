// SPDX-License-Identifier: Apache-2.0

package text

import (
	"fmt"
	"strings"

	"github.com/lockstep-time/lockstep/status"
)

// branch is a node of the tree of clocks as it is printed: a source, a clock, or neither.
type branch struct {
	label string
	clock *status.Clock
}

// branches returns the tree of clocks, each after what it follows. Clocks that follow each other in a ring hang from
// nothing.
func branches(clocks []status.Clock) []branch {
	t := forest{clocks: clocks, done: make([]bool, len(clocks))}
	named := make(map[string]bool, len(clocks))
	for _, c := range clocks {
		named[c.Name] = true
	}
	for _, c := range clocks {
		if !named[c.Follows] && !t.seen(c.Follows) {
			t.roots = append(t.roots, c.Follows)
			t.out = append(t.out, branch{label: rootLabel(c.Follows)})
			t.grow(c.Follows, "")
		}
	}
	for i := range clocks {
		if !t.done[i] {
			t.out = append(t.out, branch{label: "? " + clean(clocks[i].Name), clock: &clocks[i]})
		}
	}
	return t.out
}

type forest struct {
	clocks []status.Clock
	done   []bool
	roots  []string
	out    []branch
}

func (t *forest) seen(root string) bool {
	for _, r := range t.roots {
		if r == root {
			return true
		}
	}
	return false
}

// grow adds the clocks that follow parent, and theirs.
func (t *forest) grow(parent, indent string) {
	var children []int
	for i, c := range t.clocks {
		if c.Follows == parent && !t.done[i] {
			t.done[i] = true
			children = append(children, i)
		}
	}
	for n, i := range children {
		stem, next := "├─ ", "│  "
		if n == len(children)-1 {
			stem, next = "└─ ", "   "
		}
		c := &t.clocks[i]
		t.out = append(t.out, branch{label: indent + stem + clean(c.Name), clock: c})
		if c.Name != "" {
			t.grow(c.Name, indent+next)
		}
	}
}

func rootLabel(source string) string {
	if source == "" {
		return "(no source)"
	}
	return clean(source)
}

// tree writes which clock follows what, and how closely.
func (p *page) tree(s *status.Snapshot) {
	columns := []column{
		{title: "Clocks", max: 24}, {title: "state", max: 10}, {title: "offset", right: true}, {title: "rms", right: true},
		{title: "max error", right: true}, {title: "frequency", right: true},
	}
	var rows []row
	for _, b := range branches(s.Clocks) {
		r := row{{text: b.label}}
		if c := b.clock; c != nil {
			r = append(r, cell{clean(c.State), stateInk(c.State)})
			if !c.Updated.IsZero() {
				r = append(r, cell{text: Offset(c.Offset)}, cell{text: Span(c.OffsetRMS)},
					cell{text: Bound(c.MaxError)}, cell{text: Frequency(c.Frequency)})
			}
		}
		rows = append(rows, r)
	}
	p.table(columns, rows)
	p.WriteByte('\n')
}

// Clocks returns a screen with all there is to know of each clock.
func Clocks(s *status.Snapshot, style Style) string {
	p := &page{style: style}
	p.tree(s)
	for i := range s.Clocks {
		if i > 0 {
			p.WriteByte('\n')
		}
		p.clock(s, &s.Clocks[i])
	}
	return p.String()
}

func (p *page) clock(s *status.Snapshot, c *status.Clock) {
	p.put(bold, clean(c.Name))
	about := " " + dash(clean(c.Device)) + ", " + dash(clean(c.Scale))
	if len(c.Interfaces) > 0 {
		about += ", of " + clean(strings.Join(c.Interfaces, " "))
	}
	p.line(normal, about)
	follows := "nothing, it runs free"
	if c.Follows != "" {
		follows = clean(c.Follows)
	}
	p.fact("follows", follows)
	steered := "never yet"
	if !c.Updated.IsZero() {
		steered = Age(s.Time.Sub(c.Updated)) + " ago"
	}
	p.fact("steered", fmt.Sprintf("%s by servo %s, %s so far", steered, dash(clean(c.Servo)), count(c.Steps, "step")))
	if c.Method != "" {
		p.fact("crossings", fmt.Sprintf("%s, window %s", clean(c.Method), Span(c.Window)))
	}
	p.fact("error", clean(c.Error))
}
