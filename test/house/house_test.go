// SPDX-License-Identifier: Apache-2.0

// Package house checks which packages of this module import which others. What they import from elsewhere is checked by
// depguard, see .golangci.yml.
package house

import (
	"errors"
	"fmt"
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/lockstep-time/lockstep"

// floor is a folder, with all below it that have no floor of their own. Its packages import each other, and those of the
// floors that are named here. Tests may import more.
type floor struct {
	folder, imports string
}

// house has the floors from the ground up: each imports only what comes before it.
var house = []floor{
	{"internal/files", ""},
	{"internal/httpserve", ""},
	{"internal/nstest", ""},
	{"internal/pace", ""},
	{"internal/plain", ""},
	{"internal/lockfile", "internal/plain"},
	{"internal/version", ""},
	{"clock", ""},
	{"clock/sysclock", "clock internal/files"},
	{"internal/sdnotify", "clock"},
	{"phc", "clock internal/pace internal/plain"},
	{"phc/stability", ""},
	{"hwts", "clock"},
	{"hwts/nic", "clock hwts internal/plain"},
	{"platform", "clock clock/sysclock hwts hwts/nic internal/lockfile phc"},
	{"estimate", ""},
	{"servo", "estimate"},
	{"source", "clock"},
	{"timescale", "clock"},
	{"offer", "clock timescale"},
	{"discipline", "clock estimate servo source"},
	{"ptp/wire", ""},
	{"ptp", "clock ptp/wire"},
	{"ntp/wire", ""},
	{"ntp", "clock ntp/wire"},
	{"configs", "internal/plain ptp"},
	{"status", "clock source"},
	{"status/text", "internal/plain status"},
	{"status/metrics", "internal/httpserve source status"},
	{"status/control", "internal/httpserve internal/lockfile internal/plain source status"},
	{"offer", "clock timescale"},
	{"engine", "clock discipline estimate offer servo source status timescale"},
	{"host", "clock configs discipline engine estimate ntp ptp ptp/wire servo source status timescale"},
	{"daemon", "clock clock/sysclock configs engine host hwts hwts/nic internal/files internal/pace internal/sdnotify ntp " +
		"phc platform ptp ptp/wire source status status/control status/metrics"},
	{"sim/expr", ""},
	{"sim", "clock configs engine host ntp ntp/wire phc ptp ptp/wire sim/expr source status"},
	{"sim/report", "clock internal/files sim source"},
	{"cmd/lockstepd", "configs daemon hwts/nic internal/plain internal/sdnotify internal/version platform"},
	{"cmd/lockstepctl", "internal/plain internal/version status status/control status/text"},
	{"cmd/lockstep-sim", "internal/files internal/plain internal/version sim sim/report"},
	{"cmd/phcctl", "clock clock/sysclock hwts hwts/nic internal/files internal/plain internal/version phc phc/stability"},
	{"test", "clock clock/sysclock configs hwts ntp ntp/wire ptp ptp/wire status status/control status/text"},
}

func TestHouse(t *testing.T) {
	for _, fault := range check(house, list(t)) {
		t.Error(fault)
	}
}

// pkg is a package with what its files import, those of tests aside.
type pkg struct {
	path    string
	imports []string
}

// list returns the packages of the module. It reads their files by itself: go test does not see what a program that the test
// runs has read, and would take the result of an earlier run.
func list(t *testing.T) (all []pkg) {
	t.Helper()
	const root = "../.."
	err := filepath.WalkDir(root, func(dir string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		if dir != root {
			_, err := os.Stat(filepath.Join(dir, "go.mod"))
			if err == nil || e.Name() == "testdata" || strings.HasPrefix(e.Name(), ".") {
				return filepath.SkipDir
			}
		}
		p, err := build.ImportDir(dir, 0)
		if none := new(build.NoGoError); errors.As(err, &none) {
			return nil
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, dir)
		all = append(all, pkg{module + "/" + filepath.ToSlash(name), p.Imports})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// check returns what is wrong with the imports of the packages, and with the table.
func check(floors []floor, packages []pkg) (faults []string) {
	allowed := map[string][]string{}
	inhabited := map[string]bool{}
	for _, f := range floors {
		for _, below := range strings.Fields(f.imports) {
			if _, ok := allowed[below]; !ok {
				faults = append(faults, fmt.Sprintf("%s: %s is no floor below it", f.folder, below))
			}
		}
		allowed[f.folder] = strings.Fields(f.imports)
	}
	for _, p := range packages {
		name, _ := within(p.path, module)
		own := floorOf(floors, name)
		if own == "" {
			faults = append(faults, fmt.Sprintf("%s has no floor: say in the table what it may import", name))
			continue
		}
		inhabited[own] = true
		for _, path := range p.imports {
			if imported, ours := within(path, module); ours {
				if other := floorOf(floors, imported); other != own && !slices.Contains(allowed[own], other) {
					faults = append(faults, fmt.Sprintf("%s imports %s", name, imported))
				}
			}
		}
	}
	for _, f := range floors {
		if !inhabited[f.folder] {
			faults = append(faults, fmt.Sprintf("%s: there is no package on this floor", f.folder))
		}
	}
	return faults
}

// floorOf returns the innermost floor that a package is on, "" if there is none.
func floorOf(floors []floor, name string) (own string) {
	for _, f := range floors {
		if _, ok := within(name, f.folder); ok && len(f.folder) > len(own) {
			own = f.folder
		}
	}
	return own
}

// within returns the path of a package below a folder, and whether it is the folder or below it.
func within(path, folder string) (below string, ok bool) {
	below, ok = strings.CutPrefix(path+"/", folder+"/")
	return strings.TrimSuffix(below, "/"), ok
}

func TestCheck(t *testing.T) {
	floors := []floor{{"clock", ""}, {"ptp", "clock"}, {"ptp/wire", ""}, {"engine", "clock"}}
	good := []pkg{
		{module + "/clock", []string{"time"}},
		{module + "/clock/sysclock", []string{"os", module + "/clock"}},
		{module + "/ptp", []string{module + "/clock", module + "/clock/sysclock", module + "/ptp/internal/codec"}},
		{module + "/ptp/internal/codec", nil},
		{module + "/ptp/wire", nil},
		{module + "/engine", []string{module + "/clock", "example.org/ptp"}},
	}
	for _, c := range []struct {
		what   string
		floors []floor
		add    []pkg
		want   string
	}{
		{"all is well", floors, nil, ""},
		{"an import that is not allowed", floors, []pkg{{module + "/engine/core", []string{module + "/ptp"}}},
			"engine/core imports ptp"},
		{"an import of the folder above", floors, []pkg{{module + "/ptp/wire/tlv", []string{module + "/ptp"}}},
			"ptp/wire/tlv imports ptp"},
		{"an import of the folder below", floors, []pkg{{module + "/ptp/port", []string{module + "/ptp/wire"}}},
			"ptp/port imports ptp/wire"},
		{"a package that is new", floors, []pkg{{module + "/clockwork", nil}},
			"clockwork has no floor: say in the table what it may import"},
		{"a floor that is empty", append([]floor{{"ntp", ""}}, floors...), nil, "ntp: there is no package on this floor"},
		{"a floor that imports what is above", append([]floor{{"clock/leap", "engine"}}, floors...),
			[]pkg{{module + "/clock/leap", nil}}, "clock/leap: engine is no floor below it"},
	} {
		if got := strings.Join(check(c.floors, append(good, c.add...)), "\n"); got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, got, c.want)
		}
	}
}
