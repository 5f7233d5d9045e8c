// SPDX-License-Identifier: Apache-2.0

// Package text shows snapshots to people: screens of 80 columns and single lines, with colour or without.
// Whatever came from other hosts is printed without its control characters.
package text

import (
	"strings"
	"unicode/utf8"

	"github.com/lockstep-time/lockstep/internal/plain"
)

// Width is how many columns the screens are made for.
const Width = 80

// Style is how a screen looks.
type Style struct {
	// Color permits ANSI colours (ECMA-48 SGR).
	Color bool
}

// ink is a graphic rendition of ECMA-48.
type ink string

const (
	normal ink = ""
	bold   ink = "1"
	faint  ink = "2"
	red    ink = "31"
	green  ink = "32"
	yellow ink = "33"
)

// page is a screen in the making.
type page struct {
	strings.Builder
	style Style
}

// put writes text in the given ink.
func (p *page) put(i ink, text string) {
	if !p.style.Color || i == normal || strings.TrimSpace(text) == "" {
		p.WriteString(text)
		return
	}
	p.WriteString("\x1b[" + string(i) + "m" + text + "\x1b[0m")
}

// line writes text and ends the line.
func (p *page) line(i ink, text string) {
	p.put(i, text)
	p.WriteByte('\n')
}

// clean replaces what would not print, which a terminal might obey.
func clean(s string) string { return plain.Text(s) }

// cut shortens s to n columns, and shows that it did.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// wrap breaks s at blanks into lines of n columns at most. Longer words have a line of their own.
func wrap(s string, n int) []string {
	var lines []string
	current := ""
	for _, word := range strings.Fields(s) {
		if current != "" && utf8.RuneCountInString(current)+1+utf8.RuneCountInString(word) > n {
			lines, current = append(lines, current), ""
		}
		if current != "" {
			current += " "
		}
		current += word
	}
	if current == "" {
		return lines
	}
	return append(lines, current)
}
