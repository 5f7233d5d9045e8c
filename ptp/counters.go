// SPDX-License-Identifier: Apache-2.0

package ptp

import (
	"errors"

	"github.com/lockstep-time/lockstep/ptp/wire"
)

// Reason is why a message or a sample was not used. None of them is a fault of the port.
type Reason uint8

// The reasons.
const (
	accepted Reason = iota
	// ReasonPortDown: the port is faulty or disabled.
	ReasonPortDown
	// ReasonTruncated, ReasonLength, ReasonVersion, ReasonType, ReasonTimestamp and ReasonTLV: ErrTruncated and so on.
	ReasonTruncated
	ReasonLength
	ReasonVersion
	ReasonType
	ReasonTimestamp
	ReasonTLV
	// ReasonRange: the seconds, or an offset made of them, are beyond an int64 of nanoseconds.
	ReasonRange
	// ReasonDomain and ReasonSdoID: not the configured ones.
	ReasonDomain
	ReasonSdoID
	// ReasonOwn: sent by this clock, or announces it as grandmaster.
	ReasonOwn
	// ReasonIdentity: the port number of its sender is none that a port has, 0 or 65535.
	ReasonIdentity
	// ReasonNotUsed: of a type that a client has no use for, or a Delay_Resp to another port.
	ReasonNotUsed
	// ReasonNotParent: from a port that is not the parent.
	ReasonNotParent
	// ReasonAddress: with the parent's identity, and not from its address.
	ReasonAddress
	// ReasonNotAllowed: from a master that PortConfig.Masters does not name.
	ReasonNotAllowed
	// ReasonUnicast: sent to this host alone, and no Delay_Resp.
	ReasonUnicast
	// ReasonRate: more than the port takes per second.
	ReasonRate
	// ReasonDuplicate: the sequenceId has been seen. ReasonStale: it is older than the latest. ReasonAhead: it is further
	// ahead of the latest than the time since explains.
	ReasonDuplicate
	ReasonStale
	ReasonAhead
	// ReasonContested: somebody else sends messages as the parent, and this one does not continue what was measured.
	ReasonContested
	// ReasonStepsRemoved: stepsRemoved is 255 or more (IEEE 1588-2019 §9.3.2.5).
	ReasonStepsRemoved
	// ReasonAlternateMaster: the alternateMasterFlag is set.
	ReasonAlternateMaster
	// ReasonTableFull: every place of the foreign master table is taken by a qualified master.
	ReasonTableFull
	// ReasonUnstamped: an event message without a timestamp.
	ReasonUnstamped
	// ReasonOtherClock: the timestamp is of another clock than the port's.
	ReasonOtherClock
	// ReasonSettling: received so soon after a step that its timestamp may be from before.
	ReasonSettling
	// ReasonCorrection: the correctionField is negative, or 1 s or more, or longer than the round trip.
	ReasonCorrection
	// ReasonNoFollowUp: a Sync whose Follow_Up did not come. ReasonUnmatched: a Follow_Up or Delay_Resp without its
	// Sync or Delay_Req.
	ReasonNoFollowUp
	ReasonUnmatched
	// ReasonNoResponse: a Delay_Req without a Delay_Resp. ReasonNoTransmitStamp: one whose transmit timestamp was lost.
	ReasonNoResponse
	ReasonNoTransmitStamp
	// ReasonSendFailed: a Delay_Req that could not be sent.
	ReasonSendFailed
	// ReasonNoSync: a delay measurement too old to have Sync messages before and after it.
	ReasonNoSync
	// ReasonNegativeDelay and ReasonLongDelay: a path delay below the tolerance, or of 1 s or more.
	ReasonNegativeDelay
	ReasonLongDelay

	// Reasons is the number of reasons.
	Reasons
)

// String returns the name as metrics and status show it, in lower case with underscores.
func (r Reason) String() string {
	if r >= Reasons {
		return "unknown"
	}
	return reasonNames[r]
}

var reasonNames = [Reasons]string{
	accepted:              "accepted",
	ReasonPortDown:        "port_down",
	ReasonTruncated:       "truncated",
	ReasonLength:          "length",
	ReasonVersion:         "version",
	ReasonType:            "type",
	ReasonTimestamp:       "timestamp",
	ReasonTLV:             "tlv",
	ReasonRange:           "range",
	ReasonDomain:          "domain",
	ReasonSdoID:           "sdo_id",
	ReasonOwn:             "own",
	ReasonIdentity:        "identity",
	ReasonNotUsed:         "not_used",
	ReasonNotParent:       "not_parent",
	ReasonAddress:         "address",
	ReasonNotAllowed:      "not_allowed",
	ReasonUnicast:         "unicast",
	ReasonRate:            "rate",
	ReasonDuplicate:       "duplicate",
	ReasonStale:           "stale",
	ReasonAhead:           "ahead",
	ReasonContested:       "contested",
	ReasonStepsRemoved:    "steps_removed",
	ReasonAlternateMaster: "alternate_master",
	ReasonTableFull:       "table_full",
	ReasonUnstamped:       "unstamped",
	ReasonOtherClock:      "other_clock",
	ReasonSettling:        "settling",
	ReasonCorrection:      "correction",
	ReasonNoFollowUp:      "no_follow_up",
	ReasonUnmatched:       "unmatched",
	ReasonNoResponse:      "no_response",
	ReasonNoTransmitStamp: "no_transmit_stamp",
	ReasonSendFailed:      "send_failed",
	ReasonNoSync:          "no_sync",
	ReasonNegativeDelay:   "negative_delay",
	ReasonLongDelay:       "long_delay",
}

// reasonOf returns the reason that stands for an error of the codec.
func reasonOf(err error) Reason {
	switch {
	case err == nil:
		return accepted
	case errors.Is(err, wire.ErrTruncated):
		return ReasonTruncated
	case errors.Is(err, wire.ErrLength):
		return ReasonLength
	case errors.Is(err, wire.ErrVersion):
		return ReasonVersion
	case errors.Is(err, wire.ErrTimestamp):
		return ReasonTimestamp
	case errors.Is(err, wire.ErrTLV):
		return ReasonTLV
	case errors.Is(err, wire.ErrRange):
		return ReasonRange
	}
	return ReasonType
}

// Counters count since the port was made.
type Counters struct {
	// Received and Sent count messages by MessageType. Received are those with a valid header, used or not.
	Received, Sent [wire.MessageTypes]uint64
	// Rejected counts what was not used, by Reason.
	Rejected [Reasons]uint64
	// Conflicts counts what showed that two senders speak as the parent, by Conflict.
	Conflicts [Conflicts]uint64
	// Measurements counts the calls of Output.Measured, Delays the path delays that went into the filter.
	Measurements, Delays uint64
}
