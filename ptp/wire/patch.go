// SPDX-License-Identifier: Apache-2.0

package wire

import "encoding/binary"

// A transparent clock changes messages that it passes on. The functions below do so in place; message is a datagram from
// which Header.Parse has taken a header, or one of at least as many octets.

// AddCorrection adds c to the correctionField of message. A sum that overflows wraps.
func AddCorrection(message []byte, c TimeInterval) {
	field := message[8:16]
	binary.BigEndian.PutUint64(field, binary.BigEndian.Uint64(field)+uint64(c))
}

// SetFlags sets f in the flagField of message.
func SetFlags(message []byte, f Flags) {
	field := message[6:8]
	binary.BigEndian.PutUint16(field, binary.BigEndian.Uint16(field)|uint16(f))
}
