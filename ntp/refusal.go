// SPDX-License-Identifier: Apache-2.0

package ntp

import (
	"errors"

	"github.com/lockstep-time/lockstep/ntp/wire"
)

// Refusal is the reason why a datagram gave no sample. The values are sentinels for errors.Is.
type Refusal uint8

// The reasons. After ErrBogus the datagram carried the cookie of a request, so it came from the server or from somebody
// who saw the request.
const (
	// ErrShort: shorter than a header.
	ErrShort Refusal = iota + 1
	// ErrLong: longer than MaxLen.
	ErrLong
	// ErrExtension: an extension field of impossible length (RFC 7822 §3).
	ErrExtension
	// ErrMode: not an answer of a server.
	ErrMode
	// ErrVersion: neither the version asked with nor version 3.
	ErrVersion
	// ErrBogus: answers no request in flight: spoofed, very late, or to another client (RFC 5905 §8, test 2).
	ErrBogus
	// ErrDuplicate: the request was answered already (RFC 5905 §8, test 1).
	ErrDuplicate
	// ErrCryptoNAK: the server could not authenticate the request.
	ErrCryptoNAK
	// ErrClock: the stamps are not of the expected clock, or that clock was stepped during the exchange.
	ErrClock
	// ErrKiss: a kiss-o'-death packet (RFC 5905 §7.4).
	ErrKiss
	// ErrUnsynchronised: the server says that it has no time.
	ErrUnsynchronised
	// ErrStratum: the stratum is none that a synchronised server has.
	ErrStratum
	// ErrRootDistance: the maximum error is beyond the limit.
	ErrRootDistance
	// ErrServerTime: the server's timestamps are missing or out of order.
	ErrServerTime
	// ErrDelay: the answer took less time than the server needed for it.
	ErrDelay

	refusals
)

// Error returns the reason as a clause.
func (r Refusal) Error() string {
	switch r {
	case ErrShort:
		return "packet shorter than an NTP header"
	case ErrLong:
		return "packet too long"
	case ErrExtension:
		return "malformed extension field"
	case ErrMode:
		return "not an answer of a server"
	case ErrVersion:
		return "unsupported NTP version"
	case ErrBogus:
		return "answers no request"
	case ErrDuplicate:
		return "duplicate answer"
	case ErrCryptoNAK:
		return "server could not authenticate the request"
	case ErrClock:
		return "timestamps of another clock or across a step"
	case ErrKiss:
		return "kiss-o'-death"
	case ErrUnsynchronised:
		return "server is not synchronised"
	case ErrStratum:
		return "invalid stratum"
	case ErrRootDistance:
		return "root distance beyond the limit"
	case ErrServerTime:
		return "server timestamps missing or out of order"
	case ErrDelay:
		return "negative delay"
	}
	return "not refused"
}

// refusalOf returns the reason that stands for an error of Parse.
func refusalOf(err error) Refusal {
	switch {
	case errors.Is(err, wire.ErrShort):
		return ErrShort
	case errors.Is(err, wire.ErrLong):
		return ErrLong
	}
	return ErrExtension
}

// Refusals counts datagrams by the reason of their refusal.
type Refusals [refusals]uint64

// Total returns the sum over all reasons.
func (r *Refusals) Total() (n uint64) {
	for _, k := range r {
		n += k
	}
	return n
}

// Each calls f for each reason that occurred.
func (r *Refusals) Each(f func(reason Refusal, n uint64)) {
	for i, n := range r {
		if n > 0 {
			f(Refusal(i), n)
		}
	}
}
