// SPDX-License-Identifier: Apache-2.0

// Package ntptest has an NTP server for tests, demonstrations and simulations: it answers from what it is told the time
// is, does no input or output, and lies and refuses on demand.
package ntptest

import (
	"time"

	"github.com/lockstep-time/lockstep/ntp/wire"
)

// Server answers requests as an NTPv4 server does (RFC 5905 §9.2), with what its fields say. The fields may be changed
// between requests. It serves one goroutine at a time.
type Server struct {
	// Leap, Stratum, Poll, Precision and ReferenceID are sent as they are.
	Leap            wire.Leap
	Stratum         uint8
	Poll, Precision int8
	ReferenceID     wire.ReferenceID
	// RootDelay and RootDispersion are sent rounded up.
	RootDelay, RootDispersion time.Duration
	// Offset is added to all times that are sent: a lie.
	Offset time.Duration
	// Kiss, of four characters, is sent as a kiss-o'-death in place of every answer.
	Kiss string
	// MinInterval is the least time between requests; those that come sooner get the kiss RATE. 0: none.
	MinInterval time.Duration
	// Dead: nothing is answered.
	Dead bool

	// Requests, Answers and Kisses count what came and what was sent.
	Requests, Answers, Kisses uint64

	latest int64
	buf    [wire.HeaderLen]byte
}

// New returns a Server that has a perfect primary clock with a precision of 2^-30 s.
func New() *Server {
	return &Server{Stratum: 1, Precision: -30, ReferenceID: wire.ReferenceID{'G', 'P', 'S'}}
}

// Respond returns the answer to a request that arrived at rx and is answered at tx, in nanoseconds since 1970 UTC, by a
// right clock. It returns nil if there is none. The answer is valid until the next call.
func (s *Server) Respond(request []byte, rx, tx int64) []byte {
	p, err := wire.Parse(request)
	if err != nil || p.Mode != wire.ModeClient || p.Version < 3 || p.Version > wire.Version || s.Dead {
		return nil
	}
	s.Requests++
	kiss := s.Kiss
	if kiss == "" && s.MinInterval > 0 && s.Requests > 1 && rx-s.latest < int64(s.MinInterval) {
		kiss = "RATE"
	}
	s.latest = rx
	h := wire.Header{
		Leap: s.Leap, Version: p.Version, Mode: wire.ModeServer, Stratum: s.Stratum, Poll: s.Poll, Precision: s.Precision,
		RootDelay: wire.ShortFrom(s.RootDelay), RootDispersion: wire.ShortFrom(s.RootDispersion),
		ReferenceID: s.ReferenceID,
		Reference:   wire.TimestampAt(rx + int64(s.Offset) - int64(time.Second)),
		Origin:      p.Transmit,
		Receive:     wire.TimestampAt(rx + int64(s.Offset)),
		Transmit:    wire.TimestampAt(tx + int64(s.Offset)),
	}
	s.Answers++
	if kiss != "" {
		s.Kisses++
		h.Leap, h.Stratum, h.ReferenceID = wire.LeapUnknown, 0, wire.ReferenceID{}
		copy(h.ReferenceID[:], kiss)
	}
	return h.Append(s.buf[:0])
}
