// SPDX-License-Identifier: Apache-2.0

package configs

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the generated files anew")

// TestGenerated checks that the reference and the commented example say what config.go says.
func TestGenerated(t *testing.T) {
	docs := readComments(t)
	for _, f := range []struct{ path, want string }{
		{"../docs/reference/configuration.md", docs.reference(t)},
		{"lockstepd.toml", docs.example(t)},
	} {
		if *update {
			if err := os.WriteFile(f.path, []byte(f.want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(f.path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(f.want, string(got)); diff != "" {
			t.Errorf("%s is stale, run go generate ./configs (-want +got):\n%s", f.path, diff)
		}
	}
}

// comments are the comments of config.go by "Type" and "Type.Field".
type comments map[string]string

func readComments(t *testing.T) comments {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	c := make(comments)
	for _, decl := range file.Decls {
		general, ok := decl.(*ast.GenDecl)
		if !ok || general.Tok != token.TYPE {
			continue
		}
		spec := general.Specs[0].(*ast.TypeSpec)
		c[spec.Name.Name] = oneLine(general.Doc)
		if s, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range s.Fields.List {
				for _, name := range f.Names {
					c[spec.Name.Name+"."+name.Name] = oneLine(f.Doc)
				}
			}
		}
	}
	return c
}

func oneLine(g *ast.CommentGroup) string { return strings.Join(strings.Fields(g.Text()), " ") }

// of returns the comment of the field that has a key.
func (c comments) of(t *testing.T, s section, k key) string {
	t.Helper()
	typ := s.typ
	for _, i := range k.index[:len(k.index)-1] {
		typ = typ.Field(i).Type
	}
	name := typ.Name() + "." + typ.Field(k.index[len(k.index)-1]).Name
	if c[name] == "" {
		t.Errorf("%s has no comment", name)
	}
	return c[name]
}

// shown returns the value of a key as TOML: its default, or the example if it is required.
func shown(t *testing.T, s section, k key) string {
	t.Helper()
	v := reflect.New(s.typ).Elem().FieldByIndex(k.index)
	raw := k.preset
	if raw == nil {
		raw = s.typ.FieldByIndex(k.index).Tag.Get("example")
	}
	if wrong := k.rule.set(v, raw); wrong != "" {
		t.Errorf("%s in [%s]: %s; allowed: %s", k.name, s.path, wrong, k.rule.allowed())
	}
	return k.rule.show(v)
}

// referenceHead is the text before the tables; ~ stands for a backquote.
const referenceHead = `<!-- Generated from configs/config.go by "go generate ./configs". -->

# Configuration

~lockstepd~ reads one TOML file: the one that ~--config~ names, or ~/etc/lockstep/lockstepd.toml~. Every key that is not
marked as required has a default. Without a source in the file, or without a file, lockstepd uses what the host has: a
PTP port on each interface with a hardware clock, and the NTP pool of the distribution. A NIC that is added later gets
its port within ten seconds.

~lockstepd --check FILE~ prints what would run with FILE, and the values in effect. Without FILE, it prints what
lockstepd would run without ~--config~.

An unknown key, a wrong type, a value that is not allowed, or a port or server that is given twice is an error, and the
daemon does not start. Each error is one line with the file, the line, the key, what is wrong and what is allowed:

    client.toml:8: ptp.port[0].domain: 200 is out of range; allowed: an integer from 0 to 127

Durations are strings with units: ~"20us"~, ~"1.5s"~, ~"1h30m"~, ~"7d"~. The units are ns, us (or µs), ms, s, m, h and d.
A power of two seconds is ~"7.8125ms"~, ~"500ms"~, ~"1s"~, ~"16s"~, ~"1024s"~ and so on. A section in double brackets may
be given several times, once for each port, server or pool. A file has at most 1 MiB.

On ~SIGHUP~ lockstepd reads the file again. Changes of ~[control]~, ~[metrics]~, ~[log]~, ~steering.system_clock~ and
~[steering.virtual]~ need a restart.

Examples are in [configs](../../configs): ~lockstepd.toml~ has every key with its default, ~client.toml~ is a host with
PTP and NTP, ~ntp-only.toml~ a host without PTP. [lockstepd.service](../../configs/lockstepd.service) is the unit for
systemd, ~lockstep.sysusers~ creates its user, and ~lockstep.rules~ gives it access to /dev/ptpN.
`

// reference returns docs/reference/configuration.md.
func (c comments) reference(t *testing.T) string {
	var b bytes.Buffer
	b.WriteString(strings.ReplaceAll(referenceHead, "~", "`"))
	escape := strings.NewReplacer("|", `\|`)
	schema().each(func(s section) {
		if len(s.keys) == 0 {
			return
		}
		title := "`" + s.header() + "`"
		if s.path == "" {
			title = "Top level"
		}
		fmt.Fprintf(&b, "\n## %s\n\n", title)
		if s.path != "" {
			fmt.Fprintf(&b, "%s", c[s.typ.Name()])
			if s.list {
				fmt.Fprintf(&b, " At most %d.", s.max)
			}
			b.WriteString("\n\n")
		}
		b.WriteString("| key | default | allowed | meaning |\n|---|---|---|---|\n")
		for _, k := range s.keys {
			value := "`" + shown(t, s, k) + "`"
			if k.preset == nil {
				value = "required"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n",
				k.name, value, escape.Replace(k.rule.allowed()), escape.Replace(c.of(t, s, k)))
		}
	})
	return b.String()
}

const exampleHead = `# SPDX-License-Identifier: Apache-2.0
# Generated from configs/config.go by "go generate ./configs".
#
# Every key of lockstepd with its default, and an example of each kind of source. To set a key, remove the # before it. For
# a port, server or pool, also remove the # before its section. A file without any source, such as this one, uses what the
# host has: a PTP port on each interface with a hardware clock, and the NTP pool of the distribution.
`

// example returns lockstepd.toml: explanations begin with "# ", settings with "#".
func (c comments) example(t *testing.T) string {
	var b bytes.Buffer
	b.WriteString(exampleHead)
	schema().each(func(s section) {
		if len(s.keys) == 0 {
			return
		}
		if s.path != "" {
			b.WriteString("\n")
			wrap(&b, c[s.typ.Name()])
			if s.list {
				b.WriteString("#")
			}
			b.WriteString(s.header() + "\n")
		}
		for _, k := range s.keys {
			b.WriteString("\n")
			wrap(&b, c.of(t, s, k))
			need := ""
			if k.preset == nil {
				need = " (required)"
			}
			wrap(&b, "Allowed: "+k.rule.allowed()+need)
			fmt.Fprintf(&b, "#%s = %s\n", k.name, shown(t, s, k))
		}
	})
	return b.String()
}

// wrap writes a text as comment lines of at most 100 letters.
func wrap(b *bytes.Buffer, text string) {
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > 100 {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}
