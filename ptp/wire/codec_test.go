// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	oracle "github.com/facebook/time/ptp/protocol"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lockstep-time/lockstep/ptp/wire"
)

type appender interface {
	Append(dst []byte) ([]byte, error)
}

type parser interface {
	appender
	Parse(b []byte) error
}

func octets(t testing.TB, m appender) []byte {
	t.Helper()
	b, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func someAnnounce() wire.Announce {
	id := wire.PortIdentity{Clock: wire.ClockIdentityFromMAC([6]byte{2, 0, 0, 0, 0, 1}), Port: 1}
	return wire.Announce{
		Header:    wire.Header{Source: id, SequenceID: 1},
		Priority1: 128, Quality: wire.ClockQuality{Class: 6, Accuracy: 0x21, OffsetScaledLogVariance: 0x4e5d}, Priority2: 128,
		Grandmaster: id.Clock,
	}
}

// fresh returns an empty message of the type.
func fresh(t wire.MessageType) parser {
	switch t {
	case wire.MessageSync:
		return new(wire.Sync)
	case wire.MessageDelayReq:
		return new(wire.DelayReq)
	case wire.MessagePdelayReq:
		return new(wire.PdelayReq)
	case wire.MessagePdelayResp:
		return new(wire.PdelayResp)
	case wire.MessageFollowUp:
		return new(wire.FollowUp)
	case wire.MessageDelayResp:
		return new(wire.DelayResp)
	case wire.MessagePdelayRespFollowUp:
		return new(wire.PdelayRespFollowUp)
	case wire.MessageAnnounce:
		return new(wire.Announce)
	case wire.MessageSignaling:
		return new(wire.Signaling)
	case wire.MessageManagement:
		return new(wire.Management)
	}
	return nil
}

// random returns octets that are a valid message of the type, apart from what is reserved.
func random(rng *rand.Rand, t wire.MessageType, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	b[0], b[1] = b[0]&0xf0|byte(t), b[1]&0xf0|2
	b[2], b[3] = 0, byte(size)
	if size >= 44 && t != wire.MessageSignaling && t != wire.MessageManagement {
		b[40] &= 0x1f // nanoseconds below 1e9
	}
	return b
}

var sizes = map[wire.MessageType]int{
	wire.MessageSync: 44, wire.MessageDelayReq: 44, wire.MessagePdelayReq: 54, wire.MessagePdelayResp: 54,
	wire.MessageFollowUp: 44, wire.MessageDelayResp: 54, wire.MessagePdelayRespFollowUp: 54, wire.MessageAnnounce: 64,
	wire.MessageSignaling: 44, wire.MessageManagement: 48,
}

// What is parsed and made again is what it was, for all types, and no length but the right ones is taken.
func TestRoundTripAndLengths(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for typ, size := range sizes {
		for range 200 {
			b := random(rng, typ, size)
			m := fresh(typ)
			if err := m.Parse(b); err != nil {
				t.Fatalf("%v: %v", typ, err)
			}
			again := fresh(typ)
			if err := again.Parse(append(octets(t, m), 0, 0)); err != nil {
				t.Fatalf("%v: %v", typ, err)
			}
			if d := cmp.Diff(m, again, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(wire.Header{})); d != "" {
				t.Fatalf("%v: %s", typ, d)
			}
		}
		b := random(rng, typ, size)
		for n := range size {
			if err := fresh(typ).Parse(b[:n]); !errors.Is(err, wire.ErrTruncated) {
				t.Errorf("%v of %d octets: %v", typ, n, err)
			}
		}
		for _, length := range []int{0, size - 1, size + 1, 65535} {
			b[2], b[3] = byte(length>>8), byte(length)
			if err := fresh(typ).Parse(b); !errors.Is(err, wire.ErrLength) {
				t.Errorf("%v with messageLength %d: %v", typ, length, err)
			}
		}
		if wrong := fresh((typ + 1) & 1); typ > 1 && !errors.Is(wrong.Parse(random(rng, typ, size)), wire.ErrType) {
			t.Errorf("%v is taken for another type", typ)
		}
	}
}

// A decoder written by others reads what is made here, and the reverse.
func TestAgainstOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for _, typ := range []wire.MessageType{wire.MessageSync, wire.MessageDelayReq, wire.MessageFollowUp, wire.MessageDelayResp,
		wire.MessageAnnounce} {
		for range 100 {
			b := random(rng, typ, sizes[typ])
			m := fresh(typ)
			if err := m.Parse(b); err != nil {
				t.Fatal(err)
			}
			made := octets(t, m)
			theirs, err := oracle.DecodePacket(made)
			if err != nil {
				t.Fatalf("%v: %v", typ, err)
			}
			compareWithOracle(t, m, theirs)
			back, err := oracle.Bytes(theirs)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(back[:len(made)], made) {
				t.Fatalf("%v: %x made %x", typ, made, back)
			}
		}
	}
}

func compareWithOracle(t *testing.T, ours parser, theirs oracle.Packet) {
	t.Helper()
	var h wire.Header
	var o oracle.Header
	switch m := ours.(type) {
	case *wire.Sync:
		h, o = m.Header, theirs.(*oracle.SyncDelayReq).Header
	case *wire.DelayReq:
		h, o = m.Header, theirs.(*oracle.SyncDelayReq).Header
	case *wire.FollowUp:
		h, o = m.Header, theirs.(*oracle.FollowUp).Header
		if s := theirs.(*oracle.FollowUp).PreciseOriginTimestamp.Time(); s.Unix() != int64(m.PreciseOrigin.Seconds) ||
			s.Nanosecond() != int(m.PreciseOrigin.Nanoseconds) {
			t.Errorf("timestamp %v, %v", m.PreciseOrigin, s)
		}
	case *wire.DelayResp:
		o = theirs.(*oracle.DelayResp).Header
		h = m.Header
		if p := theirs.(*oracle.DelayResp).RequestingPortIdentity; p.PortNumber != m.Requesting.Port {
			t.Errorf("requesting port %v, %v", m.Requesting, p)
		}
	case *wire.Announce:
		a := theirs.(*oracle.Announce)
		h, o = m.Header, a.Header
		if a.CurrentUTCOffset != m.UTCOffset || a.GrandmasterPriority1 != m.Priority1 || a.GrandmasterPriority2 != m.Priority2 ||
			uint8(a.GrandmasterClockQuality.ClockClass) != m.Quality.Class || a.StepsRemoved != m.StepsRemoved ||
			a.GrandmasterIdentity.String() != m.Grandmaster.String() || uint8(a.TimeSource) != uint8(m.TimeSource) ||
			a.GrandmasterClockQuality.OffsetScaledLogVariance != m.Quality.OffsetScaledLogVariance {
			t.Errorf("announce %+v, %+v", m, a)
		}
	}
	if uint8(o.MessageType()) != uint8(h.Type) || uint16(o.SdoIDAndMsgType>>4)<<8|uint16(o.MinorSdoID) != h.SdoID ||
		o.Version>>4 != h.MinorVersion || o.DomainNumber != h.Domain || o.FlagField != uint16(h.Flags) ||
		int64(o.CorrectionField) != int64(h.Correction) || o.SequenceID != h.SequenceID ||
		o.SourcePortIdentity.PortNumber != h.Source.Port ||
		o.SourcePortIdentity.ClockIdentity.String() != h.Source.Clock.String() ||
		int8(o.LogMessageInterval) != h.LogInterval {
		t.Errorf("header %+v, %+v", h, o)
	}
}

func TestClockAccuracy(t *testing.T) {
	for a := range 256 {
		bound, ok := wire.ClockAccuracy(a).Bound()
		if a >= 0x20 && a <= 0x30 {
			if want := oracle.ClockAccuracy(a).Duration(); !ok || bound != want {
				t.Errorf("%#x: %v, want %v", a, bound, want)
			}
		} else if (a >= 0x17 && a < 0x20) != ok || ok && bound > 10 {
			t.Errorf("%#x: %v %v", a, bound, ok)
		}
	}
}

func TestTLVs(t *testing.T) {
	var s wire.TLVs
	for i := range 3 {
		var err error
		if s, err = s.Append(wire.TLVType(0x2000+i), make([]byte, 2*i)); err != nil {
			t.Fatal(err)
		}
	}
	a := someAnnounce()
	a.TLVs = s
	b := append(octets(t, &a), 0xff, 0xff) // padding of UDP over IPv6
	var m wire.Announce
	if err := m.Parse(b); err != nil {
		t.Fatal(err)
	}
	n := 0
	for tlv, rest, ok := m.TLVs.Next(); ok; tlv, rest, ok = rest.Next() {
		if tlv.Type != wire.TLVType(0x2000+n) || len(tlv.Value) != 2*n {
			t.Errorf("TLV %d: %+v", n, tlv)
		}
		n++
	}
	if n != 3 {
		t.Errorf("%d TLVs", n)
	}
	for _, bad := range []string{"00", "000300", "00030001ff", "00030002ff", "0003ffff", "00030000ff"} {
		raw, _ := hex.DecodeString(bad)
		a.TLVs = raw
		if _, err := a.Append(nil); !errors.Is(err, wire.ErrTLV) {
			t.Errorf("%s is sent: %v", bad, err)
		}
		b := withSuffix(t, raw)
		if err := m.Parse(b); !errors.Is(err, wire.ErrTLV) {
			t.Errorf("%s is taken: %v", bad, err)
		}
	}
	if _, err := s.Append(1, []byte{1}); !errors.Is(err, wire.ErrTLV) {
		t.Error("odd length")
	}
	a.TLVs, _ = wire.TLVs(nil).Append(1, make([]byte, 0xfffe))
	if _, err := a.Append(nil); !errors.Is(err, wire.ErrRange) {
		t.Error("message beyond 65535 octets")
	}
}

func withSuffix(t testing.TB, suffix []byte) []byte {
	a := someAnnounce()
	b := append(octets(t, &a), suffix...)
	b[3] = byte(len(b))
	return b
}

func TestUnsendable(t *testing.T) {
	dst := []byte("before")
	for _, m := range []appender{
		&wire.Sync{Header: wire.Header{SdoID: 0x1000}},
		&wire.Sync{Origin: wire.Timestamp{Seconds: 1 << 48}},
		&wire.DelayResp{Receive: wire.Timestamp{Nanoseconds: 1e9}},
		&wire.Management{Action: 16},
		&wire.Signaling{Header: wire.Header{MinorVersion: 16}},
	} {
		got, err := m.Append(dst)
		if !(errors.Is(err, wire.ErrRange) || errors.Is(err, wire.ErrTimestamp)) || string(got) != "before" {
			t.Errorf("%+v: %q, %v", m, got, err)
		}
	}
}

func TestTimestamp(t *testing.T) {
	for _, ns := range []int64{0, 1, 999_999_999, 1e9, 1_700_000_000e9, math.MaxInt64 - 2e9} {
		ts, err := wire.TimestampOf(ns)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ts.Int64(); err != nil || back != ns {
			t.Errorf("%d became %d, %v", ns, back, err)
		}
	}
	if _, err := wire.TimestampOf(-1); !errors.Is(err, wire.ErrRange) {
		t.Error("negative")
	}
	for _, s := range []uint64{math.MaxInt64 / 1_000_000_000, 1<<48 - 1, math.MaxUint64} {
		if _, err := (wire.Timestamp{Seconds: s}).Int64(); !errors.Is(err, wire.ErrRange) {
			t.Errorf("%d s: %v", s, err)
		}
	}
}

func TestIdentityText(t *testing.T) {
	port := wire.PortIdentity{Clock: wire.ClockIdentityFromMAC([6]byte{2, 0, 0, 0, 0, 0xc}), Port: 1}
	if got := port.String(); got != "020000.fffe.00000c-1" {
		t.Error(got)
	}
}

func TestInterval(t *testing.T) {
	for _, tc := range []struct {
		c    wire.TimeInterval
		want time.Duration
	}{{0, 0}, {0x7fff, 0}, {0x8000, 1}, {-0x8000, 0}, {-0x8001, -1}, {1 << 16, 1}, {-1 << 16, -1}, {wire.TooBig, 1 << 47}} {
		if got := tc.c.Duration(); got != tc.want {
			t.Errorf("%#x: %d, want %d", int64(tc.c), got, tc.want)
		}
	}
	if _, ok := wire.TooBig.Add(1); ok {
		t.Error("overflow")
	}
	if _, err := wire.IntervalOf(1 << 48); !errors.Is(err, wire.ErrRange) {
		t.Error("range")
	}
	if c, err := wire.IntervalOf(-3); err != nil || c != -3<<16 {
		t.Error(c, err)
	}
}

// A message that is changed in place differs in the two fields, and in nothing else.
func TestChangesInPlace(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for typ, size := range sizes {
		b := random(rng, typ, size)
		before := bytes.Clone(b)
		var want, got wire.Header
		if err := want.Parse(b); err != nil {
			t.Fatal(err)
		}
		want.Correction -= 3 << 16
		want.Flags |= wire.FlagTwoStep | wire.FlagLeap59
		wire.AddCorrection(b, -3<<16)
		wire.SetFlags(b, wire.FlagTwoStep|wire.FlagLeap59)
		if err := got.Parse(b); err != nil || got != want {
			t.Errorf("%v: %+v, %v; want %+v", typ, got, err, want)
		}
		if !bytes.Equal(b[:6], before[:6]) || !bytes.Equal(b[16:], before[16:]) {
			t.Errorf("%v: %x became %x", typ, before, b)
		}
	}
}

// FuzzParse: whatever parses can be made again and parses to the same.
func FuzzParse(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 3))
	for typ, size := range sizes {
		f.Add(random(rng, typ, size))
	}
	f.Add(withSuffix(f, []byte{0, 3, 0, 2, 1, 2}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h wire.Header
		if h.Parse(b) != nil {
			return
		}
		m := fresh(h.Type)
		if m.Parse(b) != nil {
			return
		}
		again := fresh(h.Type)
		if err := again.Parse(octets(t, m)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m, again, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(wire.Header{})); d != "" {
			t.Fatal(d)
		}
	})
}
