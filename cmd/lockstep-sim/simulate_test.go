// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const smallScenario = `title = "a test"
duration = "40s"
plot = true
[[grandmaster]]
name = "gm"
[[host]]
name = "client"
config = """
[[ptp.port]]
interface = "eth0"
"""
[[host.phc]]
interfaces = ["eth0"]
frequency = "1e-5"
[[link]]
from = ["gm"]
to = ["client"]
delay = "(+ 1e-7 (* 1e-7 (exponential)))"
[[limit]]
name = "PHC"
clock = "ptp0"
from = "30s"
max = "BOUND"
`

func simulate(t *testing.T, bound string, more ...string) (out string, err error) {
	t.Helper()
	return simulateText(t, strings.Replace(smallScenario, "BOUND", bound, 1), more...)
}

func simulateText(t *testing.T, text string, more ...string) (out string, err error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "small.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	c := newCommand(&app{out: &b, err: &b})
	c.SetArgs(append([]string{"--seeds", "2", file}, more...))
	err = c.ExecuteContext(t.Context())
	return b.String(), err
}

func TestSimulate(t *testing.T) {
	dir := t.TempDir()
	plot, doc := filepath.Join(dir, "a.svg"), filepath.Join(dir, "accuracy.md")
	out, err := simulate(t, "1us", "--plot", plot, "--plot-host", "client", "--document", doc, "--log")
	if exitStatus(err) != 0 || !strings.Contains(out, "PHC, max") || !strings.Contains(out, "≤ 1.00 µs") ||
		!strings.Contains(out, "following ptp:eth0") {
		t.Errorf("exit status %d: %v\n%s", exitStatus(err), err, out)
	}
	for name, want := range map[string]string{plot: ">a test: client<", doc: "| [small](#small) | PHC, max |",
		filepath.Join(dir, "accuracy", "small.svg"): "<svg"} {
		text, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %s: %v", name, want, err)
		}
	}
}

func TestSimulateFails(t *testing.T) {
	for _, c := range []struct {
		bound  string
		flags  []string
		status int
		want   string
	}{
		{"1ns", nil, 1, "small: not all limits hold"},
		{"-1us", nil, 2, "limit[0].max: -1µs; allowed: 1ns to"},
		{"1us", []string{"--seeds", "0"}, 2, "--seeds 0 is not 1 to 10000"},
		{"1us", []string{"--jobs", "0"}, 2, "--jobs 0 is not 1 or more"},
		{"1us", []string{"--jobs", "-3"}, 2, "--jobs -3 is not 1 or more"},
		{"1us", []string{"--csv", "--json"}, 2, "--csv and --json cannot be printed together"},
		{"1us", []string{"--plot", "/nonexistent/x.svg"}, 2, "--plot: open /nonexistent/x.svg: no such file"},
		{"1us", []string{"--document", "/"}, 2, "--document: open /: is a directory"},
		{"1us", []string{"--plot", "x.gif"}, 2, "not the name of an .svg or .png file"},
		{"1us", []string{"--plot", "x.svg", "--plot-host", "nobody"}, 2,
			"--plot-host nobody is not a host of the scenario that --plot is for; allowed: client"},
		{"1us", []string{"--plot-host", "client"}, 2, "--plot-host client is not a host of the scenario that --plot is for"},
		{"1us", []string{"--plot", "x.svg", "other.toml"}, 2, "--plot takes one scenario"},
		{"1us", []string{"/nonexistent.toml"}, 2, "read scenario"},
	} {
		_, err := simulate(t, c.bound, c.flags...)
		if exitStatus(err) != c.status || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: exit status %d: %v, want %d: %s", c.flags, exitStatus(err), err, c.status, c.want)
		}
	}
}

func TestSimulateTooMuch(t *testing.T) {
	_, err := simulateText(t, "max_events = 300\n"+strings.Replace(smallScenario, "BOUND", "1us", 1))
	if want := "small.toml:1: max_events: seed 1 ended after the work of 300 events"; exitStatus(err) != 2 ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("exit status %d: %v, want 2: %s", exitStatus(err), err, want)
	}
}

// TestFlagsOfLockstepctl: what is no flag here, but of "lockstepctl simulate", is taken and means nothing.
func TestFlagsOfLockstepctl(t *testing.T) {
	if out, err := simulate(t, "1us", "--socket", "/run/x", "--no-color"); err != nil || !strings.Contains(out, "PHC, max") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := simulate(t, "1us", "--no-color=perhaps"); exitStatus(err) != 2 {
		t.Errorf("--no-color=perhaps: %v", err)
	}
}

func TestNothingToSimulate(t *testing.T) {
	c := newCommand(&app{out: io.Discard, err: io.Discard})
	c.SetArgs([]string{})
	if err := c.ExecuteContext(t.Context()); exitStatus(err) != 2 ||
		!strings.Contains(err.Error(), "names of scenario files are missing") {
		t.Errorf("exit status %d: %v", exitStatus(err), err)
	}
}

func TestSimulateFormats(t *testing.T) {
	for flag, want := range map[string]string{"--json": `"scenario": "small"`, "--csv": "small,PHC,max,ns,2,"} {
		if out, err := simulate(t, "1us", flag); err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s", flag, err, out)
		}
	}
}

// TestSimulateLeavesNothing: that a file can be written is found out before the run, without a trace.
func TestSimulateLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept.svg")
	if err := os.WriteFile(kept, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{kept, filepath.Join(dir, "new.svg")} {
		if _, err := simulateText(t, "no scenario", "--plot", name); exitStatus(err) != 2 {
			t.Errorf("error %v", err)
		}
	}
	files, err := os.ReadDir(dir)
	text, _ := os.ReadFile(kept)
	if err != nil || len(files) != 1 || string(text) != "before" {
		t.Errorf("%d files, %q in the one before: %v", len(files), text, err)
	}
}

// TestSimulateWritesIntoNoOtherFile has other names for the files that are to be written: those keep what they have.
func TestSimulateWritesIntoNoOtherFile(t *testing.T) {
	dir := t.TempDir()
	plot, doc, other := filepath.Join(dir, "a.svg"), filepath.Join(dir, "a.md"), filepath.Join(dir, "other")
	if err := errors.Join(os.WriteFile(other, []byte("other"), 0o600), os.Link(other, plot), os.Link(other, doc)); err != nil {
		t.Fatal(err)
	}
	if _, err := simulate(t, "1us", "--plot", plot, "--document", doc); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{other: "other", plot: "<svg", doc: "# Accuracy"} {
		if b, err := os.ReadFile(path); err != nil || !strings.Contains(string(b), want) || len(want) != len(b) && path == other {
			t.Errorf("%s: %v, want %q in %.80q", path, err, want, b)
		}
	}
}
