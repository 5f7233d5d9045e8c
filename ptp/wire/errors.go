// SPDX-License-Identifier: Apache-2.0

package wire

import "errors"

// Reasons for which a message is refused or cannot be made. The codec returns them unwrapped, so that refusing costs no
// allocation.
var (
	// ErrTruncated: the datagram is shorter than a message of its type.
	ErrTruncated = errors.New("ptp: message is truncated")
	// ErrLength: messageLength is shorter than a message of its type or longer than the datagram.
	ErrLength = errors.New("ptp: messageLength does not fit the datagram")
	// ErrVersion: versionPTP is not 2.
	ErrVersion = errors.New("ptp: versionPTP is not 2")
	// ErrType: the messageType is reserved, or not the one that is being parsed.
	ErrType = errors.New("ptp: messageType is reserved or not the expected one")
	// ErrTimestamp: nanosecondsField is 1e9 or more.
	ErrTimestamp = errors.New("ptp: nanosecondsField is not below 1e9")
	// ErrRange: a value is beyond what its field or an int64 of nanoseconds holds.
	ErrRange = errors.New("ptp: value out of range")
	// ErrTLV: a TLV has an odd length or reaches beyond the end of the message.
	ErrTLV = errors.New("ptp: malformed TLV")
)
