// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"unicode"

	"github.com/lockstep-time/lockstep/phc"
	"github.com/lockstep-time/lockstep/phc/phctest"
)

func TestHeld(t *testing.T) {
	for _, args := range [][]string{{"adj", "ptp0", "1us"}, {"set", "ptp0", "now"}, {"freq", "ptp0", "5"},
		{"ptp0", "--", "adj", "1us"}, {"vclocks", "ptp0", "1"}} {
		b := newBench(t, phctest.Config{MaxVirtualClocks: 2})
		b.holders = []phc.Holder{{PID: 1, Command: "reader"}, {PID: 42, Command: "ptp4l", Writable: true}}
		b.want(exitHeld, "/dev/ptp0 (fake) may be steered by ptp4l (pid 42)", args...)
		if strings.Contains(b.err.String(), "reader") {
			t.Error("a process that only reads was blamed")
		}
		b = newBench(t, phctest.Config{MaxVirtualClocks: 2})
		b.holders = []phc.Holder{{PID: 42, Command: "ptp4l", Writable: true}}
		b.must(append([]string{"--force"}, args...)...)
	}
	b := newBench(t, phctest.Config{})
	b.holders = []phc.Holder{{PID: 42, Command: "ptp4l", Writable: true}}
	b.must("freq", "ptp0") // showing is no change
}

// Signals are others' too: nothing of theirs is changed without --force.
func TestHeldSignals(t *testing.T) {
	c := phctest.Config{Caps: phc.Caps{Pins: 1, ExtTS: 1, PerOut: 1, PPS: true}}
	for _, args := range [][]string{{"pins", "ptp0", "set", "0", "none"}, {"perout", "ptp0", "0", "--off"},
		{"perout", "ptp0", "0", "--period", "1s"}, {"pps", "ptp0", "off"}, {"extts", "ptp0", "0"}} {
		b := newBench(t, c)
		b.clocks["/dev/ptp0"].RequestExtTS(0, phc.Rising)
		b.holders = []phc.Holder{{PID: 42, Command: "ts2phc", Writable: true}}
		b.want(exitHeld, "ts2phc (pid 42)", args...)
		if !b.clocks["/dev/ptp0"].Stamping(0) {
			t.Errorf("%v switched the channel off", args)
		}
	}
	var b *bench
	c.Fault = func(c phctest.Call) error {
		if c == phctest.CallEvents {
			b.now += 1e9
			b.clocks["/dev/ptp0"].Edge(0, phc.Rising)
		}
		return nil
	}
	for _, held := range []bool{false, true} {
		b = newBench(t, c)
		if held {
			b.holders = []phc.Holder{{PID: 42, Command: "ts2phc", Writable: true}}
		}
		b.must("--force", "extts", "ptp0", "0", "--count", "2")
		if got := b.clocks["/dev/ptp0"].Stamping(0); got != held ||
			strings.Contains(b.err.String(), "stays on for ts2phc (pid 42)") != held {
			t.Errorf("held %v: the channel is on: %v; %s", held, got, b.err.String())
		}
	}
}

// Where not all processes can be looked into, any of them may steer the clock.
func TestHidden(t *testing.T) {
	b := newBench(t, phctest.Config{})
	b.hidden = true
	b.want(exitHeld, "be root", "adj", "ptp0", "1us")
	b = newBench(t, phctest.Config{})
	b.hidden = true
	b.must("--force", "adj", "ptp0", "1us")
	b = newBench(t, phctest.Config{})
	b.hidden = true
	if b.run("list"); !strings.Contains(b.out.String(), "  ?\n") {
		t.Error(b.out.String())
	}
}

// Virtual clocks are not taken from who reads them.
func TestHeldVirtual(t *testing.T) {
	for args, code := range map[string]int{"0": exitHeld, "1": exitHeld, "2": exitOK, "3": exitOK, "0 --force": exitOK} {
		b := newBench(t, phctest.Config{MaxVirtualClocks: 4})
		b.clocks["/dev/ptp0"].SetVirtualClocks(2)
		b.virtual = []phc.Info{{Index: 2, Device: "/dev/ptp2", Parent: 0}, {Index: 3, Device: "/dev/ptp3", Parent: 0}}
		what := ""
		if code == exitHeld {
			what = "virtual clock /dev/ptp2 may be steered by phc2sys"
		}
		b.want(code, what, append([]string{"vclocks", "ptp0"}, strings.Fields(args)...)...)
	}
}

// Looking leaves the clock open to others.
func TestReadOnly(t *testing.T) {
	for _, args := range [][]string{{"get", "ptp0"}, {"list"}, {"caps", "ptp0"}, {"cmp", "ptp0", "ptp1"}, {"freq", "ptp0"},
		{"pins", "ptp0"}, {"stability", "ptp0", "--for", "5s"}, {"ptp0", "--", "get", "freq", "wait", "1s", "cmp"},
		{"vclocks", "ptp0"}} {
		b := newBench(t, phctest.Config{MaxVirtualClocks: 1})
		if b.must(args...); b.written != 0 {
			t.Errorf("%v opens a clock for writing", args)
		}
	}
	for _, args := range [][]string{{"freq", "ptp0", "1"}, {"ptp0", "--", "get", "freq", "1"}, {"adj", "ptp0", "1us"}} {
		b := newBench(t, phctest.Config{})
		if b.must(args...); b.written != 1 {
			t.Errorf("%v opens a clock for writing %d times", args, b.written)
		}
	}
}

// TestStrangersCannotSpeakToTheTerminal has another user's process, and a driver, with a name that a terminal obeys.
func TestStrangersCannotSpeakToTheTerminal(t *testing.T) {
	const evil = "\x1b]0;x\a\u009b31m\x7f"
	b := newBench(t, phctest.Config{})
	b.app.holders = func(int) ([]phc.Holder, bool, error) {
		return []phc.Holder{{PID: 7, Command: evil, Writable: true}}, true, nil
	}
	b.app.list = func() ([]phc.Info, error) {
		return []phc.Info{{Device: "/dev/ptp0", ClockName: evil, Driver: evil, Bus: evil, Interfaces: []string{evil}}}, nil
	}
	for _, args := range [][]string{{"list"}, {"--json", "list"}, {"step", "1s"}, {"get", evil}} {
		b.run(args...)
		text := b.out.String() + b.err.String()
		if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }) {
			t.Errorf("%q: %q", args, text)
		}
	}
}
