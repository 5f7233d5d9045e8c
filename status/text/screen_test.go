// SPDX-License-Identifier: Apache-2.0

package text_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/statustest"
	"github.com/lockstep-time/lockstep/status/text"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	snapshots = map[string]func() *status.Snapshot{
		"locked": statustest.Locked, "holdover": statustest.Holdover, "starting": statustest.Starting,
		"panic": statustest.Panicked, "ring": ring, "empty": func() *status.Snapshot { return new(status.Snapshot) },
	}
	screens = map[string]func(*status.Snapshot, text.Style) string{
		"status": text.Status, "sources": text.Sources, "clocks": text.Clocks, "ports": text.Ports,
		"line": func(s *status.Snapshot, _ text.Style) string { return text.Line(s) + "\n" },
	}
)

// ring returns clocks as no daemon should show them: two follow each other, and two hang from one source.
func ring() *status.Snapshot {
	s := statustest.Locked()
	s.Clocks = append(s.Clocks,
		status.Clock{Name: "ptp1", Follows: "ptp2", State: "free"},
		status.Clock{Name: "ptp2", Follows: "ptp1", State: "free"},
		status.Clock{Name: "ptp3", Follows: "ptp3", State: "free"},
		status.Clock{Name: "ptp4", Follows: "ptp:eth0", State: "acquiring"},
		status.Clock{Name: "", Follows: "", State: "free"})
	s.UTC.Leap = 1
	return s
}

func TestScreens(t *testing.T) {
	for shot, snapshot := range snapshots {
		for name, screen := range screens {
			t.Run(shot+"/"+name, func(t *testing.T) {
				got := screen(snapshot(), text.Style{})
				file := filepath.Join("testdata", shot+"-"+name+".txt")
				if *update {
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(string(want), got); d != "" {
					t.Errorf("%s differs (-want +got); if it is right now, go test -update:\n%s", file, d)
				}
			})
		}
	}
}

func TestScreensFit(t *testing.T) {
	for shot, snapshot := range snapshots {
		for name, screen := range screens {
			for l := range strings.Lines(screen(snapshot(), text.Style{})) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\n")); n > text.Width && name != "line" {
					t.Errorf("%s of %s has a line of %d columns: %q", name, shot, n, l)
				}
				if l != strings.TrimRight(l, " \n")+"\n" {
					t.Errorf("%s of %s has blanks at the end of %q", name, shot, l)
				}
			}
		}
	}
}

// Colour adds nothing but SGR sequences.
func TestColour(t *testing.T) {
	sgr := regexp.MustCompile("\x1b\\[[0-9;]+m")
	for shot, snapshot := range snapshots {
		for name, screen := range screens {
			coloured, want := screen(snapshot(), text.Style{Color: true}), screen(snapshot(), text.Style{})
			if d := cmp.Diff(want, sgr.ReplaceAllString(coloured, "")); d != "" {
				t.Errorf("%s of %s (-plain +coloured):\n%s", name, shot, d)
			}
			if name == "status" && !strings.Contains(coloured, "\x1b[") {
				t.Errorf("%s of %s has no colour", name, shot)
			}
		}
	}
}

// A source that has nothing to tell of itself, any more or yet, is shown without.
func TestSilentSource(t *testing.T) {
	s := &status.Snapshot{Sources: []status.Source{
		{ID: "ptp:eth0", Kind: "ptp", Name: "eth0", State: "unreachable", Samples: 7, Rejected: 1},
		{ID: "ptp:eth1", Kind: "ptp", Name: "eth1", State: "unreachable"},
	}}
	got := text.Sources(s, text.Style{})
	for _, absurd := range []string{"reference", "stratum 0", "one per"} {
		if strings.Contains(got, absurd) {
			t.Errorf("it says %q:\n%s", absurd, got)
		}
	}
	if !strings.Contains(got, "7, 1 rejected\n") {
		t.Errorf("it does not tell the samples:\n%s", got)
	}
}

// What other hosts say must not reach the terminal as a control sequence.
func TestHostileText(t *testing.T) {
	const evil = "\x1b[2J\x07\r\n\u202e\xff"
	s := statustest.Locked()
	s.Version, s.State, s.Reason, s.Selected, s.UTC.Origin, s.UTC.LeapDoubt = evil, evil, evil, evil, evil, evil
	for i := range s.Clocks {
		c := &s.Clocks[i]
		c.Name, c.Device, c.Scale, c.Follows, c.State, c.Servo, c.Method, c.Error = evil, evil, evil, evil, evil, evil, evil, evil
		c.Interfaces = []string{evil}
	}
	for i := range s.Sources {
		r := &s.Sources[i]
		r.ID, r.Kind, r.Name, r.Address, r.State, r.Reason, r.Reference, r.Timestamps = evil, evil, evil, evil+"a", evil, evil,
			evil, evil
	}
	for i := range s.Ports {
		p := &s.Ports[i]
		p.Interface, p.Transport, p.State, p.Identity, p.Parent, p.Grandmaster = evil, evil, evil, evil, evil, evil
		p.Timescale, p.Timestamping, p.Clock, p.Error = evil, evil, evil, evil
		p.Received = map[string]uint64{evil: 1}
	}
	for i := range s.Events {
		s.Events[i].Text = evil
	}
	for name, screen := range screens {
		for _, r := range screen(s, text.Style{}) + text.EventLine(s.Events[0]) {
			if r != '\n' && !unicode.IsPrint(r) || r == utf8.RuneError {
				t.Errorf("%s prints %U", name, r)
			}
		}
	}
}
