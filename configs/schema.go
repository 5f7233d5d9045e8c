// SPDX-License-Identifier: Apache-2.0

package configs

import (
	"fmt"
	"io/fs"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// section is one table of the file, or one kind of table where a file may have several.
type section struct {
	// path of the table: "steering.virtual", "" for the top level.
	path string
	// name in the table above, and the field there that has its values.
	name  string
	index []int
	typ   reflect.Type
	// list: the file may have several, max of them.
	list bool
	max  int
	keys []key
	subs []section
}

// key is one key of a section.
type key struct {
	name  string
	index []int
	rule  rule
	// preset is the value where the file has none, as the TOML reader would give it; nil if the key is required.
	preset any
}

// schema returns the section that is the whole file.
func schema() section { return newSection(reflect.TypeFor[Config](), "") }

func newSection(t reflect.Type, path string) section {
	s := section{path: path, typ: t}
	for _, f := range reflect.VisibleFields(t) {
		name, ok := f.Tag.Lookup("key")
		switch {
		case !ok:
		case f.Type.Kind() == reflect.Struct:
			s.subs = append(s.subs, subsection(f, f.Type, path, name))
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			sub := subsection(f, f.Type.Elem(), path, name)
			sub.list, sub.max = true, int(must(strconv.ParseInt(f.Tag.Get("max"), 10, 32)))
			s.subs = append(s.subs, sub)
		default:
			s.keys = append(s.keys, newKey(f, name))
		}
	}
	return s
}

func subsection(f reflect.StructField, t reflect.Type, path, name string) section {
	sub := newSection(t, join(path, name))
	sub.name, sub.index = name, f.Index
	return sub
}

func newKey(f reflect.StructField, name string) key {
	k := key{name: name, index: f.Index, rule: newRule(f)}
	if text, ok := f.Tag.Lookup("default"); ok {
		k.preset = presetOf(f.Type, text)
	}
	return k
}

// newRule makes the rule that a field's type and tags ask for. It panics if they make no sense, which any use of the
// package shows at once.
func newRule(f reflect.StructField) rule {
	span, words := f.Tag.Get("range"), strings.Split(f.Tag.Get("range"), "|")
	lo, hi, _ := strings.Cut(span, "..")
	switch {
	case f.Type == reflect.TypeFor[time.Duration]():
		return spanRule{must(parseSpan(lo)), must(parseSpan(hi)), f.Tag.Get("is") == "pow2"}
	case f.Type == reflect.TypeFor[fs.FileMode]():
		return modeRule{}
	}
	switch f.Type.Kind() {
	case reflect.Bool:
		return flagRule{}
	case reflect.Int, reflect.Uint8, reflect.Uint16:
		return intRule{must(strconv.ParseInt(lo, 10, 64)), must(strconv.ParseInt(hi, 10, 64))}
	case reflect.Float64:
		return realRule{must(strconv.ParseFloat(lo, 64)), must(strconv.ParseFloat(hi, 64))}
	case reflect.Slice:
		if form, ok := textForms()[f.Tag.Get("is")]; ok {
			return textsRule{form, int(must(strconv.ParseInt(f.Tag.Get("max"), 10, 32)))}
		}
		return wordsRule{words}
	case reflect.String:
		if span != "" {
			return wordRule{words}
		}
		form, ok := textForms()[f.Tag.Get("is")]
		if !ok {
			panic("configs: field " + f.Name + " does not say what it is")
		}
		_, optional := f.Tag.Lookup("default")
		return textRule{form, optional}
	}
	panic(fmt.Sprintf("configs: field %s has type %v", f.Name, f.Type))
}

// presetOf converts the text of a tag to what the TOML reader would have given for a field of type t.
func presetOf(t reflect.Type, text string) any {
	switch {
	case t == reflect.TypeFor[time.Duration](), t == reflect.TypeFor[fs.FileMode]():
		return text
	case t.Kind() == reflect.Bool:
		return must(strconv.ParseBool(text))
	case t.Kind() == reflect.Float64:
		return must(strconv.ParseFloat(text, 64))
	case t.Kind() == reflect.String:
		return text
	case t.Kind() == reflect.Slice:
		list := []any{}
		if text == "" {
			return list
		}
		for word := range strings.SplitSeq(text, ",") {
			list = append(list, word)
		}
		return list
	}
	return must(strconv.ParseInt(text, 10, 64))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic("configs: tag of a field: " + err.Error())
	}
	return v
}

// join appends a name to the path of a key.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// header returns how the section is begun in a file.
func (s section) header() string {
	if s.list {
		return "[[" + s.path + "]]"
	}
	return "[" + s.path + "]"
}

// names returns the names of the section's keys and of the sections in it.
func (s section) names() []string {
	var names []string
	for _, k := range s.keys {
		names = append(names, k.name)
	}
	for _, sub := range s.subs {
		names = append(names, sub.name)
	}
	return names
}

// each calls f for s and every section in it, in the order of the schema.
func (s section) each(f func(section)) {
	f(s)
	for _, sub := range s.subs {
		sub.each(f)
	}
}
