// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

// PortConfig says how a Port works. The zero value of a field stands for its default.
type PortConfig struct {
	// Clock is the clock by which messages are timestamped. If zero, the first timestamp tells.
	Clock clock.ID
	// Masters that may be followed; empty: any. What others announce is refused.
	Masters []MasterID
	// FirstSequenceID is the sequenceId of the first Delay_Req. Draw it at random, so that only those who see the requests
	// can answer them.
	FirstSequenceID uint16
	// MinorVersion is what is sent as minorVersionPTP: 0 or 1. All are understood.
	MinorVersion uint8
	// AnnounceReceiptTimeout is how many announce intervals a parent may be silent, 2 to 255, default 3 (portDS,
	// IEEE 1588-2019 §8.2.15.4.2).
	AnnounceReceiptTimeout int
	// LogDelayReqInterval is the mean interval of Delay_Req messages as an exponent of 2 of seconds until the parent
	// grants one, −7 to 6. On average no more than 8 are sent per Sync, whatever is granted.
	LogDelayReqInterval int8
	// DelayAsymmetry is by how much the way from the master is longer than the mean of both ways, and the way back
	// shorter (IEEE 1588-2019 §7.4.2), at most ±1 s.
	DelayAsymmetry time.Duration
	// DelayFilter is how many path delays the moving median is taken of, 1 to 128, default 10.
	DelayFilter int
	// DelayTolerance is how far below 0 a path delay, or the time that a message was held on its way, may be by the error
	// of the timestamps, default 1 µs, at most 1 s.
	DelayTolerance time.Duration
}

// Defaults and bounds of PortConfig.
const (
	DefaultAnnounceReceiptTimeout = 3
	DefaultDelayFilter            = 10
	DefaultDelayTolerance         = time.Microsecond

	minLogDelayReq, maxLogDelayReq int8 = -7, 6
)

// complete fills in the defaults and keeps the rest within bounds.
func (c PortConfig) complete() PortConfig {
	if c.AnnounceReceiptTimeout == 0 {
		c.AnnounceReceiptTimeout = DefaultAnnounceReceiptTimeout
	}
	if c.DelayFilter == 0 {
		c.DelayFilter = DefaultDelayFilter
	}
	if c.DelayTolerance == 0 {
		c.DelayTolerance = DefaultDelayTolerance
	}
	c.AnnounceReceiptTimeout = min(max(c.AnnounceReceiptTimeout, 2), 255)
	c.DelayFilter = min(max(c.DelayFilter, 1), MaxDelayFilter)
	c.DelayAsymmetry = min(max(c.DelayAsymmetry, -time.Second), time.Second)
	c.DelayTolerance = min(max(c.DelayTolerance, 0), time.Second)
	c.LogDelayReqInterval = min(max(c.LogDelayReqInterval, minLogDelayReq), maxLogDelayReq)
	c.MinorVersion &= 1
	return c
}

// Output is what a Port acts through. The port calls it while it handles an event. Of the port's methods only Steered,
// Stepped and Status may be called from within, and those from within Measured only. The data sets of the Instance and Rank
// may be read from within any of them.
type Output interface {
	// SendEvent sends b, which is valid during the call only, to all ports of the domain as an event message. When it
	// left is told by Transmitted with the id returned, after SendEvent has returned.
	SendEvent(b []byte) (id uint32, err error)
	// Measured hands over a measurement, which is valid during the call only.
	Measured(m *Measurement)
	// StateChanged tells that the port's state changed, and why: a short constant phrase.
	StateChanged(from, to State, why string)
	// Conflict tells that two senders speak as the parent, and how it shows, as a clause. It is called when that begins,
	// and every 10 minutes while it lasts.
	Conflict(what string)
	// ParentChanged tells that the parent, or anything that it announces, changed; nil when there is none any more.
	// p is valid during the call only.
	ParentChanged(p *Parent)
}

// Measurement is what one Sync measured.
type Measurement struct {
	// At is t2: what the measured clock read when the Sync arrived.
	At clock.Timestamp
	// Offset is <offsetFromMaster> (IEEE 1588-2019 §11.2): the measured clock less the master, on the master's timescale.
	// Exact is the same before it was rounded. Until the path delay is known both contain it.
	Offset time.Duration
	Exact  Span
	// DelayKnown says that MeanPathDelay is known: the moving median of the path delays (§11.3).
	DelayKnown    bool
	MeanPathDelay wire.TimeInterval
	// DelayDeviation estimates the standard deviation of a single path delay, from the median absolute deviation of those
	// in the filter; 0 with fewer than 3.
	DelayDeviation time.Duration
	// Forward is t2 − t1 less corrections and asymmetry: Exact before the path delay is taken off.
	Forward Span
	// Backward is t4 − t3 less corrections, plus asymmetry, of a Delay_Req that left at reading BackwardAt, and
	// PathDelay the path delay that it gave. They are valid if HasBackward: one was measured since the last Measurement,
	// the latest if several were.
	HasBackward bool
	Backward    Span
	BackwardAt  clock.Timestamp
	PathDelay   wire.TimeInterval
	// Interval is that of the master's Sync messages as it states it, within 1/128 s and 16 s.
	Interval time.Duration
	// Parent is the master and what it last announced.
	Parent Parent
}

// State is the state of a port (IEEE 1588-2019 §9.2.5, table 20). A client is never in the others.
type State uint8

// The states.
const (
	// Listening: no master has qualified.
	Listening State = iota + 1
	// Uncalibrated: a master has been chosen; no offset with a known path delay has been measured yet, or its Sync
	// messages stopped or are of no use.
	Uncalibrated
	// Slave: the clock is being measured.
	Slave
	// Faulty: the link is down.
	Faulty
	// Disabled: switched off by Disable.
	Disabled
)

// String returns the name in lower case.
func (s State) String() string {
	switch s {
	case Listening:
		return "listening"
	case Uncalibrated:
		return "uncalibrated"
	case Slave:
		return "slave"
	case Faulty:
		return "faulty"
	case Disabled:
		return "disabled"
	}
	return "initializing"
}

// Status is what a Port shows of itself.
type Status struct {
	State State
	// HasParent says that Parent is valid.
	HasParent bool
	Parent    Parent
	// Masters is the number of qualified masters, the parent included.
	Masters int
	// DelayKnown, MeanPathDelay and DelayDeviation are as in Measurement.
	DelayKnown     bool
	MeanPathDelay  time.Duration
	DelayDeviation time.Duration
	// SyncInterval is as in Measurement; 0 before the first Sync. DelayReqInterval is the mean interval of Delay_Req
	// messages in use.
	SyncInterval, DelayReqInterval time.Duration
	Counters                       Counters
	// Conflict is what Output.Conflict told last of this parent, if it was so within the last minute; else empty.
	Conflict string
}
