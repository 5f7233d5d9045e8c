// SPDX-License-Identifier: Apache-2.0

package wire

import "errors"

// What Parse finds wrong. It returns the errors unwrapped, so that refusing costs no allocation.
var (
	// ErrShort: shorter than a header.
	ErrShort = errors.New("ntp: packet shorter than a header")
	// ErrLong: longer than MaxLen.
	ErrLong = errors.New("ntp: packet too long")
	// ErrExtension: an extension field of impossible length (RFC 7822 §3).
	ErrExtension = errors.New("ntp: malformed extension field")
)
