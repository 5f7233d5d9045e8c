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

// module is one that passes, skips and fails.
var module = map[string]string{
	"go.mod": "module example.org/m\n",
	"good/good_test.go": `package good
import "testing"
func TestGood(t *testing.T) { t.Log("heard by nobody") }
func TestRoot(t *testing.T) { t.Skip("it wants root") }
func TestWheel(t *testing.T) { t.Skip("it wants root") }
func TestParts(t *testing.T) {
	t.Run("one", func(t *testing.T) {})
	t.Run("two", func(t *testing.T) { t.Parallel(); t.Skip("no two\nand no three") })
}
`,
	"bad/bad_test.go": `package bad
import "testing"
func TestGood(t *testing.T) { t.Log("heard by nobody") }
func TestBad(t *testing.T) {
	t.Log("heard by all")
	t.Run("part", func(t *testing.T) { t.Error("the worst of all") })
}
`,
	"broken/broken_test.go": "package broken\nvar x int = \"no number\"\n",
	"panics/panics_test.go": "package panics\nimport \"testing\"\nfunc TestPanic(t *testing.T) { panic(\"at the disco\") }\n",
	"empty/empty.go":        "package empty\n",
}

// test runs the tests of some of the module's packages.
func test(t *testing.T, packages ...string) (out string, err error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range module {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	var b strings.Builder
	err = run(append([]string{"go", "test", "-json", "-vet=off"}, packages...), &b)
	return b.String(), err
}

func requireLines(t *testing.T, out string, want ...string) {
	t.Helper()
	for _, line := range want {
		if !strings.Contains(out, line) {
			t.Errorf("%q is missing", line)
		}
	}
	for _, line := range []string{"heard by nobody", "=== ", `"Action"`} {
		if strings.Contains(out, line) {
			t.Errorf("%q is there", line)
		}
	}
	if t.Failed() {
		t.Logf("\n%s", out)
	}
}

func TestPassing(t *testing.T) {
	out, err := test(t, "./good", "./empty")
	if err != nil {
		t.Error(err)
	}
	requireLines(t, out, "ok  \texample.org/m/good\t", "?   \texample.org/m/empty\t[no test files]\n", "\nSkipped:\n"+
		"  example.org/m/good: TestRoot, TestWheel\n    it wants root\n"+
		"  example.org/m/good: TestParts/two\n    no two and no three\n")
}

func TestFailing(t *testing.T) {
	out, err := test(t, "./...")
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("error %v, want an exit status of 1", err)
	}
	requireLines(t, out, "ok  \texample.org/m/good\t", "--- FAIL: TestBad (", "heard by all", "--- FAIL: TestBad/part (",
		"the worst of all", "FAIL\texample.org/m/bad\t", "cannot use", "FAIL\texample.org/m/broken [build failed]",
		"panic: at the disco", "it wants root")
}

func TestNothingSkipped(t *testing.T) {
	out, err := test(t, "./empty")
	if err != nil {
		t.Error(err)
	}
	requireLines(t, out, "No test was skipped.")
}

func TestNoGo(t *testing.T) {
	if err := run([]string{filepath.Join(t.TempDir(), "go")}, new(strings.Builder)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want that there is no such program", err)
	}
}
