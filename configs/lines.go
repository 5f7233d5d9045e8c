// SPDX-License-Identifier: Apache-2.0

package configs

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// lines says where in a file its keys and sections are.
type lines struct {
	// number of the line by path: "ptp.port[1].domain".
	number map[string]int
	// given are the keys and sections in the order of the file.
	given []given
}

// given is a key or a section that a file has.
type given struct {
	path string
	// section is the path above without counts, "ptp.port", and name what follows.
	section, name string
}

// of returns the line of a key, or of the first section of that name, or of what it belongs to; 0 if none is given.
func (l lines) of(path string) int {
	if n, ok := l.number[element(path, 0)]; ok {
		return n
	}
	for path != "" {
		if n, ok := l.number[path]; ok {
			return n
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return 0
}

// scanner walks the syntax of a file that is known to be sound.
type scanner struct {
	parser unstable.Parser
	// ends has the offset of the end of each line, in order.
	ends   []int
	counts map[string]int
	lines  lines
}

// longestPath bounds the work for a path that goes deep. What is below a path so long is in no schema.
const longestPath = 256

// place is where the scanner is: path and the same without counts.
type place struct{ path, plain string }

// scan finds the lines of all keys. The text is one that a full TOML reader has taken.
func scan(text []byte) lines {
	s := scanner{counts: make(map[string]int), lines: lines{number: make(map[string]int)}}
	for at := 0; ; {
		n := bytes.IndexByte(text[at:], '\n')
		if n < 0 {
			break
		}
		at += n + 1
		s.ends = append(s.ends, at)
	}
	s.parser.Reset(text)
	var table place
	for s.parser.NextExpression() {
		switch e := s.parser.Expression(); e.Kind {
		case unstable.Table:
			table = s.walk(place{}, e.Key(), false)
		case unstable.ArrayTable:
			table = s.walk(place{}, e.Key(), true)
		case unstable.KeyValue:
			s.keyValue(table, e)
		}
	}
	return s.lines
}

// walk follows a dotted key from p, as far as longestPath, and notes what is new. If it names an array of tables, it
// begins the next of them.
func (s *scanner) walk(p place, parts unstable.Iterator, array bool) place {
	for len(p.path) <= longestPath && parts.Next() {
		node := parts.Node()
		name := bare(string(node.Data))
		up := p
		p = place{join(up.path, name), join(up.plain, name)}
		if array && parts.IsLast() {
			n := s.counts[p.path]
			s.counts[p.path]++
			p.path = element(p.path, n)
		} else if n := s.counts[p.path]; n > 0 {
			p.path = element(p.path, n-1)
		}
		s.note(p, up.plain, name, int(node.Raw.Offset))
	}
	return p
}

func (s *scanner) note(p place, section, name string, offset int) {
	if _, ok := s.lines.number[p.path]; ok {
		return
	}
	line, found := slices.BinarySearch(s.ends, offset)
	if found {
		line++
	}
	s.lines.number[p.path] = line + 1
	s.lines.given = append(s.lines.given, given{p.path, section, name})
}

func (s *scanner) keyValue(p place, kv *unstable.Node) {
	p = s.walk(p, kv.Key(), false)
	s.value(p, kv.Value())
}

// value looks for keys inside of a value: inline tables, and arrays of them.
func (s *scanner) value(p place, v *unstable.Node) {
	if len(p.path) > longestPath {
		return
	}
	children := v.Children()
	switch v.Kind {
	case unstable.InlineTable:
		for children.Next() {
			s.keyValue(p, children.Node())
		}
	case unstable.Array:
		for n := 0; children.Next(); n++ {
			s.value(place{element(p.path, n), p.plain}, children.Node())
		}
	}
}

func element(path string, n int) string { return path + "[" + strconv.Itoa(n) + "]" }

// bare returns a part of a key as it is written: in quotes unless it is a bare key of TOML.
func bare(name string) string {
	if name == "" || strings.Trim(name, nameChars) != "" {
		return strconv.Quote(name)
	}
	return name
}
