// SPDX-License-Identifier: Apache-2.0

package configs

import (
	"fmt"
	"io/fs"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/lockstep-time/lockstep/internal/plain"
)

// rule is what the value of one key may be. A rule reads and writes the key's field, whose type it was made for.
type rule interface {
	// set converts raw, as the TOML reader gave it, and puts it into the field. Anything but "" says what is wrong.
	set(field reflect.Value, raw any) (wrong string)
	// check says what is wrong with the value that the field has, or "".
	check(field reflect.Value) (wrong string)
	// allowed says what the value may be.
	allowed() string
	// show writes the field's value as TOML.
	show(field reflect.Value) string
}

// wrongType says that raw is not of the type that is allowed.
func wrongType(raw any) string { return show(raw) + " is " + typeName(raw) }

func typeName(raw any) string {
	switch raw.(type) {
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case []any:
		return "an array"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}

// show writes a value of the file for a message, on one line and shortened.
func show(raw any) string {
	switch v := raw.(type) {
	case string:
		return strconv.Quote(clip(v))
	case []any, map[string]any:
		return "this"
	}
	return plain.Text(clip(fmt.Sprint(raw)))
}

// clip shortens a text of the file for a message.
func clip(s string) string {
	const longest = 64
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}

// flagRule is a boolean.
type flagRule struct{}

func (flagRule) set(f reflect.Value, raw any) string {
	v, ok := raw.(bool)
	if !ok {
		return wrongType(raw)
	}
	f.SetBool(v)
	return ""
}

func (flagRule) check(reflect.Value) string  { return "" }
func (flagRule) allowed() string             { return "true or false" }
func (flagRule) show(f reflect.Value) string { return strconv.FormatBool(f.Bool()) }

// intRule is an integer in a range.
type intRule struct{ lo, hi int64 }

func (r intRule) set(f reflect.Value, raw any) string {
	v, ok := raw.(int64)
	if !ok {
		return wrongType(raw)
	}
	if wrong := r.within(v); wrong != "" {
		return wrong
	}
	if f.CanUint() {
		f.SetUint(uint64(v))
	} else {
		f.SetInt(v)
	}
	return ""
}

func (r intRule) within(v int64) string {
	if v < r.lo || v > r.hi {
		return fmt.Sprintf("%d is out of range", v)
	}
	return ""
}

func (r intRule) value(f reflect.Value) int64 {
	if f.CanUint() {
		return int64(f.Uint())
	}
	return f.Int()
}

func (r intRule) check(f reflect.Value) string { return r.within(r.value(f)) }
func (r intRule) allowed() string              { return fmt.Sprintf("an integer from %d to %d", r.lo, r.hi) }
func (r intRule) show(f reflect.Value) string  { return strconv.FormatInt(r.value(f), 10) }

// realRule is a number in a range.
type realRule struct{ lo, hi float64 }

func (r realRule) set(f reflect.Value, raw any) string {
	switch v := raw.(type) {
	case int64:
		f.SetFloat(float64(v))
	case float64:
		f.SetFloat(v)
	default:
		return wrongType(raw)
	}
	return r.check(f)
}

func (r realRule) check(f reflect.Value) string {
	if v := f.Float(); math.IsNaN(v) || v < r.lo || v > r.hi {
		return fmt.Sprintf("%v is out of range", v)
	}
	return ""
}

func (r realRule) allowed() string { return "a number from " + decimal(r.lo) + " to " + decimal(r.hi) }

func (r realRule) show(f reflect.Value) string {
	s := decimal(f.Float())
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// spanRule is a duration in a range.
type spanRule struct {
	lo, hi time.Duration
	pow2   bool
}

func (r spanRule) set(f reflect.Value, raw any) string {
	s, ok := raw.(string)
	if !ok {
		return wrongType(raw)
	}
	d, err := parseSpan(s)
	if err != nil {
		return show(raw) + " is not a duration"
	}
	f.SetInt(int64(d))
	return r.check(f)
}

func (r spanRule) check(f reflect.Value) string {
	d := time.Duration(f.Int())
	switch {
	case d < r.lo || d > r.hi:
		return formatSpan(d) + " is out of range"
	case r.pow2 && !isPow2(d):
		return fmt.Sprintf("%s is not a power of two seconds, the nearest is %s",
			formatSpan(d), formatSpan(nearestPow2(d, r.lo, r.hi)))
	}
	return ""
}

func (r spanRule) allowed() string {
	if r.pow2 {
		return fmt.Sprintf(`a power of two seconds from %q to %q`, formatSpan(r.lo), formatSpan(r.hi))
	}
	return fmt.Sprintf(`a duration from %q to %q`, formatSpan(r.lo), formatSpan(r.hi))
}

func (r spanRule) show(f reflect.Value) string { return quote(formatSpan(time.Duration(f.Int()))) }

// wordRule is one of several words.
type wordRule struct{ words []string }

func (r wordRule) set(f reflect.Value, raw any) string {
	s, ok := raw.(string)
	if !ok {
		return wrongType(raw)
	}
	f.SetString(s)
	return r.check(f)
}

func (r wordRule) check(f reflect.Value) string {
	if slices.Contains(r.words, f.String()) {
		return ""
	}
	return show(f.String()) + " is unknown" + didYouMean(f.String(), r.words)
}

func (r wordRule) allowed() string             { return quotedList(r.words, " or ") }
func (r wordRule) show(f reflect.Value) string { return quote(f.String()) }

// wordsRule is a list of words, each at most once.
type wordsRule struct{ words []string }

func (r wordsRule) set(f reflect.Value, raw any) string {
	if wrong := setStrings(f, raw, len(r.words)+1); wrong != "" {
		return wrong
	}
	return r.check(f)
}

func (r wordsRule) check(f reflect.Value) string {
	seen := make(map[string]bool)
	for i := range f.Len() {
		s := f.Index(i).String()
		if !slices.Contains(r.words, s) {
			return show(s) + " is unknown" + didYouMean(s, r.words)
		}
		if seen[s] {
			return show(s) + " is given twice"
		}
		seen[s] = true
	}
	return ""
}

func (r wordsRule) allowed() string {
	return "a list of " + quotedList(r.words, " and ") + ", each at most once"
}

func (r wordsRule) show(f reflect.Value) string { return showStrings(f) }

// setStrings puts a list of strings into the field, the first most of them.
func setStrings(f reflect.Value, raw any, most int) (wrong string) {
	list, ok := raw.([]any)
	if !ok {
		return wrongType(raw)
	}
	texts := make([]string, 0, min(len(list), most))
	for _, e := range list[:min(len(list), most)] {
		s, ok := e.(string)
		if !ok {
			return wrongType(e)
		}
		texts = append(texts, s)
	}
	f.Set(reflect.ValueOf(texts))
	return ""
}

func showStrings(f reflect.Value) string {
	var quoted []string
	for i := range f.Len() {
		quoted = append(quoted, quote(f.Index(i).String()))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// textsRule is a list of texts of a form, most at most.
type textsRule struct {
	form textForm
	most int
}

func (r textsRule) set(f reflect.Value, raw any) string {
	if wrong := setStrings(f, raw, r.most+1); wrong != "" {
		return wrong
	}
	if f.Len() == 0 {
		f.SetZero()
	}
	return r.check(f)
}

func (r textsRule) check(f reflect.Value) string {
	if f.Len() > r.most {
		return fmt.Sprintf("more than %d", r.most)
	}
	for i := range f.Len() {
		if s := f.Index(i).String(); !r.form.ok(s) {
			return show(s) + " is not valid"
		}
	}
	return ""
}

func (r textsRule) allowed() string {
	return fmt.Sprintf("a list of at most %d, each %s", r.most, r.form.allowed)
}

func (r textsRule) show(f reflect.Value) string { return showStrings(f) }

// modeRule is the permissions of a file, in octal.
type modeRule struct{}

func (r modeRule) set(f reflect.Value, raw any) string {
	s, ok := raw.(string)
	if !ok {
		return wrongType(raw)
	}
	v, err := strconv.ParseUint(s, 8, 32)
	if err != nil || len(s) < 3 || len(s) > 4 {
		return show(raw) + " is not a file mode"
	}
	f.SetUint(v)
	return r.check(f)
}

func (modeRule) check(f reflect.Value) string {
	if v := f.Uint(); v > uint64(fs.ModePerm) {
		return fmt.Sprintf("%04o is out of range", v)
	}
	return ""
}

func (modeRule) allowed() string             { return `permissions in octal from "0000" to "0777"` }
func (modeRule) show(f reflect.Value) string { return fmt.Sprintf(`"%04o"`, f.Uint()) }

// textRule is a text of a certain form, or empty if it is optional.
type textRule struct {
	form     textForm
	optional bool
}

func (r textRule) set(f reflect.Value, raw any) string {
	s, ok := raw.(string)
	if !ok {
		return wrongType(raw)
	}
	f.SetString(s)
	return r.check(f)
}

func (r textRule) check(f reflect.Value) string {
	s := f.String()
	if r.optional && s == "" || r.form.ok(s) {
		return ""
	}
	return show(s) + " is not valid"
}

func (r textRule) allowed() string {
	if r.optional {
		return r.form.allowed + `, or ""`
	}
	return r.form.allowed
}

func (r textRule) show(f reflect.Value) string { return quote(f.String()) }

// quote writes a text as a TOML basic string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case !unicode.IsPrint(r) && r > 0xffff:
			fmt.Fprintf(&b, `\U%08X`, r)
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// quotedList writes words in quotes, with and before the last.
func quotedList(words []string, and string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	last := len(quoted) - 1
	if last < 1 {
		return strings.Join(quoted, "")
	}
	return strings.Join(quoted[:last], ", ") + and + quoted[last]
}
