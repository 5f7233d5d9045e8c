// SPDX-License-Identifier: Apache-2.0

// Package scenario reads scenario files, runs them in virtual time, and holds what happened against their limits.
package scenario

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/sim/expr"
)

// Scenario is a file that has been read and checked. It is not changed once made, and may be run by any number of
// goroutines.
type Scenario struct {
	// Name is the file's, without directory and extension.
	Name string `toml:"-"`
	file string
	// maxEventsLine is where MaxEvents is given, 0 if it is not.
	maxEventsLine int
	// places are those of the expressions.
	places map[*expr.Program]place

	// Title says in a few words what is simulated, Description in more.
	Title       string `toml:"title"`
	Description string `toml:"description"`
	// Start is UTC at the beginning, and UTCOffset TAI − UTC in seconds. Leap is the leap second at the end of that day:
	// "insert" or "delete".
	Start     time.Time `toml:"start"`
	UTCOffset int       `toml:"utc_offset"`
	Leap      leap      `toml:"leap"`
	// Duration of the simulation.
	Duration span `toml:"duration"`
	// MaxEvents ends a run that takes too many, as an error.
	MaxEvents uint64 `toml:"max_events"`
	// Plot has the document on accuracy show a plot.
	Plot bool `toml:"plot"`

	Grandmasters []grandmaster `toml:"grandmaster"`
	Servers      []server      `toml:"server"`
	Hosts        []host        `toml:"host"`
	Hubs         []hub         `toml:"hub"`
	Switches     []bridge      `toml:"switch"`
	Links        []link        `toml:"link"`
	Events       []change      `toml:"event"`
	Limits       []Limit       `toml:"limit"`
}

// Honest reports whether nothing in the scenario tells a wrong time, and nobody sets a clock: a maximum error can only be
// held against what a host can know.
func (s *Scenario) Honest() bool {
	for i := range s.Events {
		e := &s.Events[i]
		if e.Shift != nil || e.Drift != nil || e.Step != nil || e.AnnouncedUTC != nil {
			return false
		}
	}
	if slices.ContainsFunc(s.Grandmasters, func(g grandmaster) bool { return g.wrong() }) ||
		slices.ContainsFunc(s.Servers, func(v server) bool { return v.wrong() }) {
		return false
	}
	for i := range s.Hosts {
		if s.Hosts[i].System.Step.Program != nil ||
			slices.ContainsFunc(s.Hosts[i].PHCs, func(p phcSpec) bool { return p.Step.Program != nil }) {
			return false
		}
	}
	return true
}

// grandmaster is a PTP grandmaster.
type grandmaster struct {
	Name                 string `toml:"name"`
	Domain               uint8  `toml:"domain"`
	OneStep              bool   `toml:"one_step"`
	AnnounceInterval     span   `toml:"announce_interval"`
	SyncInterval         span   `toml:"sync_interval"`
	DelayRequestInterval span   `toml:"delay_request_interval"`
	announcement
	deviation
}

// deviation is how the clock of a grandmaster or server runs wrong; one of which nothing is said has true time.
type deviation struct {
	Offset    span       `toml:"offset"`
	Frequency expression `toml:"frequency"`
	Wander    float64    `toml:"wander"`
	Step      expression `toml:"step"`
}

// announcement is what a grandmaster tells of itself; what is nil stays as it is.
type announcement struct {
	Priority1      *uint8  `toml:"priority1"`
	Priority2      *uint8  `toml:"priority2"`
	ClockClass     *uint8  `toml:"clock_class"`
	ClockAccuracy  *uint8  `toml:"clock_accuracy"`
	StepsRemoved   *uint16 `toml:"steps_removed"`
	AnnouncedUTC   *int16  `toml:"announced_utc_offset"`
	UTCOffsetValid *bool   `toml:"utc_offset_valid"`
	PTPTimescale   *bool   `toml:"ptp_timescale"`
	Silent         *bool   `toml:"silent"`
	FollowUpDelay  *span   `toml:"follow_up_delay"`
}

// server is an NTP server.
type server struct {
	Name    string   `toml:"name"`
	Address string   `toml:"address"`
	Names   []string `toml:"names"`
	answers
	deviation
}

// answers is how a server answers; what is nil stays as it is.
type answers struct {
	Stratum        *uint8  `toml:"stratum"`
	RootDelay      *span   `toml:"root_delay"`
	RootDispersion *span   `toml:"root_dispersion"`
	Dead           *bool   `toml:"dead"`
	Kiss           *string `toml:"kiss"`
	MinInterval    *span   `toml:"min_interval"`
}

// host runs lockstepd.
type host struct {
	Name  string `toml:"name"`
	Count int    `toml:"count"`
	// Start is when the daemon starts; the clocks run from the beginning.
	Start  *span      `toml:"start"`
	Config string     `toml:"config"`
	System oscillator `toml:"system"`
	PHCs   []phcSpec  `toml:"phc"`

	parsed *configs.Config
}

// oscillator is a clock and what makes it run wrong.
type oscillator struct {
	Offset            span       `toml:"offset"`
	Frequency         expression `toml:"frequency"`
	Wander            float64    `toml:"wander"`
	Aging             float64    `toml:"aging"`
	Temperature       float64    `toml:"temperature"`
	TemperaturePeriod span       `toml:"temperature_period"`
	MaxFrequency      float64    `toml:"max_frequency"`
	Quantum           float64    `toml:"quantum"`
	Resolution        span       `toml:"resolution"`
	StampNoise        expression `toml:"stamp_noise"`
	StampDelay        expression `toml:"stamp_delay"`
	StampLoss         float64    `toml:"stamp_loss"`
	Update            span       `toml:"update"`
	Step              expression `toml:"step"`
}

type phcSpec struct {
	Interfaces   []string   `toml:"interfaces"`
	Window       expression `toml:"window"`
	Asymmetry    float64    `toml:"asymmetry"`
	Before       expression `toml:"window_before"`
	After        expression `toml:"window_after"`
	ReadingNoise expression `toml:"reading_noise"`
	Noise        expression `toml:"crossing_noise"`
	oscillator
}

// link joins sources with hosts.
type link struct {
	Name string `toml:"name"`
	// From are grandmasters, servers and hubs, To hosts, host:interface, or hubs; patterns with * match several. Through
	// are switches on the way.
	From    []string `toml:"from"`
	To      []string `toml:"to"`
	Through []string `toml:"through"`
	// Delay is towards the host in seconds, Back the other way; as Delay if not given.
	Delay      expression `toml:"delay"`
	Back       expression `toml:"back"`
	Correction expression `toml:"correction"`
	Loss       float64    `toml:"loss"`
	Duplicate  float64    `toml:"duplicate"`
}

// change is what happens at some time to one thing.
type change struct {
	At span `toml:"at"`
	// What it happens to; one of them is given.
	Link        string `toml:"link"`
	Grandmaster string `toml:"grandmaster"`
	Server      string `toml:"server"`
	Host        string `toml:"host"`

	// A link:
	Cut         *bool    `toml:"cut"`
	LossNow     *float64 `toml:"loss"`
	Extend      *span    `toml:"extend"`
	ExtendThere *span    `toml:"extend_there"`
	ExtendBack  *span    `toml:"extend_back"`
	// A grandmaster or server:
	Shift *span    `toml:"shift"`
	Drift *float64 `toml:"drift"`
	Leap  *leap    `toml:"leap"`
	announcement
	answers
	// A host:
	Daemon    string  `toml:"daemon"`
	Clock     clockID `toml:"clock"`
	Step      *span   `toml:"step"`
	Interface string  `toml:"interface"`
	Up        *bool   `toml:"up"`
}

// Limit is what must hold.
type Limit struct {
	// Name of the row in the table; several limits are told apart by it.
	Name string  `toml:"name"`
	Host string  `toml:"host"`
	From *span   `toml:"from"`
	To   *span   `toml:"to"`
	At   *span   `toml:"at"`
	On   clockID `toml:"clock"`

	RMS           *span    `toml:"rms"`
	Max           *span    `toml:"max"`
	FrequencyRMS  *float64 `toml:"frequency_rms"`
	FrequencyMax  *float64 `toml:"frequency_max"`
	SyncWithin    *span    `toml:"sync_within"`
	Sync          *span    `toml:"sync"`
	Steps         *int     `toml:"steps"`
	Coverage      *float64 `toml:"coverage"`
	BoundPerRMS   *float64 `toml:"bound_per_rms"`
	States        []string `toml:"states"`
	Sources       []string `toml:"sources"`
	Of            string   `toml:"of"`
	Verdicts      []string `toml:"verdicts"`
	Requests      *int     `toml:"requests"`
	Aim           string   `toml:"aim"`
	Peers         string   `toml:"peers"`
	Informational bool     `toml:"informational"`
}

// What is written as a text is a struct, so that an integer is not taken for a value of it, such as nanoseconds.

// wrong is the error of a value that has been read, with its place.
func wrong(value []byte, format string, args ...any) error {
	return unstable.NewParserError(value, format, args...)
}

// span is a duration as written in a file: "1.5us", "-3s", "2h", "1d".
type span struct{ d time.Duration }

// maxSpan bounds all durations of a scenario.
const maxSpan = 100 * 366 * 24 * time.Hour

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *span) UnmarshalText(b []byte) error {
	text, days := string(b), time.Duration(1)
	if n := len(text); n > 1 && text[n-1] == 'd' {
		text, days = text[:n-1]+"h", 24
	}
	d, err := time.ParseDuration(text)
	if n, number := strconv.ParseFloat(text, 64); number == nil && n != 0 {
		return wrong(b, "%s has no unit; allowed: a text with one, such as \"%ss\"", clip(text), clip(text))
	}
	if err != nil || d > maxSpan/days || d < -maxSpan/days {
		return wrong(b,
			"%q is not a duration such as \"150ns\", \"1.5us\", \"20ms\", \"-3s\", \"2h\" or \"1d\" of at most a century",
			clip(string(b)))
	}
	s.d = d * days
	return nil
}

// clip shortens what a message quotes.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

// expression is one of package expr.
type expression struct{ *expr.Program }

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *expression) UnmarshalText(b []byte) (err error) {
	if e.Program, err = expr.Parse(string(b)); err != nil {
		return wrong(b, "%v", err)
	}
	return nil
}

// leap is a leap second: "insert", "delete" or "none".
type leap struct{ clock.Leap }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *leap) UnmarshalText(b []byte) error {
	switch string(b) {
	case "insert":
		l.Leap = clock.LeapInsert
	case "delete":
		l.Leap = clock.LeapDelete
	case "none":
		l.Leap = clock.NoLeap
	default:
		return wrong(b, "%q is not a leap second: insert, delete, none", clip(string(b)))
	}
	return nil
}

// clockID is "system" or "ptp0", "ptp1" …
type clockID struct{ clock.ID }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *clockID) UnmarshalText(b []byte) error {
	if string(b) == "system" {
		c.ID = clock.System
		return nil
	}
	digits, isPHC := strings.CutPrefix(string(b), "ptp")
	n, err := strconv.ParseUint(digits, 10, 8)
	if !isPHC || err != nil || n >= maxPHCs {
		return wrong(b, "%q is not a clock: system, ptp0, ptp1 …", clip(string(b)))
	}
	c.ID = clock.PHC(int(n))
	return nil
}
