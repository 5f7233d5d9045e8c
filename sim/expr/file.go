// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
)

// Files returns the names of the files that the program reads values from, as they were written.
func (p *Program) Files() (names []string) {
	for i := range p.nodes {
		if p.nodes[i].op == opFile {
			names = append(names, p.nodes[i].file)
		}
	}
	return names
}

// WithFiles returns the program with the values of its files, which read gives for a name. The slices are kept, and must not
// be changed. Until then a file has the value 0.
func (p *Program) WithFiles(read func(name string) ([]float64, error)) (*Program, error) {
	q := &Program{text: p.text, nodes: append([]node(nil), p.nodes...)}
	for i := range q.nodes {
		n := &q.nodes[i]
		if n.op != opFile {
			continue
		}
		var err error
		if n.data, err = read(n.file); err != nil {
			return nil, err
		}
	}
	return q, nil
}

// next returns the values of a file one after the other, and then from the beginning again.
func (e *Expr) next(i int32, n *node) float64 {
	if len(n.data) == 0 {
		return 0
	}
	s := &e.states[i]
	v := n.data[int(s.count)]
	if s.count++; int(s.count) == len(n.data) {
		s.count = 0
	}
	return v
}

// Numbers understands the text of a file of values: finite numbers with white space between them. Its errors begin with the
// line.
func Numbers(text []byte) ([]float64, error) {
	var values []float64
	for line := 1; len(text) > 0; line++ {
		var this []byte
		this, text, _ = bytes.Cut(text, []byte("\n"))
		for word := range bytes.FieldsSeq(this) {
			v, err := strconv.ParseFloat(string(word), 64)
			if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
				return nil, fmt.Errorf("%d: %q is not a finite number", line, clip(string(word)))
			}
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("1: there are no numbers")
	}
	return values, nil
}

// path takes the argument of the function file, in quotes or without, and what closes the function.
func (p *parser) path(open int, n node) (int32, error) {
	p.space()
	at := p.pos
	if p.pos < len(p.text) && p.text[p.pos] == '"' {
		end := bytes.IndexByte([]byte(p.text[p.pos+1:]), '"')
		if end < 0 {
			return 0, p.fail(at, "this quote is not closed")
		}
		n.file = p.text[at+1 : at+1+end]
		p.pos += end + 2
	} else {
		n.file = p.word()
	}
	if p.space(); n.file == "" || p.pos == len(p.text) || p.text[p.pos] != ')' {
		return 0, p.fail(open, "file takes the name of a file, in quotes if it has spaces or parentheses")
	}
	p.pos++
	return p.node(n), nil
}
