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
	"github.com/lockstep-time/lockstep/phc/phctest"
)

func TestParse(t *testing.T) {
	for s, want := range map[string]time.Duration{"-1.5us": -1500, minus + "1.5us": -1500, "+3s": 3e9, "250ns": 250} {
		if got, err := parseDuration(s); got != want || err != nil {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for s, want := range map[string]float64{"50000": 50000, "-12.5": -12.5, "50ppm": 50000, "+1.5ppb": 1.5,
		minus + "2 ppm": -2000} {
		if got, err := parsePPB(s); got != want || err != nil {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for s, want := range map[string]int64{"0": 0, "1700000000000000001": 1_700_000_000_000_000_001,
		"2023-11-14T22:13:20.000000001Z": 1_700_000_000_000_000_001, "2023-11-14T23:13:20+01:00": 1_700_000_000_000_000_000,
		"7ns": 7, "1767225600s": 1_767_225_600_000_000_000, "5us": 5000, "5ms": 5_000_000,
		"9214646399s": 9_214_646_399_000_000_000} {
		if got, err := parseTime(s); got != want || err != nil {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "-1", "1960-01-01T00:00:00Z", "2300-01-01T00:00:00Z", "9223372036854775807", "12:00",
		"9214646400s", "s", "-5s", "1.5s", "5 s", "5m"} {
		if got, err := parseTime(s); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}

func TestLikelierUnit(t *testing.T) {
	for s, want := range map[string]string{"315532800": "s", "315532799": "", "9214646399": "s", "9214646400": "",
		"1767225600000": "ms", "1767225600000000": "us", "1767225600000000000": "", "0": "", "now": "", "": "", "1767225600s": "",
		"2026-01-01T00:00:00Z": ""} {
		if unit, _, ok := likelierUnit(s); ok != (want != "") || ok && unit != want {
			t.Errorf("%q: %s, %v; want %q", s, unit, ok, want)
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
	for _, s := range []string{"5us", "-5", "50ppm", "now", "2023-11-14T22:13:20Z", "1e400", minus, "0x10",
		"9223372036854775808"} {
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

func TestProtectNumbers(t *testing.T) {
	takes := map[string]bool{"--count": true}
	for line, want := range map[string]string{"adj ptp0 -5us": "adj ptp0 −5us", "cmp --count -5 -3": "cmp --count -5 −3",
		"cmp --watch -3": "cmp --watch −3", "ptp0 -- adj -5us": "ptp0 -- adj -5us", "freq ptp0 -.5 -w": "freq ptp0 −.5 -w"} {
		if got := strings.Join(protectNumbers(strings.Fields(line), takes), " "); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

func FuzzChain(f *testing.F) {
	for _, s := range []string{"set now freq 0 wait 5s cmp", "set set", "set --tai now", "adj -5us get", "", "freq cmp",
		"set 5 5"} {
		f.Add(s)
	}
	ops := operations(&scaleFlags{})
	f.Fuzz(func(t *testing.T, s string) {
		words := strings.Fields(s)
		steps, err := parseChain(words, ops)
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
	b := newBench(t, phctest.Config{})
	if code := b.run("man"); code != 0 {
		t.Fatal(b.err.String())
	}
	page := b.out.String()
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "'") {
			t.Errorf("a line of text would be taken for a request: %s", line)
		}
	}
	for what, want := range map[string]bool{".SH \"EXIT STATUS\"": true, ".B 130\n": true, "completion SHELL": true,
		"powershell |": false, "fish": true, "\n.SS \"completion bash": false} {
		if strings.Contains(page, what) != want {
			t.Errorf("%q in the manual: %v", what, !want)
		}
	}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Name() == "help" || c.Name() == "completion" || c.Parent() != nil && c.Parent().Name() == "completion" {
			return
		}
		if c.Example == "" || len(c.Long) < 40 {
			t.Errorf("%s has no example, or no text", c.CommandPath())
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
	b := newBench(t, phctest.Config{})
	if code := b.run("completion", "bash"); code != 0 || !strings.Contains(b.out.String(), "phcctl") {
		t.Errorf("status %d", code)
	}
	b.run("__complete", "get", "")
	if !strings.Contains(b.out.String(), "/dev/ptp0\neth0\n0000:01:00.0\nigb:52:54:00:12:34:56\n") {
		t.Error(b.out.String())
	}
	for args, want := range map[string]string{
		"cmp ptp0 ": "system\n:4", "pins ptp0 set 0 ": "physync\n", "stability ptp0 --against ": "system\n",
		"pps ptp0 ": "on\noff\n:4", "pps ptp0 on ": ":4", "pins ptp0 ": "set\n", "nic ": "eth0\n", "nic set ": "eth0\n",
		"nic set eth0 --tx ": "onestep-p2p\n", "nic set eth0 --rx ": "ntp\n", "extts ptp0 0 --edge ": "both\n",
		"get ptp0 ": ":4", "nic set eth0 --tx o": "onestep\n",
	} {
		b.run(append([]string{"__complete"}, strings.Split(args, " ")...)...)
		if !strings.Contains(b.out.String(), want) {
			t.Errorf("%q: %s", args, b.out.String())
		}
	}
}

// In a chain, what may come next is offered and nothing else; pins by their names, where the clock may be looked at.
func TestCompletionOfWords(t *testing.T) {
	const ops = "adj caps cmp freq get phase set wait"
	for args, want := range map[string]string{
		"ptp0 -- ": ops, "ptp0 -- set ": "--tai --utc now " + ops, "ptp0 -- set --tai ": "--utc now " + ops,
		"ptp0 -- set now ": "--tai --utc " + ops, "ptp0 -- set now --tai freq ": ops, "ptp0 -- adj ": "", "ptp0 -- adj 5us ": ops,
		"ptp0 -- get wait ": "",
		"pins ptp0 set ":    "SDP0 SDP1", "pins ptp0 get ": "", "pins ptp9 set ": "",
		"pins ptp0 set SDP0 ": "none extts perout physync", "pins ptp0 set SDP0 extts ": "",
	} {
		b := newBench(t, phctest.Config{Caps: phc.Caps{Pins: 2}})
		b.run(append([]string{"__complete"}, strings.Split(args, " ")...)...)
		if got := strings.Fields(b.out.String()); strings.Join(got[:len(got)-1], " ") != want || b.written != 0 {
			t.Errorf("%q: %v, want %s", args, got, want)
		}
	}
}

func TestProgressIsQuietWithoutTerminal(t *testing.T) {
	var w bytes.Buffer
	p := progress{w: &w, total: 3, now: func() time.Duration { return 0 }}
	p.show(1)
	p.end()
	if w.Len() != 0 {
		t.Errorf("%q", w.String())
	}
}
