// SPDX-License-Identifier: Apache-2.0

// Package source is the vocabulary of sources of time, whatever their protocol: what one measures, what is known of it,
// which sources tell the truth, and which one leads.
package source

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

// ID names a source for as long as the configuration that made it: "ptp:eth0", "ntp:192.0.2.1".
type ID string

// Kind names the protocol that a source speaks, in lower case, as the configuration and the status show it.
type Kind string

// The kinds that selection.prefer_kinds names.
const (
	// PTP: a grandmaster seen through a port of this host.
	PTP Kind = "ptp"
	// NTP: a server asked over NTP.
	NTP Kind = "ntp"
	// PPS: a pulse per second.
	PPS Kind = "pps"
)

// Sample is one measurement: at one instant, a clock of this host differed from a source.
type Sample struct {
	// At is what the measured clock read at the instant that the offset holds for.
	At clock.Timestamp
	// Offset + OffsetFraction is the clock less the source in ns, positive when the clock is ahead, both on their own scales:
	// it includes TAI − UTC when a clock on UTC is measured by a source on TAI.
	Offset         int64
	OffsetFraction float64
	// Variance is that of the noise which all samples of the source have alike, DelayVariance that of this one by its own
	// delay, 0 if it has none of its own; in ns².
	Variance, DelayVariance float64
	// MaxError bounds what the source and the path contribute, provided that the source tells the truth about itself. Even is
	// how much less that is if the delay is shared between the two directions as evenly as configured.
	MaxError, Even time.Duration
	// Delay is what the way there and back took, without the time at the other end. 0 for a source with no way back.
	Delay time.Duration
	// Interval at which samples come.
	Interval time.Duration
	// OneWay says that the way back was not measured along with it. If it is not as expected, the path may have changed: it
	// accuses nobody.
	OneWay bool
}

// Traits are what the samples of a source are like. They stand in place of tests of its Kind.
type Traits struct {
	// Combinable: it is one of many equals, such as servers on a network, whose times differ by more than their samples
	// scatter. Each has a bias, which is learned, and several together are better than one. A source that is not Combinable
	// is taken at its word: where it jumps or is outvoted, it has to agree with this host before it is followed again.
	Combinable bool
}

// Info is what never changes of a source.
type Info struct {
	ID   ID
	Kind Kind
	// Name of the interface, server or device, as the configuration has it.
	Name    string
	Options Options
	Traits  Traits
}

// Standing says whether a source can be used, as far as its protocol knows.
type Standing struct {
	// State is Unreachable, WarmingUp or Usable; Reason says why it is not Usable.
	State  State
	Reason Reason
	// Rank among sources of the same kind by the protocol's own comparison, lower is better.
	Rank int
}

// Pending reports whether the source is not usable yet and may become so at any moment.
func (s Standing) Pending() bool {
	return s.State != Usable && s.Reason.Code != NoPort && s.Reason.Code != LinkDown
}

// Role says how much depends on the samples of a source.
type Role uint8

// The roles.
const (
	// Idle: no source is followed.
	Idle Role = iota
	// StandBy: a source is followed that ranks higher by its kind.
	StandBy
	// StandIn: sources of this kind are followed because none of a kind that ranks higher can be, although there are some.
	StandIn
	// Lead: no source ranks higher by its kind.
	Lead
)

// Need says how much depends on the samples of a source, and with that how often it should measure.
type Need struct {
	Role Role
	// Compared: the latest sample was compared with what this host expects of the source. It missed that by Miss; the latest
	// samples scatter with a standard deviation of Jitter.
	Compared     bool
	Miss, Jitter time.Duration
}

// Restart says why what was measured of a source says nothing of what it measures from now on.
type Restart uint8

// The reasons.
const (
	// NewServer: another server answers.
	NewServer Restart = iota + 1
	// NewMaster: another grandmaster is heard.
	NewMaster
	// NewScale: the source has changed its time scale.
	NewScale
	// NewClock: another clock of this host is measured, or none.
	NewClock
)

// ChangeKind says what was done to a clock.
type ChangeKind uint8

// The kinds.
const (
	// Steered: it has run with Frequency since it read At.
	Steered ChangeKind = iota + 1
	// Stepped: By was added to it just now.
	Stepped
)

// Change is what this host has done to one of its clocks.
type Change struct {
	Kind  ChangeKind
	Clock clock.ID
	// At is what the clock read at the change, Stepped: before it.
	At clock.Timestamp
	// Frequency correction in force, in ppb.
	Frequency float64
	By        time.Duration
}
