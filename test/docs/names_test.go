// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/ntp"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repository, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const troubleshooting = "docs/guide/troubleshooting.md"

// TestTroubleshooting: every state and every reason that the programs show is explained.
func TestTroubleshooting(t *testing.T) {
	text := read(t, troubleshooting)
	var names []string
	for _, s := range []status.State{status.Starting, status.Acquiring, status.Locked, status.Holdover, status.Unsynchronised,
		status.Panicked} {
		names = append(names, string(s))
	}
	for s := source.State(0); s.String() != "unknown"; s++ {
		names = append(names, s.String())
	}
	for r := ptp.Reason(1); r < ptp.Reasons; r++ {
		names = append(names, r.String())
	}
	for c := ptp.Conflict(0); c < ptp.Conflicts; c++ {
		names = append(names, c.String())
	}
	for r := ntp.Refusal(1); r.Error() != "not refused"; r++ {
		names = append(names, r.Error())
	}
	names = append(names, reasons()...)
	if len(names) < 80 {
		t.Errorf("only %d names", len(names))
	}
	for _, name := range names {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("%s lacks `%s`", troubleshooting, name)
		}
	}
}

// reasons returns the reasons of verdicts, with … in place of what differs from one to the next.
func reasons() (all []string) {
	value := strings.NewReplacer("1m51s", "…", "3m42s", "…", "333", "…", "444", "…", "ID", "…", "WORD", "…")
	for code := source.NoReason + 1; ; code++ {
		r := source.Reason{Code: code, A: 111 * time.Second, B: 222 * time.Second, N: 333, M: 444, Other: "ID", Word: "WORD"}
		if r.String() == "" {
			return all
		}
		all = append(all, value.Replace(r.String()))
	}
}

// TestCodes: the reference has every kind of event and every code of a reason.
func TestCodes(t *testing.T) {
	const name = "docs/reference/json.md"
	text := read(t, name)
	var names []string
	for k := status.EventKind(1); k.String() != "unknown"; k++ {
		names = append(names, k.String())
	}
	for c := source.Code(0); c.String() != "unknown"; c++ {
		names = append(names, c.String())
	}
	for c := status.ReasonCode(0); c.String() != "unknown"; c++ {
		names = append(names, c.String())
	}
	if len(names) < 65 {
		t.Errorf("only %d names", len(names))
	}
	for _, n := range names {
		if !strings.Contains(text, "`"+n+"`") {
			t.Errorf("%s lacks `%s`", name, n)
		}
	}
}

// A row of a table of fields begins with their names in code.
var (
	row   = regexp.MustCompile("(?m)^\\| `[^|]*")
	field = regexp.MustCompile("`([a-z0-9_]+)`")
)

// TestJSON: the reference has a section for each type of the snapshot, with all its fields and no others.
func TestJSON(t *testing.T) {
	const name = "docs/reference/json.md"
	text := read(t, name)
	for _, v := range []any{status.Snapshot{}, status.UTCOffset{}, status.Clock{}, status.Source{}, status.Estimate{},
		status.Port{}, status.Socket{}, status.PastEvent{}} {
		typ := reflect.TypeOf(v)
		_, section, found := strings.Cut(text, "\n### "+typ.Name()+"\n")
		if !found {
			t.Errorf("%s has no section %s", name, typ.Name())
			continue
		}
		section, _, _ = strings.Cut(section, "\n### ")
		section, _, _ = strings.Cut(section, "\n## ")
		var want, got []string
		for f := range typ.NumField() {
			key, _, _ := strings.Cut(typ.Field(f).Tag.Get("json"), ",")
			want = append(want, key)
		}
		for _, cell := range row.FindAllString(section, -1) {
			for _, m := range field.FindAllStringSubmatch(cell, -1) {
				got = append(got, m[1])
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %s has the fields\n%q, want\n%q", name, typ.Name(), got, want)
		}
	}
}
