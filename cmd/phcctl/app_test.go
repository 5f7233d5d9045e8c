// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/phc"
	"github.com/lockstep-time/lockstep/phc/phctest"
)

// bench is a host of fake clocks in virtual time, and what phcctl wrote.
type bench struct {
	t       *testing.T
	app     *app
	now     int64
	clocks  map[string]*phctest.Clock
	holders []phc.Holder
	// hidden: there are processes that cannot be looked into. virtual holds virtual clocks of ptp0 that are listed.
	hidden  bool
	virtual []phc.Info
	// written counts how often a clock was opened for writing.
	written  int
	out, err bytes.Buffer
}

const epoch = 1_700_000_000_000_000_000

// newBench returns a host whose system clock is right, whose kernel knows TAI − UTC of 37 s, and whose clocks are like c:
// ptp0, and ptp1 with the opposite frequency error.
func newBench(t *testing.T, c phctest.Config) *bench {
	b := &bench{t: t, now: epoch, clocks: map[string]*phctest.Clock{}}
	for i := range 2 {
		c := c
		c.Index, c.Now = i, func() int64 { return b.now }
		c.Rand = rand.New(rand.NewPCG(uint64(i), 1))
		if i == 1 {
			c.Frequency = -c.Frequency
		}
		b.clocks[fmt.Sprintf("/dev/ptp%d", i)] = phctest.New(c)
	}
	open := func(name string) (*phc.Device, error) {
		f, ok := b.clocks["/dev/"+strings.TrimPrefix(name, "/dev/")]
		if !ok {
			return nil, fmt.Errorf("%s: %w", name, phc.ErrNotPHC)
		}
		return f.Device, nil
	}
	b.app = &app{
		in: strings.NewReader(""), out: &b.out, err: &b.err, openRead: open,
		open: func(name string) (*phc.Device, error) {
			b.written++
			return open(name)
		},
		list: func() ([]phc.Info, error) {
			return append([]phc.Info{{Index: 0, Device: "/dev/ptp0", ClockName: "fake", Driver: "igb", Bus: "0000:01:00.0",
				Serial: "52:54:00:12:34:56", Interfaces: []string{"eth0"}, Parent: -1}}, b.virtual...), nil
		},
		holders: func(index int) ([]phc.Holder, bool, error) {
			if index > 1 {
				return []phc.Holder{{PID: 50, Command: "phc2sys"}}, true, nil
			}
			return b.holders, !b.hidden, nil
		},
		pps:       func(int) (phc.PPSSource, bool) { return phc.PPSSource{Device: "/dev/pps0", Pulses: 7}, true },
		discover:  func() ([]nic.Capabilities, error) { return []nic.Capabilities{fakeNIC()}, nil },
		system:    func() (int64, error) { return b.now, nil },
		kernelTAI: func() (int, bool) { return 37, true },
		leapTAI:   func(int64) (int, bool) { return 0, false },
		monotonic: func() time.Duration { return time.Duration(b.now - epoch) },
		sleep: func(ctx context.Context, d time.Duration) error {
			b.now += int64(d)
			return ctx.Err()
		},
	}
	return b
}

func fakeNIC() nic.Capabilities {
	return nic.Capabilities{Interface: "eth0", NIC: "eth0", Driver: "igb", PHC: 0, Up: true, Speed: 1000, TxTypes: 3,
		RxFilters: 1<<12 | 1}
}

// run runs a command line. The clocks are closed by it, so a bench is good for one run that opens them.
func (b *bench) run(args ...string) int {
	b.t.Helper()
	b.out.Reset()
	b.err.Reset()
	return run(context.Background(), b.app, args)
}

// must runs a command line that must succeed and returns the lines of its output as JSON.
func (b *bench) must(args ...string) (lines []map[string]any) {
	b.t.Helper()
	if code := b.run(append([]string{"--json"}, args...)...); code != 0 {
		b.t.Fatalf("%v: status %d: %s", args, code, b.err.String())
	}
	for d := json.NewDecoder(&b.out); d.More(); {
		var line map[string]any
		if err := d.Decode(&line); err != nil {
			b.t.Fatalf("%v: %v", args, err)
		}
		lines = append(lines, line)
	}
	return lines
}

// want checks a status, and that what was complained says what.
func (b *bench) want(code int, what string, args ...string) {
	b.t.Helper()
	if got := b.run(args...); got != code || !strings.Contains(b.err.String(), what) {
		b.t.Errorf("%v: status %d, want %d with %q: %s", args, got, code, what, b.err.String())
	}
}

func TestGet(t *testing.T) {
	b := newBench(t, phctest.Config{Start: 37*time.Second + 123, Window: 400})
	got := b.must("get")[0]
	if got["device"] != "/dev/ptp0" || got["error_ns"] != 123.0 || got["scale"] != "TAI" || got["uncertainty_ns"] != 200.0 ||
		got["time"] != "2023-11-14 22:13:57.000000123 TAI" {
		t.Errorf("%v", got)
	}
	b = newBench(t, phctest.Config{Start: -5})
	if b.run("get", "ptp0"); !strings.Contains(b.out.String(), "-5 ns ± 1 ns (extended)") {
		t.Error(b.out.String())
	}
}

func TestSet(t *testing.T) {
	for _, c := range []struct {
		args   []string
		offset time.Duration
	}{
		{[]string{"set", "ptp0", "now", "--tai"}, 37 * time.Second},
		{[]string{"set", "ptp0", "now"}, 0},
		{[]string{"set", "ptp0", "2023-11-14T22:13:20.000000001Z"}, 1},
		{[]string{"set", "ptp0", "2023-11-14T22:13:20Z", "--tai", "--tai-offset", "40"}, 40 * time.Second},
		{[]string{"set", "ptp0", "1600000000000000007"}, -100_000_000e9 + 7},
		{[]string{"--tai", "ptp0", "--", "set"}, 37 * time.Second},
		{[]string{"ptp0", "--", "set", "now", "--tai", "freq", "0", "wait", "5s", "cmp"}, 37 * time.Second},
		{[]string{"ptp0", "--", "set", "--tai", "cmp"}, 37 * time.Second},
		{[]string{"ptp0", "--", "set", "--utc", "2023-11-14T22:13:20Z"}, 0},
	} {
		b := newBench(t, phctest.Config{Start: -time.Hour, Window: 400, Latency: 50})
		got := b.must(c.args...)
		if e := b.clocks["/dev/ptp0"].Error(); e != c.offset || got[0]["did"] != "set" {
			t.Errorf("%v: the clock is off by %d, want %d; %v", c.args, e, c.offset, got)
		}
		if asked := got[0]["asked"]; c.args[len(c.args)-1] == "now" && asked != "now" {
			t.Errorf("%v: asked for %v", c.args, asked)
		}
	}
	b := newBench(t, phctest.Config{})
	b.want(exitUsage, "exclude", "set", "ptp0", "now", "--tai", "--utc")
	b.want(exitUsage, "no operation", "ptp0", "--", "freq", "0", "now")
	b.want(exitUsage, "before the --", "ptp0", "--", "freq", "0", "--tai")
}

func TestSetInWrongScale(t *testing.T) {
	b := newBench(t, phctest.Config{Start: 37*time.Second + 400})
	b.want(exitUsage, "add --tai", "set", "ptp0", "now")
	if e := b.clocks["/dev/ptp0"].Error(); e != 37*time.Second+400 {
		t.Errorf("it was set all the same, to %v", e)
	}
	b = newBench(t, phctest.Config{Start: 37 * time.Second})
	b.want(exitUsage, "leave out --tai", "set", "ptp0", "2023-11-14T22:13:57Z", "--tai") // TAI in disguise
	for _, start := range []time.Duration{-time.Hour, 0, 40 * time.Second} {             // wherever it comes from
		b = newBench(t, phctest.Config{Start: start})
		b.want(exitUsage, "leave out --tai", "set", "ptp0", "2023-11-14T22:13:57Z", "--tai")
	}
	b = newBench(t, phctest.Config{Start: 37*time.Second + 1500*time.Millisecond}) // not quite TAI
	b.want(exitUsage, "add --tai", "set", "ptp0", "now")
	b = newBench(t, phctest.Config{Start: 37 * time.Second})
	b.must("set", "ptp0", "now", "--utc")
	b = newBench(t, phctest.Config{Start: -time.Hour})
	if got := b.must("set", "ptp0", "now")[0]; !strings.Contains(fmt.Sprint(got["note"]), "UTC now") {
		t.Errorf("nothing was said of UTC: %v", got)
	}
	b = newBench(t, phctest.Config{Start: 37*time.Second - 30})
	b.app.kernelTAI = func() (int, bool) { return 0, false }
	b.want(exitUsage, "add --tai", "set", "ptp0", "now") // nobody knows TAI − UTC, but this looks like it
	b = newBench(t, phctest.Config{})
	b.must("set", "ptp0", "now", "--tai") // as drivers leave their clocks, on UTC
	for answer, want := range map[string]time.Duration{"y\n": 0, "n\n": 37 * time.Second, "": 37 * time.Second} {
		b := newBench(t, phctest.Config{Start: 37 * time.Second})
		b.app.terminal, b.app.in = true, strings.NewReader(answer)
		b.run("set", "ptp0", "now")
		if e := b.clocks["/dev/ptp0"].Error(); e != want {
			t.Errorf("answer %q: off by %v", answer, e)
		}
	}
	b = newBench(t, phctest.Config{Start: 37 * time.Second})
	b.must("set", "ptp0", "now", "--force")
	if e := b.clocks["/dev/ptp0"].Error(); e != 0 {
		t.Errorf("forced: off by %v", e)
	}
}

// Numbers that are hardly meant in nanoseconds are asked about, and what says its unit is not.
func TestSetInWrongUnit(t *testing.T) {
	const start = 37 * time.Second
	for number, meant := range map[string]string{"1700000000": "1700000000s", "1700000000000": "1700000000000ms",
		"1700000000000000": "1700000000000000us"} {
		for _, args := range [][]string{{"set", "ptp0", number}, {"ptp0", "--", "set", number}, {"set", "ptp0", number, "--utc"}} {
			b := newBench(t, phctest.Config{Start: start})
			b.want(exitUsage, "did you mean "+meant+"? If not, write "+number+"ns, or --force", args...)
			if !strings.Contains(b.err.String(), "sets /dev/ptp0 (fake) to 1970-01-") ||
				!strings.Contains(b.err.String(), "not to 2023-11-14 22:13:20.0") ||
				b.clocks["/dev/ptp0"].Error() != start {
				t.Errorf("%v: off by %v: %s", args, b.clocks["/dev/ptp0"].Error(), b.err.String())
			}
		}
		b := newBench(t, phctest.Config{Start: start})
		b.must("set", "ptp0", meant, "--utc")
		if e := b.clocks["/dev/ptp0"].Error(); e != 0 {
			t.Errorf("%s: off by %v", meant, e)
		}
	}
	for _, args := range [][]string{{"1700000000", "--force"}, {"1700000000ns"}, {"1700000000"}} {
		b := newBench(t, phctest.Config{Start: start})
		b.app.terminal, b.app.in = len(args) == 1, strings.NewReader("yes\n")
		b.must(append([]string{"set", "ptp0"}, args...)...)
		if e := b.clocks["/dev/ptp0"].Error(); e != 1_700_000_000-epoch {
			t.Errorf("%v: off by %v", args, e)
		}
	}
	for _, unlikely := range []string{"0", "123456789", "315532799", "9214646400"} { // in any unit, but for a mistake
		b := newBench(t, phctest.Config{})
		b.must("set", "ptp0", unlikely)
	}
}

// impatient is a terminal whose user interrupts the program when asked, and answers yes once it is over.
type impatient struct {
	interrupt func()
	over      chan struct{}
	answer    io.Reader
}

func (i *impatient) Read(b []byte) (int, error) {
	i.interrupt()
	<-i.over
	return i.answer.Read(b)
}

func TestQuestionInterrupted(t *testing.T) {
	for _, args := range [][]string{{"set", "ptp0", "now"}, {"set", "ptp0", "1700000000"},
		{"ptp0", "--", "set", "now", "adj", "1s"}} {
		b := newBench(t, phctest.Config{Start: 37 * time.Second})
		ctx, cancel := context.WithCancel(context.Background())
		user := &impatient{cancel, make(chan struct{}), strings.NewReader("y\n")}
		b.app.terminal, b.app.in = true, user
		if code := run(ctx, b.app, args); code != exitInterrupted ||
			!strings.HasSuffix(b.err.String(), "[y/N] \nphcctl: interrupted\n") {
			t.Errorf("%v: status %d: %s", args, code, b.err.String())
		}
		close(user.over)
		if e := b.clocks["/dev/ptp0"].Error(); e != 37*time.Second {
			t.Errorf("%v: it was set all the same, to %v", args, e)
		}
	}
}

// An answer that comes together with the interrupt does not count.
func TestAnswerAfterInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b := newBench(t, phctest.Config{Start: 37 * time.Second})
	b.app.terminal, b.app.in = true, strings.NewReader("y\n")
	if code := run(ctx, b.app, []string{"set", "ptp0", "now"}); code != exitInterrupted ||
		b.clocks["/dev/ptp0"].Error() != 37*time.Second {
		t.Errorf("status %d, off by %v", code, b.clocks["/dev/ptp0"].Error())
	}
}

// A TAI − UTC of 0 is one that was given.
func TestNoTAIOffset(t *testing.T) {
	b := newBench(t, phctest.Config{Start: 37 * time.Second})
	if got := b.must("get", "ptp0", "--tai-offset", "0")[0]; got["error_ns"] != 37e9 || got["scale"] != "unknown" {
		t.Errorf("%v", got)
	}
	b = newBench(t, phctest.Config{Start: 37 * time.Second})
	got := b.must("set", "ptp0", "now", "--tai", "--tai-offset", "0")[0]
	if b.clocks["/dev/ptp0"].Error() != 0 || got["tai_offset_s"] != 0.0 || got["note"] != nil {
		t.Errorf("off by %v: %v", b.clocks["/dev/ptp0"].Error(), got)
	}
}

func TestSetUnknownTAI(t *testing.T) {
	b := newBench(t, phctest.Config{})
	b.app.kernelTAI = func() (int, bool) { return 0, false }
	b.want(exitUsage, "--tai-offset", "set", "ptp0", "now", "--tai")
	b = newBench(t, phctest.Config{})
	b.app.kernelTAI = func() (int, bool) { return 0, false }
	b.app.leapTAI = func(utc int64) (int, bool) { return 36, utc == epoch }
	b.must("set", "ptp0", "now", "--tai", "--force")
	if e := b.clocks["/dev/ptp0"].Error(); e != 36*time.Second {
		t.Errorf("off by %v", e)
	}
}

func TestAdj(t *testing.T) {
	b := newBench(t, phctest.Config{})
	got := b.must("adj", "ptp0", "-1.5us")[0]
	if got["moved_ns"] != -1500.0 || b.clocks["/dev/ptp0"].Error() != -1500 {
		t.Errorf("%v", got)
	}
	b = newBench(t, phctest.Config{})
	b.want(exitUsage, "unit", "adj", "ptp0", "5")
}

func TestFreq(t *testing.T) {
	b := newBench(t, phctest.Config{Quantum: 119.2})
	got := b.must("ptp0", "--", "freq", "-50ppm", "wait", "10s", "freq", "cmp")
	if len(got) != 4 || got[0]["frequency_before_ppb"] != 0.0 || got[2]["frequency_ppb"].(float64) > -49999.9 {
		t.Errorf("%v", got)
	}
	if off := got[3]["offset_ns"].(float64); off > -499_000 || off < -501_000 {
		t.Errorf("offset after 10 s: %v", off)
	}
	b = newBench(t, phctest.Config{Caps: phc.Caps{MaxAdjust: 1000}})
	b.want(exitUsage, "±1000 ppb", "freq", "ptp0", "1001")
}

// What the hardware makes of a frequency is shown where its quantum is known.
func TestFreqTaken(t *testing.T) {
	igb := phctest.Config{Driver: "igb", Quantum: 1e9 / (1 << 23), Caps: phc.Caps{MaxAdjust: 999_999_881}}
	b := newBench(t, igb)
	got := b.must("ptp0", "--", "freq", "50000", "wait", "1000s", "cmp", "freq")
	taken := got[0]["taken_ppb"].(float64)
	if really := got[2]["offset_ns"].(float64) / 1000; math.Abs(taken-really) > 0.01 || math.Abs(taken-50000) > 120 {
		t.Errorf("taken %v ppb, really %v", taken, really)
	}
	if q := got[3]["quantum_ppb"].(float64); math.Abs(q-119.2) > 0.1 || got[3]["taken_ppb"] != taken {
		t.Errorf("%v", got[3])
	}
	b = newBench(t, igb)
	if b.run("caps", "ptp0"); !strings.Contains(b.out.String(), "119.2 ppb") {
		t.Error(b.out.String())
	}
}

// A kernel that tells no frequency while there are virtual clocks says why, and that is no failure.
func TestFreqUnknown(t *testing.T) {
	b := newBench(t, phctest.Config{MaxVirtualClocks: 1, Fault: func(c phctest.Call) error {
		if c == phctest.CallAdjust {
			return unix.EBUSY
		}
		return nil
	}})
	b.clocks["/dev/ptp0"].SetVirtualClocks(1)
	if code := b.run("freq", "ptp0"); code != 0 || !strings.Contains(b.out.String(), "? (device busy") ||
		!strings.Contains(b.out.String(), "1 virtual clocks") {
		t.Errorf("status %d: %s%s", code, b.out.String(), b.err.String())
	}
}

// The driver's servo is not done when the call is.
func TestPhase(t *testing.T) {
	b := newBench(t, phctest.Config{Caps: phc.Caps{AdjustPhase: true, MaxPhase: 1000}})
	if code := b.run("phase", "ptp0", "100ns"); code != 0 || !strings.Contains(b.out.String(), "takes its time") {
		t.Errorf("status %d: %s%s", code, b.out.String(), b.err.String())
	}
}

// What is wrong with the arguments is said before a clock is opened, whether there is one or not.
func TestUsageFirst(t *testing.T) {
	for _, line := range []string{"adj ptp9 5", "freq ptp9 x", "set ptp9 yesterday", "cmp ptp9 --samples 99",
		"cmp ptp9 --plot a.gif", "cmp ptp9 --count -5", "cmp ptp9 --interval -1s", "cmp ptp9 --csv - --json",
		"cmp ptp9 --plot a.svg", "stability ptp9 --for 1s", "stability ptp9 --csv -", "stability ptp9 --samples 0",
		"extts ptp9 0 --edge up", "extts ptp9 0 --count -1", "perout ptp9 0", "perout ptp9 0 --period 0s",
		"perout ptp9 0 --period 1s --phase 1s", "perout ptp9 0 --period 1s --phase -2s", "pps ptp9 maybe",
		"pins ptp9 set 0 clock", "pins ptp9 set 0 extts x", "vclocks ptp9 x", "ptp9 -- set --tai --utc", "completion tcsh",
		"completion", "completion bash x", "help nosuch", "help nic nosuch", "gte eth0", "--tai-offset -3 list"} {
		b := newBench(t, phctest.Config{})
		b.want(exitUsage, "--help", strings.Fields(line)...)
		if strings.Contains(b.err.String(), minus+"5") || strings.Contains(b.err.String(), minus+"1s") {
			t.Errorf("%s: a number was spoilt: %s", line, b.err.String())
		}
	}
	b := newBench(t, phctest.Config{})
	b.want(exitUsage, `"gte" is no command; did you mean get?`, "gte", "eth0")
	b.want(exitUsage, "negative", "cmp", "ptp0", "--count", "-5")
	b.want(exitUsage, "did you mean list", "help", "lst")
	if code := b.run("help", "nic", "set"); code != 0 || !strings.Contains(b.out.String(), "--rx") {
		t.Errorf("status %d: %s", code, b.out.String())
	}
}

// Errors say what to do.
func TestAdvice(t *testing.T) {
	b := newBench(t, phctest.Config{})
	b.want(exitNoClock, "phcctl list", "get", "ptp9")
	for errno, want := range map[unix.Errno]string{unix.ENODEV: "phcctl list", unix.EINVAL: "does not take",
		unix.EACCES: "be root", unix.EOPNOTSUPP: "not supported by fake", unix.EBUSY: "try again",
		unix.ERANGE: "does not go that far; ask for less, or for a longer period; phcctl caps shows"} {
		code := map[unix.Errno]int{unix.EACCES: exitPermission, unix.EOPNOTSUPP: exitUnsupported, unix.ERANGE: exitUsage}[errno]
		b := newBench(t, phctest.Config{Fault: func(c phctest.Call) error {
			if c == phctest.CallAdjust {
				return errno
			}
			return nil
		}})
		b.want(max(code, exitIO), want, "adj", "ptp0", "1us")
	}
	for _, args := range [][]string{{"extts", "ptp0", "0"}, {"perout", "ptp0", "0", "--period", "1s"}} {
		b := newBench(t, phctest.Config{Caps: phc.Caps{ExtTS: 1, PerOut: 1, Pins: 1}, Fault: func(c phctest.Call) error {
			if c == phctest.CallExtTS || c == phctest.CallPerOut {
				return unix.EBUSY
			}
			return nil
		}})
		b.want(exitIO, "--pin N", args...)
		if strings.Contains(b.err.String(), "virtual") {
			t.Errorf("there are no virtual clocks: %s", b.err.String())
		}
	}
}

func TestStatus(t *testing.T) {
	for errno, code := range map[unix.Errno]int{unix.EACCES: exitPermission, unix.EPERM: exitPermission, unix.ENODEV: exitIO,
		unix.EOPNOTSUPP: exitUnsupported, unix.EIO: exitIO, unix.ERANGE: exitUsage, unix.EBUSY: exitIO} {
		b := newBench(t, phctest.Config{Fault: func(c phctest.Call) error {
			if c == phctest.CallAdjust {
				return errno
			}
			return nil
		}})
		b.want(code, "/dev/ptp0 (fake)", "adj", "ptp0", "1us")
		if n := strings.Count(b.err.String(), "\n"); n != 1 {
			t.Errorf("%v: %d lines", errno, n)
		}
	}
	b := newBench(t, phctest.Config{})
	b.want(exitNoClock, "ptp9", "get", "ptp9")
	b.want(exitUnsupported, "fake", "phase", "ptp0", "5ns")
	for _, args := range [][]string{{"bogus"}, {"freq"}, {"get", "a", "b"}, {"cmp", "ptp0", "--samples", "x"}, {"ptp0"},
		{"ptp0", "--", "jump"}, {"ptp0", "--", "adj"}, {"ptp0", "--", "get", "5"}, {"set", "ptp0", "yesterday"},
		{"freq", "ptp0", "NaN"}} {
		b := newBench(t, phctest.Config{})
		b.want(exitUsage, "", args...)
	}
}

// Nothing is done if anything in a chain is wrong.
func TestChainIsCheckedFirst(t *testing.T) {
	b := newBench(t, phctest.Config{})
	b.want(exitUsage, "unit", "ptp0", "--", "adj", "1s", "wait", "5")
	if e := b.clocks["/dev/ptp0"].Error(); e != 0 {
		t.Errorf("the clock was moved by %v", e)
	}
}

func TestListNone(t *testing.T) {
	for _, err := range []error{nil, fmt.Errorf("no /sys/class/ptp: %w", phc.ErrNotPHC)} {
		b := newBench(t, phctest.Config{})
		b.app.list = func() ([]phc.Info, error) { return nil, err }
		if code := b.run("list"); code != 0 || !strings.HasPrefix(b.out.String(), "no PTP hardware clock: ") {
			t.Errorf("status %d: %s", code, b.out.String())
		}
		b.want(exitNoClock, "", "get")
	}
	b := newBench(t, phctest.Config{})
	b.app.list = func() ([]phc.Info, error) { return nil, fmt.Errorf("list clocks: %w", unix.EIO) }
	b.want(exitIO, "list clocks", "list")
}

func TestList(t *testing.T) {
	b := newBench(t, phctest.Config{Start: 37*time.Second - 40, Frequency: 10, Window: 330,
		Methods: []clock.Method{clock.Precise, clock.Extended}})
	b.holders = []phc.Holder{{PID: 7, Command: "ptp4l", Writable: true}}
	if code := b.run("list"); code != 0 {
		t.Fatal(b.err.String())
	}
	for _, s := range []string{"/dev/ptp0", "igb (fake)", "0000:01:00.0", "igb:52:54:00:12:34:56", "eth0 1G", "62499 ppm",
		" precise ", "extended 330ns", "-40 ns TAI", "ptp4l[7]"} {
		if !strings.Contains(b.out.String(), s) {
			t.Errorf("no %q in\n%s", s, b.out.String())
		}
	}
	for line := range strings.Lines(b.out.String()) {
		if len(line) > 120 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
	got := newBench(t, phctest.Config{}).must("list")[0]["clocks"].([]any)[0].(map[string]any)
	if fmt.Sprint(got["names"]) != "[0000:01:00.0 igb:52:54:00:12:34:56]" || got["holders_complete"] != true {
		t.Errorf("%v", got)
	}
	b = newBench(t, phctest.Config{})
	b.app.openRead = func(string) (*phc.Device, error) { return nil, fmt.Errorf("open /dev/ptp0: %w", unix.EACCES) }
	if code := b.run("list"); code != 0 || !strings.Contains(b.out.String(), "permission denied") {
		t.Errorf("status %d\n%s", code, b.out.String())
	}
}

func TestCaps(t *testing.T) {
	b := newBench(t, phctest.Config{Window: 330, Caps: phc.Caps{Pins: 4, ExtTS: 2, AdjustPhase: true, MaxPhase: 999},
		MaxVirtualClocks: 20})
	if code := b.run("caps", "ptp0"); code != 0 {
		t.Fatal(b.err.String())
	}
	for _, s := range []string{"±62499999 ppb", "yes, up to ±999 ns", "window 330ns", "0 of 20",
		"compare by precise            no: not supported by fake (or needs Linux ≥ 4.6)"} {
		if !strings.Contains(b.out.String(), s) {
			t.Errorf("no %q in\n%s", s, b.out.String())
		}
	}
}

// Hardware that latches another counter than that of the system's clocksource is not the kernel's age.
func TestCapsOtherClocksource(t *testing.T) {
	b := newBench(t, phctest.Config{Methods: []clock.Method{clock.Precise, clock.Extended}, Fault: func(c phctest.Call) error {
		if c == phctest.CallPrecise {
			return unix.ENODEV
		}
		return nil
	}})
	if code := b.run("caps", "ptp0"); code != 0 || strings.Contains(b.out.String(), "4.6") ||
		!strings.Contains(b.out.String(),
			"compare by precise            no: not supported by fake; the system's clocksource is not") {
		t.Errorf("status %d: %s", code, b.out.String())
	}
}

// broken is an output that takes nothing, such as a full disk.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, unix.ENOSPC }

func TestOutputThatFails(t *testing.T) {
	for _, args := range [][]string{{"list"}, {"list", "--json"}, {"get", "ptp0"}, {"nic", "--json"}} {
		b := newBench(t, phctest.Config{})
		b.app.nic.read = func(string) (nic.Config, error) { return nic.Config{}, clock.ErrNotSupported }
		b.app.out = broken{}
		b.want(exitIO, "no space left", args...)
	}
}

func TestWait(t *testing.T) {
	b := newBench(t, phctest.Config{})
	if got := b.must("wait", "5s"); got[0]["waited_ns"] != 5e9 || b.now != epoch+5e9 {
		t.Errorf("%v", got)
	}
	b.want(exitUsage, "not negative", "wait", "-5s")
	b.want(exitUsage, "not negative", "ptp0", "--", "wait", "-5s")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b.err.Reset()
	if code := run(ctx, b.app, []string{"ptp0", "--", "wait", "5s", "adj", "1s"}); code != exitInterrupted ||
		b.err.String() != "phcctl: interrupted\n" {
		t.Errorf("status %d: %s", code, b.err.String())
	}
	if e := b.clocks["/dev/ptp0"].Error(); e != 0 {
		t.Errorf("the chain went on: %v", e)
	}
}
