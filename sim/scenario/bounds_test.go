// SPDX-License-Identifier: Apache-2.0

package scenario_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/sim/scenario"
)

// delay is that of the good scenario.
const delay = `delay = "(+ 1e-7 (* 1e-7 (exponential)))"`

// TestBounds: what would take forever, much memory, or numbers that nothing can have is refused, fast, with the place and
// with what is allowed.
func TestBounds(t *testing.T) {
	refused(t, []refusal{
		{"infinite", delay, `delay = "(* 1e308 1e308)"`, "x.toml:29: link[0].delay: value 1 is +Inf; allowed: at most 1000 s"},
		{"infinite after a while", delay, `delay = "(sum 100)"`,
			"x.toml:29: link[0].delay: value 11 is 1100; allowed: at most 1000 s"},
		{"not a number", delay, `delay = "(% 1 0)"`, "x.toml:29: link[0].delay: value 1 is NaN"},
		{"variable of a packet", `"(+ 1e-5 (sum (* 1e-9 (normal))))"`, `"(* 1e-9 length)"`,
			"x.toml:21: host[0].system.frequency: it has no variable length; allowed: time"},
		{"variable of a correction", delay, `delay = "(* 2 delay)"`,
			"it has no variable delay; allowed: time from to port length subnet"},
		{"no such file", delay, `delay = "(file nothing.txt)"`,
			"x.toml:29: link[0].delay: read values: stat nothing.txt: no such file"},
		{"device", delay, `delay = "(file /dev/zero)"`, "/dev/zero is not a regular file; allowed: a file of at most 16 MiB"},
		{"many hosts", `name = "client"`, "name = \"client\"\ncount = 1000000",
			"x.toml:13: host[0].count: 1000000; allowed: 1 to 256"},
		{"more hosts than can be counted", `name = "client"`, "name = \"client\"\ncount = 9223372036854775807",
			"x.toml:13: host[0].count: 9223372036854775807"},
		{"too large a number", `name = "client"`, "name = \"client\"\ncount = 92233720368547758070", "x.toml:13: "},
		{"less than one host", `name = "client"`, "name = \"client\"\ncount = 0",
			"x.toml:13: host[0].count: 0; allowed: 1 to 256"},
		{"hosts of the same name", `name = "client"`, "name = \"client\"\ncount = 2\n[[host]]\nname = \"client-2\"",
			`x.toml:15: host[1].name: "client-2" is a host already`},
		{"many sections", `[[event]]`, strings.Repeat("[[hub]]\n", 100_000) + "[[event]]",
			"x.toml:31: hub: 100000 sections; allowed: at most 256"},
		{"many pairs", "[[event]]", `[[link]]` + strings.Repeat("\nfrom = [\"gm\"]\nto = [\"client\"]\ndelay = \"1\"\n[[link]]",
			999) +
			"\nfrom = [\"*\"]\nto = [\"*\"]\ndelay = \"1\"\n[[event]]", "link: 1001 sections; allowed: at most 1000"},
		{"long list", `from = ["*"]`, `from = ["*"` + strings.Repeat(`,"*"`, 300) + "]",
			"x.toml:27: link[0].from: 301 names; allowed: a list of 1 to 256"},
		{"no interval", `name = "gm"`, "name = \"gm\"\nsync_interval = \"0s\"",
			"x.toml:6: grandmaster[0].sync_interval: 0s; allowed: a power of two seconds"},
		{"interval too short", `name = "gm"`, "name = \"gm\"\nsync_interval = \"1ns\"",
			"x.toml:6: grandmaster[0].sync_interval: 1ns; allowed: a power"},
		{"negative delay of Follow_Up", `name = "gm"`, "name = \"gm\"\nfollow_up_delay = \"-1s\"",
			"x.toml:6: grandmaster[0].follow_up_delay: -1s; allowed: 0s to"},
		{"domain", `name = "gm"`, "name = \"gm\"\ndomain = 200", "x.toml:6: grandmaster[0].domain: 200; allowed: 0 to 127"},
		{"negative root delay", `name = "ntp1"`, "name = \"ntp1\"\nroot_delay = \"-1s\"",
			"x.toml:9: server[0].root_delay: -1s; allowed: 0s to"},
		{"kiss", `name = "ntp1"`, "name = \"ntp1\"\nkiss = \"GOAWAY\"",
			`x.toml:9: server[0].kiss: "GOAWAY"; allowed: four characters`},
		{"start after the end", `name = "client"`, "name = \"client\"\nstart = \"61s\"",
			"x.toml:13: host[0].start: 1m1s; allowed: 0s to 1m0s"},
		{"far future", `title = "a test"`, "start = 9999-01-01T00:00:00Z",
			"x.toml:1: start: 9999-01-01T00:00:00Z; allowed: 1970 to 2099"},
		{"events", `title = "a test"`, "max_events = 0", "x.toml:1: max_events: 0; allowed: 1 to 100000000000"},
		{"longer than a century", `"100ms"`, `"40000d"`, `"40000d" is not a duration`},
		{"extension", "grandmaster = \"gm\"\nshift = \"10us\"", "link = \"all\"\nextend = \"1h\"",
			"x.toml:34: event[0].extend: 1h0m0s; allowed: -16m40s to 16m40s"},
		{"nan", `[[host.phc]]`, "wander = nan\n[[host.phc]]", "x.toml:22: host[0].system.wander: NaN; allowed: 0 to 1e+06"},
		{"negative limit", `rms = "1us"`, "rms = \"1us\"\nmax = \"-1us\"", "x.toml:40: limit[0].max: -1µs; allowed: 1ns to"},
		{"coverage", `rms = "1us"`, "coverage = 99.9", "x.toml:39: limit[0].coverage: 99.9; allowed: more than 0, at most 1"},
		{"an instant and a window", `rms = "1us"`, "rms = \"1us\"\nat = \"35s\"",
			"x.toml:40: limit[0].at: an instant and a window; allowed: at, or from and to"},
		{"configuration on one line", "[[event]]", "[[host]]\nname = \"b\"\nconfig = \"x = 1\"\n[[event]]",
			"x.toml:33: config: x: unknown key"},
		{"event of a clock that is not there", "grandmaster = \"gm\"\nshift = \"10us\"",
			"host = \"client\"\nclock = \"ptp1\"\nstep = \"1s\"",
			"x.toml:34: event[0].clock: client has no ptp1"},
		{"event of an interface that is not there", "grandmaster = \"gm\"\nshift = \"10us\"",
			"host = \"client\"\ninterface = \"eth1\"\nup = true",
			`x.toml:34: event[0].interface: there is no PTP port on "eth1"; allowed: eth0`},
		{"no such clock", `rms = "1us"`, "rms = \"1us\"\nclock = \"ptp0x\"", `"ptp0x" is not a clock`},
		{"joins nothing", `from = ["*"]` + "\n" + `to = ["client"]`, "from = [\"ntp1\"]\nto = [\"client:eth0\"]",
			"x.toml:25: link[0]: it joins nothing; allowed: grandmasters with PTP ports or hubs"},
		{"hub alone", "[[event]]", "[[hub]]\nname = \"h\"\n[[event]]",
			"x.toml:31: hub[0]: 0 grandmasters and 1 ports of hosts; allowed: 1 or more of both"},
		{"no such switch", `from = ["*"]`, "from = [\"*\"]\nthrough = [\"s\"]",
			`x.toml:28: link[0].through: there is no switch "s"`},
		{"unused switch", "[[event]]", "[[switch]]\nname = \"s\"\nresidence = \"1e-6\"\n[[event]]",
			"x.toml:31: switch[0]: no link goes through s"},
		{"kind of switch", "[[event]]", "[[switch]]\nname = \"s\"\ntransparent = \"yes\"\n[[event]]",
			`"yes" is not a kind of transparent clock: none, one-step, two-step`},
		{"same address", "[[host]]", "[[server]]\nname = \"n\"\naddress = \"192.0.2.1\"\n[[host]]",
			"x.toml:13: server[1].address: 192.0.2.1 is that of ntp1"},
	})
}

// TestImpossibleValues: so are values that no clock, packet or limit can have, and numbers where a text belongs.
func TestImpossibleValues(t *testing.T) {
	refused(t, []refusal{
		{"lost for ever", delay, `delay = "(+ 1 -2)"`,
			"x.toml:29: link[0].delay: it is always -1, so that everything is lost; allowed: 0 or more, at least sometimes"},
		{"frequency", `"(+ 1e-5 (sum (* 1e-9 (normal))))"`, `"5"`,
			"x.toml:21: host[0].system.frequency: value 1 is 5; allowed: -0.2 to 0.2"},
		{"step", `[[host.phc]]`, "step = \"1e9\"\n[[host.phc]]",
			"x.toml:22: host[0].system.step: value 1 is 1e+09; allowed: -3.1"},
		{"one leg", `[[host.phc]]`, "[[host.phc]]\nwindow_before = \"1e-6\"",
			"x.toml:23: host[0].phc[0].window_before: window_before and window_after belong together; allowed: both"},
		{"legs and a window", `[[host.phc]]`, "[[host.phc]]\nwindow = \"1e-6\"\nwindow_after = \"1e-6\"\nwindow_before = \"1e-6\"",
			"x.toml:25: host[0].phc[0].window_before: "},
		{"stamps before they are taken", `[[host.phc]]`, "[[host.phc]]\nstamp_delay = \"-1e-6\"",
			"x.toml:23: host[0].phc[0].stamp_delay: value 1 is -1e-06; allowed: 0 to 1000 s"},
		{"more stamps lost than there are", `[[host.phc]]`, "[[host.phc]]\nstamp_loss = 2",
			"x.toml:23: host[0].phc[0].stamp_loss: 2; allowed: 0 to 1"},
		{"update", `[[host.phc]]`, "[[host.phc]]\nupdate = \"1us\"", "x.toml:23: host[0].phc[0].update: 1µs; allowed: 1ms to 1s"},
		{"frequency of a grandmaster", `name = "gm"`, "name = \"gm\"\nfrequency = \"1\"",
			"x.toml:6: grandmaster[0].frequency: value 1 is 1; allowed: -0.2 to 0.2"},
		{"step of a server", `name = "ntp1"`, "name = \"ntp1\"\nstep = \"port\"",
			"x.toml:9: server[0].step: it has no variable port; allowed: time"},
		{"negative window", `[[host.phc]]`, "[[host.phc]]\nwindow = \"-1e-6\"",
			"x.toml:23: host[0].phc[0].window: value 1 is -1e-06; allowed: 0 to 1 s"},
		{"duration without a unit", `"60s"`, `60`, `x.toml:2: duration: 60 has no unit; allowed: a text with one, such as "60s"`},
		{"text without a unit", `"60s"`, `"60"`, `x.toml:2: duration: 60 has no unit; allowed: a text with one, such as "60s"`},
		{"start without a unit", `name = "client"`, "name = \"client\"\nstart = 9",
			`x.toml:13: host.start: 9 has no unit; allowed: a text with one, such as "9s"`},
		{"limit without a unit", `rms = "1us"`, "max = 5000",
			`x.toml:39: limit.max: 5000 has no unit; allowed: a text with one, such as "5000s"`},
		{"number for a leap second", `title = "a test"`, "leap = 1", `x.toml:1: leap: "1" is not a leap second`},
		{"number for a clock", `rms = "1us"`, "rms = \"1us\"\nclock = 3", `x.toml:40: limit.clock: "3" is not a clock`},
		{"limit of nothing", `rms = "1us"`, "rms = \"1us\"\nmax = \"0s\"", "x.toml:40: limit[0].max: 0s; allowed: 1ns to"},
		{"sync without a time", `rms = "1us"`, "rms = \"1us\"\nsync_within = \"1us\"",
			"limit[0].sync: sync and sync_within belong together"},
		{"frequency limit of nothing", `rms = "1us"`, "frequency_max = 0",
			"x.toml:39: limit[0].frequency_max: 0; allowed: more than 0"},
	})
}

// refusal is a change to the text of a good scenario, and the error that it makes.
type refusal struct{ name, old, new, want string }

func refused(t *testing.T, cases []refusal) {
	t.Helper()
	for _, c := range cases {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Fatalf("%s: the text has not changed", c.name)
		}
		began := time.Now()
		_, err := scenario.Parse("x.toml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, c.want)
			continue
		}
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("%s: it took %v", c.name, d)
		}
		for line := range strings.Lines(err.Error()) {
			if !strings.HasPrefix(line, "x.toml:") {
				t.Errorf("%s: the line %q lacks its place", c.name, line)
			}
		}
	}
}

// TestValues reads the delays of a link from files beside the scenario.
func TestValues(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("good.txt", "1e-6 1.1e-6\n1.2e-6\n")
	write("bad.txt", "1e-6\n1e-6 fast\n")
	write("empty.txt", " \n")
	write("large.txt", strings.Repeat("1 ", 8<<20+1))
	write("half.txt", strings.Repeat("1 ", 4<<20+1))
	write("half2.txt", strings.Repeat("1 ", 4<<20+1))
	for expression, want := range map[string]string{
		`(file "good.txt")`:           "",
		`(file good.txt)`:             "",
		`(file ` + dir + `/good.txt)`: "",
		`(file bad.txt)`: `bad.txt:2: "fast" is not a finite number; ` +
			`allowed: a file of at most 16 MiB of numbers`,
		`(file empty.txt)`:                     `empty.txt:1: there are no numbers`,
		`(file large.txt)`:                     `large.txt: the files of values have more than 16 MiB all together`,
		`(+ (file half.txt) (file half2.txt))`: `half2.txt: the files of values have more than 16 MiB all together`,
		`(+ (file half.txt) (file half.txt))`:  "",
	} {
		text := strings.Replace(good, `"(+ 1e-7 (* 1e-7 (exponential)))"`, "'"+expression+"'", 1)
		s, err := scenario.Parse(filepath.Join(dir, "x.toml"), []byte(text))
		if want == "" && err != nil || want != "" &&
			(err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "x.toml:29: link[0].delay: ")) {
			t.Errorf("%s: %v, want %q", expression, err, want)
		}
		if err == nil && !strings.Contains(expression, "half") {
			if o := runAll(t, s); !o.Rows[0].OK {
				t.Errorf("%s: %v", expression, o.Rows[0].Values)
			}
		}
	}
}

func runAll(t *testing.T, s *scenario.Scenario) *scenario.Outcome {
	t.Helper()
	outcomes, err := scenario.RunAll(context.Background(), []*scenario.Scenario{s}, scenario.Options{Seeds: 2, Jobs: 2})
	if err != nil {
		t.Fatal(err)
	}
	return outcomes[0]
}

// TestTooManyEvents ends a run that would take too long, and says how far it came.
func TestTooManyEvents(t *testing.T) {
	s, err := scenario.Parse("x.toml", []byte("max_events = 500\n"+good))
	if err != nil {
		t.Fatal(err)
	}
	_, err = scenario.RunAll(context.Background(), []*scenario.Scenario{s}, scenario.Options{Seeds: 3, Jobs: 1})
	var p *scenario.Problem
	if want := "x.toml:1: max_events: seed 1 ended after the work of 500 events, at "; !errors.As(err, &p) ||
		!strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}

// TestExpensiveExpression ends a run whose events are few, but each of which takes long.
func TestExpensiveExpression(t *testing.T) {
	dear := "(* 1e-12 (+" + strings.Repeat(" (poisson 20)", 300) + "))"
	s, err := scenario.Parse("x.toml", []byte("max_events = 10000\n"+strings.Replace(good, "(* 1e-7 (exponential))", dear, 1)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = scenario.RunAll(context.Background(), []*scenario.Scenario{s}, scenario.Options{Seeds: 1, Jobs: 1})
	if want := "x.toml:1: max_events: seed 1 ended after the work of 10000 events, at "; err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}

// TestLateImpossibleValue: what an expression comes to long after the first values is told of with its place.
func TestLateImpossibleValue(t *testing.T) {
	for old, c := range map[string]struct{ new, want string }{
		`"(+ 1e-5 (sum (* 1e-9 (normal))))"`: {`"(% 1 (equal 0.1 (min time 50) time))"`,
			"x.toml:21: host[0].system.frequency: with seed 1 the value at 51s is NaN; allowed: -0.2 to 0.2"},
		`(+ 1e-7 (* 1e-7 (exponential)))`: {`(* 2000 (equal 0.1 (max time 30) time))`,
			"x.toml:29: link[0].delay: with seed 1 the value at 30s is 2000; allowed: at most 1000 s"},
	} {
		s, err := scenario.Parse("x.toml", []byte(strings.Replace(good, old, c.new, 1)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = scenario.RunAll(context.Background(), []*scenario.Scenario{s}, scenario.Options{Seeds: 2, Jobs: 2})
		var p *scenario.Problem
		if !errors.As(err, &p) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

// TestInterrupted ends a long run in the midst of what is simulated between two reports of progress.
func TestInterrupted(t *testing.T) {
	text := "max_events = 100000000000\n" + strings.Replace(good, `"60s"`, `"600h"`, 1)
	s, err := scenario.Parse("x.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	reports := 0
	_, err = scenario.RunAll(ctx, []*scenario.Scenario{s}, scenario.Options{Seeds: 1, Jobs: 1, Progress: func(float64) {
		reports++
		cancel()
	}})
	if !errors.Is(err, context.Canceled) || reports != 1 {
		t.Errorf("after %d reports of progress: error %v", reports, err)
	}
}
