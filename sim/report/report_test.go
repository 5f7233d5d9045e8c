// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-time/lockstep/sim/report"
	"github.com/lockstep-time/lockstep/sim/scenario"
)

func outcomes() []*scenario.Outcome {
	return []*scenario.Outcome{{Scenario: &scenario.Scenario{Name: "s"}, Seeds: []uint64{1, 2}, Rows: []scenario.Row{
		{Limit: "PHC", What: "rms", Unit: scenario.Nanoseconds, Values: []float64{1200, 1400}, Mean: 1300, Deviation: 141.42,
			Bound: 2000,
			Aim:   "1 µs", Peers: "3 µs", OK: true},
		{What: "coverage", Unit: scenario.Share, Values: []float64{0.9, 1}, Mean: 0.95, Deviation: 0.07, Bound: 0.9999,
			Least: true},
		{What: "bound per rms", Unit: scenario.Ratio, Values: []float64{20, 20}, Mean: 20, Bound: 10, Informational: true},
	}}}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	if err := report.Table(&b, outcomes()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	for i, want := range [][]string{nil, {"s ", "PHC, rms", "1.30 µs ± 141 ns", "≤ 2.00 µs", "1 µs", "3 µs", "ok"},
		{"coverage", "95 % ± 7 %", "≥ 99.99 %", "FAIL"}, {"bound per rms", "20.0", "≤ 10.0", "not reached"}} {
		for _, w := range want {
			if !strings.Contains(lines[i], w) {
				t.Errorf("line %q lacks %q", lines[i], w)
			}
		}
	}
	if outcomes()[0].OK() {
		t.Error("a limit does not hold, and all is said to be well")
	}
}

func TestCSV(t *testing.T) {
	var b bytes.Buffer
	if err := report.CSV(&b, outcomes()); err != nil {
		t.Fatal(err)
	}
	if want := "s,PHC,rms,ns,2,1400,2000,false,true\n"; !strings.Contains(b.String(), want) {
		t.Errorf("%s\nlacks %s", b.String(), want)
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		unit scenario.Unit
		v    float64
		want string
	}{
		{scenario.Nanoseconds, 0, "0 ns"}, {scenario.Nanoseconds, 0.0123, "0.0123 ns"}, {scenario.Nanoseconds, 21.46, "21.5 ns"},
		{scenario.Nanoseconds, 999.6, "1.00 µs"}, {scenario.Nanoseconds, -1.5e6, "-1.50 ms"},
		{scenario.Nanoseconds, 3.6e12, "3600 s"},
		{scenario.PPB, 128.4, "128 ppb"}, {scenario.Seconds, 4.5, "4.50 s"}, {scenario.Share, 1, "100 %"},
		{scenario.Share, 0.999999, "99.9999 %"}, {scenario.Count, 3, "3"}, {scenario.Count, 1.0 / 3, "0.333"},
	} {
		if got := c.unit.Format(c.v); got != c.want {
			t.Errorf("%g: %q, want %q", c.v, got, c.want)
		}
	}
}

// TestDocument: what holds, what does not, and what the peers reach stand before the table of all figures.
func TestDocument(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.md")
	if err := report.Document(name, outcomes()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	summary, rest, found := strings.Cut(string(text), "\n## Method\n")
	if !found || !strings.Contains(rest, "\n## s\n") {
		t.Fatalf("no section on the method, or none for the scenario:\n%s", text)
	}
	for _, want := range []string{"mean of 2 runs", "- 1 of 3 limits hold.",
		"| [s](#s) | PHC, rms | 1.30 µs ± 141 ns | 3 µs |\n", "Limits that are not reached:",
		"| [s](#s) | coverage | 95 % ± 7 % | ≥ 99.99 % |\n", "| [s](#s) | bound per rms | 20.0 | ≤ 10.0 |\n"} {
		if !strings.Contains(summary, want) {
			t.Errorf("the summary lacks %q:\n%s", want, summary)
		}
	}
	if strings.Contains(summary, "| [s](#s) | PHC, rms | 1.30 µs ± 141 ns | ≤ 2.00 µs |") ||
		strings.Contains(string(text), "~") {
		t.Errorf("a limit that is reached is among the others, or a ~ is left:\n%s", text)
	}
}

func TestBar(t *testing.T) {
	for part, want := range map[float64]string{0: "[----]   0 %", 0.5: "[##--]  50 %", 1: "[####] 100 %"} {
		if got := report.Bar(part, 4); got != want {
			t.Errorf("%g: %q, want %q", part, got, want)
		}
	}
}
