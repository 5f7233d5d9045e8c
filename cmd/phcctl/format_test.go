// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-time/lockstep/phc"
)

func TestParse(t *testing.T) {
	for s, want := range map[string]time.Duration{"-1.5us": -1500, minus + "1.5us": -1500, "+3s": 3e9, "250ns": 250} {
		if got, err := parseDuration(s); got != want || err != nil {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for s, want := range map[string]float64{"50000": 50000, "-12.5": -12.5, "50ppm": 50000, "+1.5ppb": 1.5, minus + "2 ppm": -2000} {
		if got, err := parsePPB(s); got != want || err != nil {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for s, want := range map[string]int64{"0": 0, "1700000000000000001": 1_700_000_000_000_000_001, "2023-11-14T22:13:20.000000001Z": 1_700_000_000_000_000_001,
		"2023-11-14T23:13:20+01:00": 1_700_000_000_000_000_000} {
		if got, err := parseTime(s); got != want || err != nil {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "-1", "1960-01-01T00:00:00Z", "2300-01-01T00:00:00Z", "9223372036854775807", "12:00"} {
		if got, err := parseTime(s); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}

func TestSpan(t *testing.T) {
	for ns, want := range map[int64]string{0: "0 ns", -9999: "-9999 ns", 12345: "12.345 µs", -12345678: "-12.345678 ms",
		37_000_000_123: "37.000000123 s", -1_500_000_000: "-1.500000000 s", -999_999_999_999: "-999.999999999 s"} {
		if got := span(ns); got != want {
			t.Errorf("%d: %s, want %s", ns, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"5us", "-5", "50ppm", "now", "2023-11-14T22:13:20Z", "1e400", minus, "0x10", "9223372036854775808"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, err := range []error{second(parseDuration(s)), second(parsePPB(s)), second(parseDuty(s, time.Second))} {
			if err != nil && !errors.Is(err, errUsage) {
				t.Errorf("%q: %v", s, err)
			}
		}
		if ns, err := parseTime(s); err == nil && ns < 0 {
			t.Errorf("%q is %d", s, ns)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func FuzzChain(f *testing.F) {
	for _, s := range []string{"set now freq 0 wait 5s cmp", "set set", "adj -5us get", "", "freq cmp", "set 5 5"} {
		f.Add(s)
	}
	var tai bool
	ops := operations(&tai)
	f.Fuzz(func(t *testing.T, s string) {
		words := strings.Fields(s)
		steps, err := parseChain(protectNumbers(words), ops)
		if err != nil {
			if !errors.Is(err, errUsage) {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		n := len(steps)
		for _, s := range steps {
			n += len(s.args)
		}
		if n != len(words) {
			t.Errorf("%q: %d of %d words are used", s, n, len(words))
		}
	})
}

// Every command can be found in the manual, and shows an example.
func TestManual(t *testing.T) {
	b := newBench(t, phc.FakeConfig{})
	if code := b.run("man"); code != 0 {
		t.Fatal(b.err.String())
	}
	page := b.out.String()
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "'") {
			t.Errorf("a line of text would be taken for a request: %s", line)
		}
	}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Name() == "help" || c.Name() == "completion" || c.Parent() != nil && c.Parent().Name() == "completion" {
			return
		}
		if c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		if c.Parent() != nil && !strings.Contains(page, roff(strings.TrimPrefix(c.CommandPath(), "phcctl "))) {
			t.Errorf("%s is not in the manual", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(b.app.command())
}

func TestCompletion(t *testing.T) {
	b := newBench(t, phc.FakeConfig{})
	if code := b.run("completion", "bash"); code != 0 || !strings.Contains(b.out.String(), "phcctl") {
		t.Errorf("status %d", code)
	}
	b.run("__complete", "get", "")
	if !strings.Contains(b.out.String(), "/dev/ptp0\neth0\n") {
		t.Error(b.out.String())
	}
	for args, want := range map[string]string{
		"cmp ptp0 ": "eth0\nsystem\n:4", "stability ptp0 --against ": "system\n", "pps ptp0 ": "on\noff\n:4", "pps ptp0 on ": ":4",
		"pins ptp0 ": "set\n", "nic ": "eth0\n", "nic set ": "eth0\n", "nic set eth0 --tx ": "onestep-p2p\n", "nic set eth0 --rx ": "ntp\n",
		"extts ptp0 0 --edge ": "both\n", "get ptp0 ": ":4",
	} {
		b.run(append([]string{"__complete"}, strings.Split(args, " ")...)...)
		if !strings.Contains(b.out.String(), want) {
			t.Errorf("%q: %s", args, b.out.String())
		}
	}
}

func TestProgressIsQuietWithoutTerminal(t *testing.T) {
	var w bytes.Buffer
	p := progress{w: &w, total: 3}
	p.show(1)
	p.end()
	if w.Len() != 0 {
		t.Errorf("%q", w.String())
	}
}
