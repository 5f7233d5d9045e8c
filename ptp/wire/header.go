// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// MessageType is the messageType of IEEE 1588-2019 table 36.
type MessageType uint8

// The message types. Those below 8 are event messages: their passing is timestamped.
const (
	MessageSync               MessageType = 0x0
	MessageDelayReq           MessageType = 0x1
	MessagePdelayReq          MessageType = 0x2
	MessagePdelayResp         MessageType = 0x3
	MessageFollowUp           MessageType = 0x8
	MessageDelayResp          MessageType = 0x9
	MessagePdelayRespFollowUp MessageType = 0xa
	MessageAnnounce           MessageType = 0xb
	MessageSignaling          MessageType = 0xc
	MessageManagement         MessageType = 0xd
)

// MessageTypes is the number of values that a messageType can have, reserved ones included.
const MessageTypes = 16

// Event reports whether messages of this type are timestamped.
func (t MessageType) Event() bool { return t < 8 }

// String returns the standard's name: "Sync", "Delay_Req"; "reserved" for reserved ones.
func (t MessageType) String() string {
	if int(t) < len(messageKinds) && messageKinds[t].name != "" {
		return messageKinds[t].name
	}
	return "reserved"
}

// messageKinds gives each type its name, the size of header and body, and its controlField.
var messageKinds = [MessageTypes]struct {
	name    string
	size    int
	control uint8
}{
	MessageSync:               {"Sync", 44, 0},
	MessageDelayReq:           {"Delay_Req", 44, 1},
	MessagePdelayReq:          {"Pdelay_Req", 54, 5},
	MessagePdelayResp:         {"Pdelay_Resp", 54, 5},
	MessageFollowUp:           {"Follow_Up", 44, 2},
	MessageDelayResp:          {"Delay_Resp", 54, 3},
	MessagePdelayRespFollowUp: {"Pdelay_Resp_Follow_Up", 54, 5},
	MessageAnnounce:           {"Announce", 64, 5},
	MessageSignaling:          {"Signaling", 44, 5},
	MessageManagement:         {"Management", 48, 4},
}

// Flags is the flagField of IEEE 1588-2019 table 37, its first octet in the high bits.
type Flags uint16

// The flags.
const (
	FlagAlternateMaster          Flags = 1 << 8
	FlagTwoStep                  Flags = 1 << 9
	FlagUnicast                  Flags = 1 << 10
	FlagProfileSpecific1         Flags = 1 << 13
	FlagProfileSpecific2         Flags = 1 << 14
	FlagLeap61                   Flags = 1 << 0
	FlagLeap59                   Flags = 1 << 1
	FlagUTCOffsetValid           Flags = 1 << 2
	FlagPTPTimescale             Flags = 1 << 3
	FlagTimeTraceable            Flags = 1 << 4
	FlagFrequencyTraceable       Flags = 1 << 5
	FlagSynchronizationUncertain Flags = 1 << 6
)

// Has reports whether all of g are set.
func (f Flags) Has(g Flags) bool { return f&g == g }

// NoLogInterval is the logMessageInterval of messages that have none (IEEE 1588-2019 §13.3).
const NoLogInterval int8 = 0x7f

// MaxSdoID is the largest sdoId.
const MaxSdoID = 0xfff

const (
	headerSize   = 34
	majorVersion = 2
)

// Header is the common header of all messages (IEEE 1588-2019 §13.3).
type Header struct {
	// Type is set by Parse; when a message is made its Go type decides.
	Type MessageType
	// SdoID has 12 bits: majorSdoId (called transportSpecific in IEEE 1588-2008) in the high 4, minorSdoId in the low 8.
	SdoID uint16
	// MinorVersion is minorVersionPTP: 0 for IEEE 1588-2008, 1 for 2019. The major version is always 2.
	MinorVersion uint8
	Domain       uint8
	Flags        Flags
	// Correction is the correctionField.
	Correction TimeInterval
	// TypeSpecific is messageTypeSpecific, which only internal interfaces of a device use.
	TypeSpecific [4]byte
	// Source is sourcePortIdentity.
	Source     PortIdentity
	SequenceID uint16
	// LogInterval is logMessageInterval, the exponent of 2 of seconds, or NoLogInterval.
	LogInterval int8

	length int
}

// Parse takes the header from a datagram and checks version, type and length. b may be longer than the message:
// transports pad. Errors: ErrTruncated, ErrVersion, ErrType, ErrLength.
func (h *Header) Parse(b []byte) error {
	if len(b) < headerSize {
		return ErrTruncated
	}
	if b[1]&0xf != majorVersion {
		return ErrVersion
	}
	h.Type = MessageType(b[0] & 0xf)
	size := messageKinds[h.Type].size
	if size == 0 {
		return ErrType
	}
	if len(b) < size {
		return ErrTruncated
	}
	h.length = int(binary.BigEndian.Uint16(b[2:]))
	if h.length < size || h.length > len(b) {
		return ErrLength
	}
	h.SdoID = uint16(b[0]>>4)<<8 | uint16(b[5])
	h.MinorVersion = b[1] >> 4
	h.Domain = b[4]
	h.Flags = Flags(binary.BigEndian.Uint16(b[6:]))
	h.Correction = TimeInterval(binary.BigEndian.Uint64(b[8:]))
	copy(h.TypeSpecific[:], b[16:])
	h.Source.parse(b[20:])
	h.SequenceID = binary.BigEndian.Uint16(b[30:])
	h.LogInterval = int8(b[33])
	return nil
}

// append writes the header of a message of type t; messageLength is left to finish.
func (h *Header) append(dst []byte, t MessageType) ([]byte, error) {
	if h.SdoID > MaxSdoID || h.MinorVersion > 0xf {
		return dst, ErrRange
	}
	dst = append(dst, byte(h.SdoID>>8)<<4|byte(t), h.MinorVersion<<4|majorVersion, 0, 0, h.Domain, byte(h.SdoID))
	dst = binary.BigEndian.AppendUint16(dst, uint16(h.Flags))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Correction))
	dst = append(dst, h.TypeSpecific[:]...)
	dst = h.Source.append(dst)
	dst = binary.BigEndian.AppendUint16(dst, h.SequenceID)
	return append(dst, messageKinds[t].control, byte(h.LogInterval)), nil
}

func (p *PortIdentity) parse(b []byte) {
	copy(p.Clock[:], b)
	p.Port = binary.BigEndian.Uint16(b[8:])
}

func (p PortIdentity) append(dst []byte) []byte {
	dst = append(dst, p.Clock[:]...)
	return binary.BigEndian.AppendUint16(dst, p.Port)
}
