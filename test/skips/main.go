// SPDX-License-Identifier: Apache-2.0

// Skips runs a "go test -json", shows what go test shows without -json, and says at the end which tests were skipped, and why.
// Go test itself says so only to whoever wants to hear of every test. The exit status is that of go test.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: skips go test -json [ARGUMENT...]")
		os.Exit(2)
	}
	err := run(os.Args[1:], os.Stdout)
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		os.Exit(max(exit.ExitCode(), 1)) // -1 if a signal ended it
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "skips:", err)
		os.Exit(1)
	}
}

func run(command []string, out io.Writer) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	skipped, err := follow(stdout, out)
	err = errors.Join(cmd.Wait(), err)
	skipped.write(out)
	return err
}

// event is one of those that go doc test2json describes.
type event struct{ Action, Package, Test, Output string }

// follow reads events and writes what people want to see of them.
func follow(in io.Reader, out io.Writer) (skips, error) {
	var skipped skips
	packages := map[string]*transcript{}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				e = event{Action: "build-output", Output: string(line)}
			}
			p := packages[e.Package]
			if p == nil {
				p = &transcript{said: map[string][]string{}}
				packages[e.Package] = p
			}
			switch {
			case e.Action == "build-output":
				fmt.Fprint(out, e.Output)
			case e.Action == "output":
				p.add(e.Test, e.Output)
			case e.Test != "" && e.Action == "skip":
				skipped.add(e.Package, e.Test, p.take(e.Test))
			case e.Test != "" && e.Action == "pass":
				p.take(e.Test)
			case e.Test == "" && (e.Action == "pass" || e.Action == "skip"):
				p.writeResult(out)
			case e.Test == "" && e.Action == "fail":
				p.write(out)
			}
		}
		if err == io.EOF {
			return skipped, nil
		}
		if err != nil {
			return skipped, err
		}
	}
}

// transcript is what a package and those of its tests that have not passed have said.
type transcript struct {
	tests []string // in the order in which they began; "" is the package itself
	said  map[string][]string
}

func (t *transcript) add(test, line string) {
	if _, ok := t.said[test]; !ok {
		t.tests = append(t.tests, test)
	}
	t.said[test] = append(t.said[test], line)
}

// take takes out what a test has said.
func (t *transcript) take(test string) []string {
	said := t.said[test]
	delete(t.said, test)
	return said
}

// writeResult writes the line of the package's result.
func (t *transcript) writeResult(out io.Writer) {
	if own := t.said[""]; len(own) > 0 {
		fmt.Fprint(out, own[len(own)-1])
	}
}

// write writes all, the package's own words last.
func (t *transcript) write(out io.Writer) {
	for _, test := range append(t.tests, "") {
		for _, line := range t.take(test) {
			if test == "" || !strings.HasPrefix(line, "=== ") {
				fmt.Fprint(out, line)
			}
		}
	}
}

// skips are what was skipped, in order.
type skips []skip

// skip is one reason for which tests of a package were skipped.
type skip struct {
	pkg, why string
	tests    []string
}

func (s *skips) add(pkg, test string, said []string) {
	why := reason(said)
	i := slices.IndexFunc(*s, func(x skip) bool { return x.pkg == pkg && x.why == why })
	if i < 0 {
		i = len(*s)
		*s = append(*s, skip{pkg: pkg, why: why})
	}
	(*s)[i].tests = append((*s)[i].tests, test)
}

// place is what go test puts before what a test says.
var place = regexp.MustCompile(`^\S+\.go:\d+: `)

// reason is what a skipped test has said, without what go test puts around it.
func reason(said []string) string {
	var words []string
	for line := range strings.Lines(strings.Join(said, "")) {
		line = place.ReplaceAllString(strings.TrimSpace(line), "")
		if line != "" && line != "PASS" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			words = append(words, line)
		}
	}
	return strings.Join(words, " ")
}

func (s skips) write(out io.Writer) {
	if len(s) == 0 {
		fmt.Fprintln(out, "\nNo test was skipped.")
		return
	}
	fmt.Fprintln(out, "\nSkipped:")
	for _, x := range s {
		fmt.Fprintf(out, "  %s: %s\n    %s\n", short(x.pkg), strings.Join(x.tests, ", "), x.why)
	}
}

// short is the path of a package within this module.
func short(pkg string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return pkg
	}
	return strings.TrimPrefix(pkg, info.Main.Path+"/")
}
