// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"time"
)

// State of a source.
type State uint8

const (
	// Unreachable: nothing is heard of it.
	Unreachable State = iota
	// WarmingUp: it is heard, but cannot be judged yet.
	WarmingUp
	// Usable: it tells the truth, as far as can be seen, but is not followed.
	Usable
	// Falseticker: what it says cannot be true together with what the others say.
	Falseticker
	// Selected: it leads.
	Selected
	// Combined: its samples are used beside the leader's.
	Combined
	// NoSelect: the configuration forbids to follow it.
	NoSelect
	// Unconfirmed: nobody has configured it, and too few of the sources that are configured confirm it.
	Unconfirmed
)

// String returns the state as the status shows it.
func (s State) String() string {
	switch s {
	case Unreachable:
		return "unreachable"
	case WarmingUp:
		return "warming up"
	case Usable:
		return "usable"
	case Falseticker:
		return "falseticker"
	case Selected:
		return "selected"
	case Combined:
		return "combined"
	case NoSelect:
		return "noselect"
	case Unconfirmed:
		return "unconfirmed"
	}
	return "unknown"
}

// Verdict on a source: its state and the reason.
type Verdict struct {
	State  State
	Reason Reason
}

// Code says of what kind a reason is.
type Code uint8

// The reasons. What of A, B, N, M, Other and Word each uses, Reason.String shows.
const (
	NoReason Code = iota
	NoAnswer
	NoMaster
	DelayUnknown
	NoUTCOffset
	NoCrossing
	Stale
	Unsynchronized
	Configured
	TooFar
	TooFew
	Disagrees
	HasJumped
	Leads
	JoinsLeader
	LeaderRanksHigher
	LinkDown
	NoClock
	NoMajority
	Denied
	NoPort
	NeedsMajority
	NotAllowed
	JumpedAlone
	Unrelated
	NoAddress
)

// String returns the name that JSON has for the code.
func (c Code) String() string {
	names := [...]string{NoReason: "none", NoAnswer: "no-answer", NoMaster: "no-master", DelayUnknown: "delay-unknown",
		NoUTCOffset: "no-utc-offset", NoCrossing: "no-crossing", Stale: "stale", Unsynchronized: "unsynchronized",
		Configured: "configured", TooFar: "too-far", TooFew: "too-few", Disagrees: "disagrees", HasJumped: "has-jumped",
		Leads: "leads", JoinsLeader: "joins-leader", LeaderRanksHigher: "leader-ranks-higher", LinkDown: "link-down",
		NoClock: "no-clock", NoMajority: "no-majority", Denied: "denied", NoPort: "no-port", NeedsMajority: "needs-majority",
		NotAllowed: "not-allowed", JumpedAlone: "jumped-alone", Unrelated: "unrelated", NoAddress: "no-address"}
	if int(c) < len(names) {
		return names[c]
	}
	return "unknown"
}

// Reason for a verdict. It is cheap to make; String makes the sentence.
type Reason struct {
	Code  Code
	A, B  time.Duration
	N, M  int
	Other ID
	Word  string
}

// String returns a sentence without a full stop.
func (r Reason) String() string {
	switch r.Code {
	case NoAnswer:
		return "no answer"
	case NoMaster:
		return "no master is heard"
	case DelayUnknown:
		return "the path delay is not known yet"
	case NoUTCOffset:
		return "its time cannot be related to UTC: TAI−UTC is unknown, or its timescale is arbitrary"
	case NoCrossing:
		return "its clock has not been compared with the system clock yet"
	case Stale:
		return fmt.Sprintf("last sample is %v old", r.A.Round(100*time.Millisecond))
	case Unsynchronized:
		return "it says that it is not synchronised"
	case Configured:
		return "not to be followed, by configuration"
	case TooFar:
		return fmt.Sprintf("maximum error %v exceeds %v", r.A.Round(time.Microsecond), r.B)
	case TooFew:
		return fmt.Sprintf("%d of %d sources needed agree", r.N, r.M)
	case Disagrees:
		return fmt.Sprintf("offset %v ± %v does not overlap with the %d of %d sources that agree", r.A, r.B, r.N, r.M)
	case HasJumped:
		return fmt.Sprintf("its time has jumped; offset %v is more than the %v to be expected", r.A, r.B)
	case Leads:
		return fmt.Sprintf("best of the %d of %d sources that agree", r.N, r.M)
	case JoinsLeader:
		return "used together with " + string(r.Other)
	case LeaderRanksHigher:
		return string(r.Other) + " ranks higher"
	case LinkDown:
		return "the link is down"
	case NoClock:
		return "the clock that it is measured by is gone"
	case NoMajority:
		return fmt.Sprintf("no majority: %d of %d sources agree", r.N, r.M)
	case NoPort:
		if r.Word == "" {
			return "its port is not open"
		}
		return "its port is of no use: " + r.Word
	case NeedsMajority:
		return fmt.Sprintf("its port is not configured, so it is followed only if %d other sources confirm it; %d do", r.M, r.N)
	case NotAllowed:
		return "no master that its port allows is heard, only others"
	case JumpedAlone:
		return "its time has jumped, and there is no other source"
	case NoAddress:
		return "it has no address yet"
	case Unrelated:
		return "it can be related to no other source; only its PHC is steered"
	case Denied:
		return fmt.Sprintf("it denies its service (%s), and is asked again in %v", r.Word, r.A.Round(time.Second))
	}
	return ""
}
