// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lockstep-time/lockstep/internal/files"
	"github.com/lockstep-time/lockstep/sim/scenario"
)

// opening is the first part of the document: what it is, and how much holds.
const opening = `# Accuracy

Simulated accuracy of lockstep, beside that of linuxptp 4.4 and chrony 4.8 on the same work in a simulator of their own. The
hosts run the production code with its default configuration; no row is tuned. A figure is the mean of %d runs with
different seeds ± the standard deviation of a single run. ~make sim~ writes this page from ~sim/scenarios~.

- %d of %d limits hold.
- The true error was within the stated maximum error in %s of %d samples, over all scenarios in which no source is wrong
  and nobody sets a clock.

`

const method = `[How the figures are made](#method), [all figures](#all-figures), and one section for each scenario follow.

## Method

The model:

- The frequency error of a clock is constant within each second of true time. From one second to the next it changes by
  w·N(0,1), with w = 1 ppb unless stated otherwise.
- Packets are delayed independently of each other. Timestamps are exact to the nanosecond.
- Comparisons of a PHC with the system clock have no noise unless stated otherwise.
- "Sync" is the time in seconds from the start of the daemon until the error stays below the given value. The peers' figures
  of work S1 count from 0, and their daemons start at 9 s.
- Figures of holdover at an instant are the root mean square over hosts and runs.

Differences from the peers' setup:

- lockstep compares a PHC with the system clock eight times a second, and each comparison has independent noise if the
  scenario has any. phc2sys compares once a second by default. The files ~s3-*~ show the effect.
- When PTP is lost, lockstep polls NTP servers of the same site every second, and others every 16 s. The rows "NTP requests"
  give the number beside the peers'. In work S4 lockstep sends no more requests than the peer.

The maximum error:

- It is the bound that the host states for the error of its clock. Its coverage is the share of all seconds in which the true
  error was within it. A second without a bound counts as a miss while the state of the clock is locked.
- "Bound per rms" is the mean of the bound over the rms of the true error.
- No exchange of messages shows how the least delay of a path is divided between the two directions. For PTP the bound
  allows a quarter of it to be uneven (~max_asymmetry~); for NTP it allows all of it, as root distance does (RFC 5905). The
  bound treats the least time of a reading of a PHC the same way. It also contains the accuracy that the grandmaster states.
  Where the rms is much smaller than these, "bound per rms" is large.

## All figures

| scenario | what | lockstep | limit | aim | peers | |
|---|---|---|---|---|---|---|
`

// code writes ~ as the backquote that it stands for in the texts above.
func code(text string) string { return strings.ReplaceAll(text, "~", "`") }

// Document writes a Markdown document: a summary, the method, a table of all figures, and a section for each scenario. The
// plots of the scenarios' first runs go as SVG files into a directory beside the document that has its name without the
// extension.
func Document(name string, outcomes []*scenario.Outcome) error {
	dir := strings.TrimSuffix(name, filepath.Ext(name))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write document: %w", err)
	}
	var b bytes.Buffer
	summarise(&b, outcomes)
	b.WriteString(code(method))
	for _, o := range outcomes {
		first := anchor(o)
		for i := range o.Rows {
			r := &o.Rows[i]
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", first, What(r), Figure(r), Bound(r), r.Aim, r.Peers, Verdict(r))
			first = ""
		}
	}
	for _, o := range outcomes {
		fmt.Fprintf(&b, "\n## %s\n\n%s. %s\n", o.Scenario.Name, o.Scenario.Title, o.Scenario.Description)
		if !o.Scenario.Plot {
			continue
		}
		plot := o.Scenario.Name + ".svg"
		fmt.Fprintf(&b, "\n![%s](%s/%s)\n", o.Scenario.Title, filepath.Base(dir), plot)
		if err := PlotFile(filepath.Join(dir, plot), o.First, ""); err != nil {
			return err
		}
	}
	f, err := files.Create(name)
	if err != nil {
		return fmt.Errorf("write document: %w", err)
	}
	_, err = f.Write(b.Bytes())
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write document: %w", err)
	}
	return nil
}

// anchor links to the section of a scenario.
func anchor(o *scenario.Outcome) string {
	return fmt.Sprintf("[%s](#%s)", o.Scenario.Name, o.Scenario.Name)
}

// summarise writes how much holds, the figures beside the peers', and the limits that are not reached.
func summarise(b *bytes.Buffer, outcomes []*scenario.Outcome) {
	rows, stated, covered, seeds := 0, 0, 0, 0
	var beside, missed strings.Builder
	held := 0
	for _, o := range outcomes {
		seeds = len(o.Seeds)
		if o.Scenario.Honest() {
			stated += o.Stated
			covered += o.Covered
		}
		compared := false
		for i := range o.Rows {
			r := &o.Rows[i]
			rows++
			if r.OK {
				held++
			} else {
				fmt.Fprintf(&missed, "| %s | %s | %s | %s |\n", anchor(o), What(r), Figure(r), Bound(r))
			}
			if !compared && r.Aim != "" && r.Peers != "" { // the scenario is the peers' work, and this its main figure
				compared = true
				fmt.Fprintf(&beside, "| %s | %s | %s | %s |\n", anchor(o), What(r), Figure(r), r.Peers)
			}
		}
	}
	fmt.Fprintf(b, code(opening), seeds, held, rows, scenario.Share.Format(float64(covered)/float64(max(stated, 1))), stated)
	table(b, "Beside the peers", "peers", beside.String())
	table(b, "Limits that are not reached", "limit", missed.String())
}

// table writes rows under a title, and nothing if there are none.
func table(b *bytes.Buffer, title, last, rows string) {
	if rows != "" {
		fmt.Fprintf(b, "%s:\n\n| scenario | what | lockstep | %s |\n|---|---|---|---|\n%s\n", title, last, rows)
	}
}
