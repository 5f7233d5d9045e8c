// SPDX-License-Identifier: Apache-2.0

// Package timescale keeps TAI − UTC and leap seconds: it weighs what the sources claim, what a leap-seconds list, the
// configuration and the state file say, and arms the kernel for the end of the UTC day.
//
// It does no I/O and never asks what time it is; a Keeper belongs to one goroutine.
package timescale

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

// Claim is what a source says of time scales and leap seconds. The zero Claim says nothing.
type Claim struct {
	// Scale of the source's time. A source on UTC shows by its time whether there was a leap second, one on TAI by its Offset.
	Scale clock.Scale
	// Offset is TAI − UTC in seconds, and means something only if OffsetValid.
	Offset      int
	OffsetValid bool
	// Leap is the leap second that the source announces for the end of the UTC day.
	Leap clock.Leap
	// Reference identifies the clock that the claim comes from, such as a grandmaster. Claims with the same Reference count
	// as one. 0 is a clock that no other source shares.
	Reference uint64
}

// Witness is a source with its claim, as the Keeper weighs it.
type Witness struct {
	// Name of the source, as an Origin shows it.
	Name  string
	Claim Claim
	// Leads: the host follows it.
	Leads bool
	// Configured: an administrator has named it. Followable: it may be followed.
	Configured, Followable bool
	// Usable: it has measured lately. Agrees and Falseticker are the verdict of the last selection; both are false for a
	// source on which there is none. Suspect: its time has jumped, and nobody has confirmed that yet.
	Usable, Agrees, Falseticker, Suspect bool
	// TAI is what the last sample says TAI is, in ns since 1970, if HasTAI.
	TAI    int64
	HasTAI bool
	// Residual is by how many ns the host's time exceeds the source's, as measured at At, if HasResidual.
	Residual    float64
	At          clock.Mono
	HasResidual bool
}

// maxOffset is the largest TAI − UTC, in seconds, that is taken from a source. It is 37 s since 2017 and changes by a second
// in some years; the limit refuses values that are no count of leap seconds.
const maxOffset = 255

// states reports whether the source states TAI − UTC in a way that may be believed.
func (w *Witness) states() bool {
	c := &w.Claim
	return c.Scale == clock.TAI && c.OffsetValid && w.Followable && 0 <= c.Offset && c.Offset <= maxOffset && !w.Falseticker
}

// truechimer reports whether the source tells the truth, as far as is known.
func (w *Witness) truechimer() bool { return w.Agrees && !w.Suspect }

// Offset is TAI − UTC and where it comes from.
type Offset struct {
	Seconds int
	Known   bool
	Origin  Origin
	// Unconfigured: a source that no administrator has named states it. It is not kept for the next start.
	Unconfigured bool
}

// OriginKind says what kind of thing an offset comes from.
type OriginKind uint8

// The kinds of origin.
const (
	OriginUnknown OriginKind = iota
	OriginSource
	OriginList
	OriginConfiguration
	OriginStateFile
)

// Origin of an offset.
type Origin struct {
	Kind OriginKind
	// Name of the source or the list.
	Name string
}

// String returns the origin as the status shows it: "source ptp:eth0", "leap-seconds list FILE", "configuration",
// "state file", "unknown".
func (o Origin) String() string {
	switch o.Kind {
	case OriginSource:
		return "source " + o.Name
	case OriginList:
		return "leap-seconds list " + o.Name
	case OriginConfiguration:
		return "configuration"
	case OriginStateFile:
		return "state file"
	}
	return "unknown"
}

// Clocks are the clocks of the host, as far as time scales concern them.
type Clocks interface {
	// Frequency returns about what the clock reads now, and its frequency correction in ppb.
	Frequency(now clock.Mono, id clock.ID) (at clock.Timestamp, ppb float64, ok bool)
	// Steers reports whether the clock is steered, Trusted whether it has been locked.
	Steers(id clock.ID) bool
	Trusted(id clock.ID) bool
	// LeapSecond says that the kernel has carried out a leap second, NoLeapSecond that the sources had none.
	LeapSecond(now clock.Mono, l clock.Leap)
	NoLeapSecond(l clock.Leap)
	// SetUTCUncertainty has the maximum error of UTC allow for d.
	SetUTCUncertainty(d time.Duration)
}
