// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"math"
)

const (
	timestampSize = 10
	nsPerSecond   = 1_000_000_000
	maxSeconds    = 1<<48 - 1
)

// Timestamp is an instant of the grandmaster's timescale as messages carry it (IEEE 1588-2019 §5.3.3).
type Timestamp struct {
	// Seconds since the epoch, of which 48 bits are sent.
	Seconds uint64
	// Nanoseconds of the second, below 1e9.
	Nanoseconds uint32
}

// TimestampOf returns ns nanoseconds since the epoch as a Timestamp, or ErrRange if ns is negative.
func TimestampOf(ns int64) (Timestamp, error) {
	if ns < 0 {
		return Timestamp{}, ErrRange
	}
	return Timestamp{uint64(ns / nsPerSecond), uint32(ns % nsPerSecond)}, nil
}

// Int64 returns t in nanoseconds since the epoch, or ErrRange if an int64 does not hold it: from the year 2262 on.
func (t Timestamp) Int64() (ns int64, err error) {
	if t.Nanoseconds >= nsPerSecond {
		return 0, ErrTimestamp
	}
	if t.Seconds > math.MaxInt64/nsPerSecond-1 {
		return 0, ErrRange
	}
	return int64(t.Seconds)*nsPerSecond + int64(t.Nanoseconds), nil
}

// parse takes a Timestamp from the first ten octets of b.
func (t *Timestamp) parse(b []byte) error {
	_ = b[timestampSize-1]
	t.Seconds = uint64(binary.BigEndian.Uint16(b))<<32 | uint64(binary.BigEndian.Uint32(b[2:]))
	t.Nanoseconds = binary.BigEndian.Uint32(b[6:])
	if t.Nanoseconds >= nsPerSecond {
		return ErrTimestamp
	}
	return nil
}

func (t Timestamp) append(dst []byte) ([]byte, error) {
	if t.Seconds > maxSeconds {
		return dst, ErrRange
	}
	if t.Nanoseconds >= nsPerSecond {
		return dst, ErrTimestamp
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(t.Seconds>>32))
	dst = binary.BigEndian.AppendUint32(dst, uint32(t.Seconds))
	return binary.BigEndian.AppendUint32(dst, t.Nanoseconds), nil
}
