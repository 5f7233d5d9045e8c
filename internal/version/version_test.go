// SPDX-License-Identifier: Apache-2.0

package version

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
)

func TestNumber(t *testing.T) {
	if !regexp.MustCompile(`^\d+\.\d+\.\d+(-dev|-rc\.\d+)?$`).MatchString(Number) {
		t.Errorf("%q is not a semantic version", Number)
	}
}

func TestRevision(t *testing.T) {
	vcs := func(settings ...debug.BuildSetting) *debug.BuildInfo { return &debug.BuildInfo{Settings: settings} }
	hash := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}
	for _, c := range []struct {
		what string
		info *debug.BuildInfo
		want string
	}{
		{"no build information", nil, ""},
		{"a tarball", vcs(), ""},
		{"a checkout", vcs(hash, debug.BuildSetting{Key: "vcs.modified", Value: "false"}), "+0123456789ab"},
		{"a checkout with changes", vcs(hash, debug.BuildSetting{Key: "vcs.modified", Value: "true"}), "+0123456789ab.dirty"},
		{"a short revision", vcs(debug.BuildSetting{Key: "vcs.revision", Value: "42"}), "+42"},
	} {
		if got := revision(c.info); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

func TestUnlinked(t *testing.T) {
	if got := String(); !strings.HasPrefix(got, Number) {
		t.Errorf("%q, want %s and perhaps a revision", got, Number)
	}
}

// TestLinked has each program print what the Makefile tells the linker: a linker that finds nothing to set says nothing.
func TestLinked(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("make is not installed")
	}
	dir := t.TempDir()
	build := exec.Command("make", "build", "BIN="+dir, "VERSION=v1.2.3")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	programs, err := os.ReadDir("../../cmd")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		program := p.Name()
		out, err := exec.Command(filepath.Join(dir, program), "--version").CombinedOutput()
		if err != nil || !strings.HasSuffix(string(out), " v1.2.3\n") {
			t.Errorf("%s --version: %v: %s", program, err, out)
		}
	}
}
