// SPDX-License-Identifier: Apache-2.0

package text

import (
	"strings"
	"unicode/utf8"
)

// column is one column of a table.
type column struct {
	title string
	right bool // numbers stand to the right
	max   int  // longer texts are cut; 0 for no limit
}

// cell is one text of a table.
type cell struct {
	text string
	ink  ink
}

// row is a row of cells; those at its end may be left out.
type row []cell

const gap = "  "

// table writes rows under the columns' titles.
func (p *page) table(columns []column, rows []row) {
	head := make(row, len(columns))
	width := make([]int, len(columns))
	for i, c := range columns {
		head[i] = cell{c.title, faint}
		width[i] = utf8.RuneCountInString(c.title)
		for _, r := range rows {
			if i < len(r) {
				r[i].text = limit(r[i].text, c.max)
				width[i] = max(width[i], utf8.RuneCountInString(r[i].text))
			}
		}
	}
	for _, r := range append([]row{head}, rows...) {
		p.row(columns, width, r)
	}
}

func limit(s string, n int) string {
	if n == 0 {
		return s
	}
	return cut(s, n)
}

// row writes one row without blanks at its end.
func (p *page) row(columns []column, width []int, cells row) {
	last := len(cells) - 1
	for last >= 0 && cells[last].text == "" {
		last--
	}
	for i, c := range cells[:last+1] {
		if i > 0 {
			p.WriteString(gap)
		}
		pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c.text))
		if columns[i].right {
			p.WriteString(pad)
		}
		p.put(c.ink, c.text)
		if !columns[i].right && i < last {
			p.WriteString(pad)
		}
	}
	p.WriteByte('\n')
}
