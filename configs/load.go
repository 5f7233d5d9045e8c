// SPDX-License-Identifier: Apache-2.0

package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/viper"

	"github.com/lockstep-time/lockstep/internal/plain"
)

// MaxSize is the size in bytes that a configuration file may have.
const MaxSize = 1 << 20

// Default returns a configuration of nothing but defaults: no ports, no servers.
func Default() *Config {
	c := new(Config)
	d := decoder{newReport("", lines{})}
	d.section(schema(), reflect.ValueOf(c).Elem(), nil, "")
	return c
}

// Load reads a configuration file. What is wrong with its content is returned as *Problems; a file that cannot be read
// gives an error that wraps the system's.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, text)
}

// Parse reads the text of a configuration file; name is what its problems call it. The error is *Problems.
func Parse(name string, text []byte) (*Config, error) {
	if len(text) > MaxSize {
		return nil, &Problems{List: []*Problem{{File: name, What: "the file is too large", Allowed: "at most 1 MiB"}}}
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // which some editors put before UTF-8
	v := viper.New()
	v.SetConfigType("toml")
	if err := v.ReadConfig(bytes.NewReader(text)); err != nil {
		return nil, &Problems{List: []*Problem{syntaxProblem(name, err)}}
	}
	root := schema()
	c, d := new(Config), decoder{newReport(name, scan(text))}
	d.unknown(root)
	values := make(map[string]any)
	for _, top := range root.names() {
		if v.InConfig(top) {
			values[top] = v.Get(top)
		}
	}
	d.section(root, reflect.ValueOf(c).Elem(), values, "")
	c.check(d.report)
	if err := d.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// syntaxProblem says what keeps a text from being TOML, and where.
func syntaxProblem(name string, err error) *Problem {
	p := &Problem{File: name, What: err.Error()}
	var at *toml.DecodeError
	if errors.As(err, &at) {
		p.Line, _ = at.Position()
		p.What = strings.TrimPrefix(at.Error(), "toml: ")
	}
	p.What = "not TOML: " + plain.Text(clip(strings.ReplaceAll(p.What, "\n", " ")))
	return p
}

// decoder puts the values of a file into a Config, by the schema.
type decoder struct{ *report }

// unknown reports the keys and sections that the schema does not have. Of an unknown section only itself is reported.
func (d decoder) unknown(root section) {
	known := make(map[string][]string)
	root.each(func(s section) { known[s.path] = s.names() })
	for _, g := range d.lines.given {
		names, ok := known[g.section]
		if !ok || slices.Contains(names, g.name) {
			continue
		}
		if hint := didYouMean(g.name, names); hint != "" {
			d.add(g.path, "unknown key"+hint, "")
			continue
		}
		d.add(g.path, "unknown key"+elsewhere(root, g.name), strings.Join(names, ", "))
	}
}

// elsewhere names the section that has the key that was not found where it stands.
func elsewhere(root section, name string) (hint string) {
	root.each(func(s section) {
		has := slices.ContainsFunc(s.keys, func(k key) bool { return k.name == name })
		if has && s.path != "" && hint == "" {
			hint = ", it belongs to " + s.header()
		}
	})
	return hint
}

// section fills in the fields of s from the values of its table.
func (d decoder) section(s section, to reflect.Value, values map[string]any, path string) {
	for _, k := range s.keys {
		d.key(k, to.FieldByIndex(k.index), values, join(path, k.name))
	}
	for _, sub := range s.subs {
		field, at := to.FieldByIndex(sub.index), join(path, sub.name)
		value, given := values[sub.name]
		if sub.list {
			d.list(sub, field, value, given, at)
			continue
		}
		table, ok := value.(map[string]any)
		if given && !ok {
			d.add(at, wrongType(value), "a section "+sub.header())
		}
		d.section(sub, field, table, at)
	}
}

// list fills in a field that has one element for each section of its name.
func (d decoder) list(s section, to reflect.Value, value any, given bool, path string) {
	list, ok := value.([]any)
	switch {
	case given && !ok:
		d.add(path, wrongType(value), "sections "+s.header())
	case len(list) > s.max:
		d.add(path, fmt.Sprintf("%d sections", len(list)), fmt.Sprintf("at most %d", s.max))
		list = list[:s.max]
	}
	to.Set(reflect.MakeSlice(to.Type(), len(list), len(list)))
	for i, e := range list {
		at := element(path, i)
		table, ok := e.(map[string]any)
		if !ok {
			d.add(at, wrongType(e), "sections "+s.header())
			continue
		}
		d.section(s, to.Index(i), table, at)
	}
}

// key fills in one field with what the file has, or with the default.
func (d decoder) key(k key, to reflect.Value, values map[string]any, path string) {
	value, given := values[k.name]
	if given {
		wrong := k.rule.set(to, value)
		if wrong == "" {
			return
		}
		d.add(path, wrong, k.rule.allowed())
	} else if k.preset == nil {
		d.add(path, "missing", k.rule.allowed())
	}
	if k.preset == nil {
		to.SetZero()
	} else if wrong := k.rule.set(to, k.preset); wrong != "" {
		d.add(path, wrong, k.rule.allowed())
	}
}
