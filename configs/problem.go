// SPDX-License-Identifier: Apache-2.0

package configs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-time/lockstep/internal/plain"
)

// MaxProblems is how many problems of one file are reported.
const MaxProblems = 20

// Problem is one thing that is wrong with a configuration. Its text is one line.
type Problem struct {
	// File that was read, empty for a Config that was made otherwise.
	File string
	// Line in the file, from 1; 0 if there is none.
	Line int
	// Key with the path to it, as in "ptp.port[1].domain"; sections of one name are counted from 0. Empty if it is no key's.
	Key string
	// What is wrong.
	What string
	// Allowed says what would be right; empty where What already does.
	Allowed string
}

// Error returns "file:line: key: what is wrong; allowed: what would be right", without the parts that are not known.
func (p *Problem) Error() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			b.WriteString(":" + strconv.Itoa(p.Line))
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.What)
	if p.Allowed != "" {
		b.WriteString("; allowed: " + p.Allowed)
	}
	return b.String()
}

// Problems is everything that is wrong with one configuration, in the order of the file.
type Problems struct {
	// List has at most MaxProblems elements.
	List []*Problem
	// More is how many there are beyond List.
	More int
}

// Error returns the problems, one a line.
func (p *Problems) Error() string {
	lines := make([]string, 0, len(p.List)+1)
	for _, e := range p.List {
		lines = append(lines, e.Error())
	}
	if p.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", p.More))
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems for errors.As.
func (p *Problems) Unwrap() []error {
	errs := make([]error, len(p.List))
	for i, e := range p.List {
		errs[i] = e
	}
	return errs
}

// report collects the problems of one configuration, at most one for each key.
type report struct {
	file  string
	lines lines
	all   []*Problem
	bad   map[string]bool
}

func newReport(file string, l lines) *report {
	return &report{file: file, lines: l, bad: make(map[string]bool)}
}

// add notes a problem of a key.
func (r *report) add(path, what, allowed string) {
	if r.bad[path] {
		return
	}
	r.bad[path] = true
	r.all = append(r.all, &Problem{File: r.file, Line: r.lines.of(path), Key: plain.Text(clip(path)), What: what,
		Allowed: allowed})
}

// sound reports whether none of the keys has a problem.
func (r *report) sound(paths ...string) bool {
	return !slices.ContainsFunc(paths, func(p string) bool { return r.bad[p] })
}

// err returns the problems as *Problems, or nil.
func (r *report) err() error {
	if len(r.all) == 0 {
		return nil
	}
	slices.SortStableFunc(r.all, func(a, b *Problem) int { return a.Line - b.Line })
	n := min(len(r.all), MaxProblems)
	return &Problems{List: r.all[:n:n], More: len(r.all) - n}
}

// didYouMean names the word that is most like s, if one is.
func didYouMean(s string, words []string) string {
	if word, ok := nearest(s, words); ok {
		return " (did you mean " + strconv.Quote(word) + "?)"
	}
	return ""
}

// nearest returns the word that takes the fewest edits to become s, at most a third of its letters.
func nearest(s string, words []string) (word string, ok bool) {
	const longest = 64
	if len(s) > longest {
		return "", false
	}
	fewest := longest
	for _, w := range words {
		if n := edits(strings.ToLower(s), w); n < fewest && n <= max(1, len(w)/3) {
			word, fewest, ok = w, n, true
		}
	}
	return word, ok
}

// edits returns how many letters have to be inserted, deleted, replaced or swapped with their neighbour to make b of a.
func edits(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+change)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
