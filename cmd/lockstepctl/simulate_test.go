// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeSimulator puts a lockstep-sim into the folder that says its name and arguments and exits with 1.
func fakeSimulator(t *testing.T, folder, name string) {
	t.Helper()
	script := "#!/bin/sh\necho \"" + name + ":\" \"$@\"\nexit 1\n"
	if err := os.WriteFile(filepath.Join(folder, simulatorName), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestSimulate has lockstepctl become the lockstep-sim beside it, else the one in PATH, with its arguments.
func TestSimulate(t *testing.T) {
	folder, path := t.TempDir(), t.TempDir()
	program := filepath.Join(folder, "lockstepctl")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	lockstepctl := func(args ...string) (int, string) {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "PATH="+path)
		out, err := cmd.CombinedOutput()
		if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), string(out)
	}
	if code, out := lockstepctl("simulate", "a.toml"); code != 127 || !strings.Contains(out, "lockstep-sim cannot be run") ||
		!strings.Contains(out, folder) || !strings.Contains(out, "make build") {
		t.Errorf("without lockstep-sim: exit status %d: %s", code, out)
	}
	fakeSimulator(t, path, "path")
	if code, out := lockstepctl("simulate", "a.toml"); code != 1 || out != "path: a.toml\n" {
		t.Errorf("with lockstep-sim in PATH: exit status %d: %s", code, out)
	}
	fakeSimulator(t, folder, "beside")
	for args, want := range map[string]string{
		"simulate --seeds 2 --json a.toml b.toml": "beside: --seeds 2 --json a.toml b.toml\n",
		"--json simulate a.toml":                  "beside: --json a.toml\n",
		"--socket /x simulate a.toml":             "beside: --socket /x a.toml\n",
		"simulate --help":                         "beside: --help\n",
		"simulate":                                "beside:\n",
	} {
		if code, out := lockstepctl(strings.Fields(args)...); code != 1 || out != want {
			t.Errorf("%s: exit status %d: %s, want %s", args, code, out, want)
		}
	}
	if code, out := lockstepctl("help", "simulate"); code != 0 || !strings.Contains(out, "lockstep-sim --help") {
		t.Errorf("help simulate: exit status %d: %s", code, out)
	}
	if err := os.WriteFile(filepath.Join(folder, simulatorName), []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	if code, out := lockstepctl("simulate", "a.toml"); code != 127 || !strings.Contains(out, "exec format error") {
		t.Errorf("with a lockstep-sim that is no program: exit status %d: %s", code, out)
	}
}
