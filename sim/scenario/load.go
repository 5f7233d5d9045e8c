// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/sim"
	"github.com/lockstep-time/lockstep/sim/expr"
)

// maxSize bounds a scenario file.
const maxSize = 1 << 20

// Problem says what is wrong with a scenario file, and where.
type Problem struct {
	File string
	// Line counts from 1; 0 if it is about the file as a whole.
	Line int
	// Key is what it is about, What is wrong with it, and Allowed what would be right, if there is more to say.
	Key, What, Allowed string
}

// Error is one line.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.What)
	if p.Allowed != "" {
		b.WriteString("; allowed: " + p.Allowed)
	}
	return b.String()
}

// Load reads a scenario file. What is wrong with its content is a *Problem, or several joined.
func Load(path string) (*Scenario, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return Parse(path, text)
}

// Parse understands the text of a scenario file; name is what its problems call it.
func Parse(name string, text []byte) (*Scenario, error) {
	if len(text) > maxSize {
		return nil, &Problem{File: name, What: "the file is too large", Allowed: "at most 1 MiB"}
	}
	base := filepath.Base(name)
	s := &Scenario{Name: strings.TrimSuffix(base, filepath.Ext(base)), file: name, places: map[*expr.Program]place{},
		Start: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), UTCOffset: sim.DefaultUTCOffset, MaxEvents: usualEvents}
	d := toml.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(s); err != nil {
		return nil, decodeProblem(name, err)
	}
	c := &checker{scenario: s, lines: scan(text), values: values{dir: filepath.Dir(name), files: map[string][]float64{}}}
	c.check()
	if len(c.problems) > 0 {
		return nil, errors.Join(c.problems...)
	}
	return s, nil
}

func decodeProblem(name string, err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) {
		var list []error
		for _, e := range strict.Errors[:min(len(strict.Errors), maxProblems)] {
			line, _ := e.Position()
			list = append(list, &Problem{File: name, Line: line, Key: strings.Join(e.Key(), "."), What: "unknown key",
				Allowed: allowedIn(e.Key())})
		}
		return errors.Join(list...)
	}
	p := &Problem{File: name, What: oneLine(err.Error())}
	var at *toml.DecodeError
	if errors.As(err, &at) {
		p.Line, _ = at.Position()
		p.Key, p.What = strings.Join(at.Key(), "."), oneLine(strings.TrimPrefix(at.Error(), "toml: "))
	}
	return p
}

func oneLine(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", " ") }

// allowedIn lists the keys that the section of an unknown key has.
func allowedIn(key []string) string {
	t := reflect.TypeFor[Scenario]()
	for _, k := range key[:max(len(key)-1, 0)] {
		next, ok := keysOf(t)[k]
		if !ok {
			return ""
		}
		if t = next; t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return ""
		}
	}
	var names []string
	for k := range keysOf(t) {
		names = append(names, k)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// keysOf returns the keys of a section and their types.
func keysOf(t reflect.Type) map[string]reflect.Type {
	keys := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name := f.Tag.Get("toml")
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		if (f.IsExported()) && !f.Anonymous && name != "-" {
			keys[name] = f.Type
		}
	}
	return keys
}

// configProblem tells of a host's configuration, with lines of the scenario file.
func (c *checker) configProblem(i int, err error) {
	first := c.lines[fmt.Sprintf("host[%d].config", i)]
	if !strings.Contains(c.scenario.Hosts[i].Config, "\n") {
		first-- // all of it is on the line of the key
	}
	var all *configs.Problems
	if !errors.As(err, &all) {
		c.add(fmt.Sprintf("host[%d].config", i), oneLine(err.Error()), "")
		return
	}
	for _, p := range all.List {
		q := *p
		q.File = ""
		c.problems = append(c.problems, &Problem{File: c.scenario.file, Line: first + q.Line, Key: "config",
			What: strings.TrimLeft(strings.TrimPrefix(q.Error(), fmt.Sprintf(":%d", q.Line)), ": ")})
	}
}
