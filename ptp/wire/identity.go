// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"strconv"
)

// ClockIdentity names a clock (IEEE 1588-2019 §5.3.4), an EUI-64 or made of an EUI-48.
type ClockIdentity [8]byte

// ClockIdentityFromMAC makes an identity of an EUI-48 by putting FFFE in its middle (IEEE 1588-2019 §7.5.2.2.2).
func ClockIdentityFromMAC(mac [6]byte) ClockIdentity {
	return ClockIdentity{mac[0], mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]}
}

// String returns the identity as "001122.fffe.334455".
func (c ClockIdentity) String() string {
	s := hex.EncodeToString(c[:])
	return s[:6] + "." + s[6:10] + "." + s[10:]
}

// MarshalText makes JSON show what String returns.
func (c ClockIdentity) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Compare orders identities as the best master clock algorithm does, octet by octet, most significant first
// (IEEE 1588-2019 §7.5.2.4): negative if c is lower.
func (c ClockIdentity) Compare(d ClockIdentity) int { return bytes.Compare(c[:], d[:]) }

// PortIdentity names a port of a clock (IEEE 1588-2019 §5.3.5). Ports are counted from 1.
type PortIdentity struct {
	Clock ClockIdentity
	Port  uint16
}

// String returns the identity as "001122.fffe.334455-1".
func (p PortIdentity) String() string { return p.Clock.String() + "-" + strconv.Itoa(int(p.Port)) }

// MarshalText makes JSON show what String returns.
func (p PortIdentity) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Compare orders by clock identity, then by port number: negative if p is lower.
func (p PortIdentity) Compare(q PortIdentity) int {
	return cmp.Or(p.Clock.Compare(q.Clock), cmp.Compare(p.Port, q.Port))
}

// ClockQuality is what a grandmaster says of itself (IEEE 1588-2019 §5.3.7).
type ClockQuality struct {
	// Class is the clockClass of §7.6.2.5; lower is better: 6 is locked to a primary reference.
	Class uint8
	// Accuracy is the clockAccuracy of §7.6.2.6.
	Accuracy ClockAccuracy
	// OffsetScaledLogVariance is the stability of §7.6.3.5; lower is better.
	OffsetScaledLogVariance uint16
}

// TimeProperties is the timePropertiesDS (IEEE 1588-2019 §8.2.4): how a grandmaster's time relates to UTC and TAI.
type TimeProperties struct {
	// UTCOffset is TAI − UTC in seconds, to be believed only if UTCOffsetValid.
	UTCOffset      int16
	UTCOffsetValid bool
	// Leap61 and Leap59: the last minute of the UTC day has 61 or 59 seconds.
	Leap61, Leap59 bool
	// TimeTraceable and FrequencyTraceable: traceable to a primary reference.
	TimeTraceable, FrequencyTraceable bool
	// PTPTimescale: the time is TAI; otherwise the timescale is arbitrary (ARB).
	PTPTimescale bool
	// Source is the timeSource of table 6.
	Source TimeSource
}

// TimeSource is where a grandmaster has its time from (IEEE 1588-2019 table 6).
type TimeSource uint8

// The values of timeSource.
const (
	TimeSourceAtomicClock        TimeSource = 0x10
	TimeSourceGNSS               TimeSource = 0x20
	TimeSourceTerrestrialRadio   TimeSource = 0x30
	TimeSourceSerialTimeCode     TimeSource = 0x39
	TimeSourcePTP                TimeSource = 0x40
	TimeSourceNTP                TimeSource = 0x50
	TimeSourceHandSet            TimeSource = 0x60
	TimeSourceOther              TimeSource = 0x90
	TimeSourceInternalOscillator TimeSource = 0xa0
)
