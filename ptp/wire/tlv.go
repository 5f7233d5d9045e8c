// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// TLVType is a tlvType of IEEE 1588-2019 table 52.
type TLVType uint16

// Some of the types.
const (
	TLVManagement                   TLVType = 0x0001
	TLVManagementErrorStatus        TLVType = 0x0002
	TLVOrganizationExtension        TLVType = 0x0003
	TLVRequestUnicastTransmission   TLVType = 0x0004
	TLVGrantUnicastTransmission     TLVType = 0x0005
	TLVCancelUnicastTransmission    TLVType = 0x0006
	TLVAckCancelUnicastTransmission TLVType = 0x0007
	TLVPathTrace                    TLVType = 0x0008
	TLVAlternateTimeOffsetIndicator TLVType = 0x0009
	TLVAuthentication               TLVType = 0x8009
)

const tlvHeaderSize = 4

// TLV is one extension of a message (IEEE 1588-2019 §14.1). Value is part of the datagram it was read from.
type TLV struct {
	Type  TLVType
	Value []byte
}

// TLVs is the suffix of a message: its TLVs one after the other as they stand in the datagram.
type TLVs []byte

// Next returns the first TLV and those after it. Not ok at the end, or where s is malformed: see Check.
// A reader skips the types that it does not know.
func (s TLVs) Next() (t TLV, rest TLVs, ok bool) {
	if len(s) < tlvHeaderSize {
		return TLV{}, s, false
	}
	n := int(binary.BigEndian.Uint16(s[2:]))
	if n%2 != 0 || n > len(s)-tlvHeaderSize {
		return TLV{}, s, false
	}
	end := tlvHeaderSize + n
	return TLV{TLVType(binary.BigEndian.Uint16(s)), s[tlvHeaderSize:end]}, s[end:], true
}

// Check returns ErrTLV unless s is a whole number of well-formed TLVs.
func (s TLVs) Check() error {
	for ok := true; ok; {
		_, s, ok = s.Next()
	}
	if len(s) != 0 {
		return ErrTLV
	}
	return nil
}

// Append adds a TLV at the end and returns the longer suffix, or ErrTLV if the value's length is odd or beyond 65534.
func (s TLVs) Append(t TLVType, value []byte) (TLVs, error) {
	if len(value)%2 != 0 || len(value) > 0xfffe {
		return s, ErrTLV
	}
	s = binary.BigEndian.AppendUint16(s, uint16(t))
	s = binary.BigEndian.AppendUint16(s, uint16(len(value)))
	return append(s, value...), nil
}
