// SPDX-License-Identifier: Apache-2.0

package ptp_test

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

	"github.com/lockstep-time/lockstep/ptp"
)

type parser interface {
	message
	Parse(b []byte) error
}

// fresh returns an empty message of the type.
func fresh(t ptp.MessageType) parser {
	switch t {
	case ptp.MessageSync:
		return new(ptp.Sync)
	case ptp.MessageDelayReq:
		return new(ptp.DelayReq)
	case ptp.MessagePdelayReq:
		return new(ptp.PdelayReq)
	case ptp.MessagePdelayResp:
		return new(ptp.PdelayResp)
	case ptp.MessageFollowUp:
		return new(ptp.FollowUp)
	case ptp.MessageDelayResp:
		return new(ptp.DelayResp)
	case ptp.MessagePdelayRespFollowUp:
		return new(ptp.PdelayRespFollowUp)
	case ptp.MessageAnnounce:
		return new(ptp.Announce)
	case ptp.MessageSignaling:
		return new(ptp.Signaling)
	case ptp.MessageManagement:
		return new(ptp.Management)
	}
	return nil
}

// random returns octets that are a valid message of the type, apart from what is reserved.
func random(rng *rand.Rand, t ptp.MessageType, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	b[0], b[1] = b[0]&0xf0|byte(t), b[1]&0xf0|2
	b[2], b[3] = 0, byte(size)
	if size >= 44 && t != ptp.MessageSignaling && t != ptp.MessageManagement {
		b[40] &= 0x1f // nanoseconds below 1e9
	}
	return b
}

var sizes = map[ptp.MessageType]int{
	ptp.MessageSync: 44, ptp.MessageDelayReq: 44, ptp.MessagePdelayReq: 54, ptp.MessagePdelayResp: 54,
	ptp.MessageFollowUp: 44, ptp.MessageDelayResp: 54, ptp.MessagePdelayRespFollowUp: 54, ptp.MessageAnnounce: 64,
	ptp.MessageSignaling: 44, ptp.MessageManagement: 48,
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
			if err := again.Parse(append(encode(t, m), 0, 0)); err != nil {
				t.Fatalf("%v: %v", typ, err)
			}
			if d := cmp.Diff(m, again, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(ptp.Header{})); d != "" {
				t.Fatalf("%v: %s", typ, d)
			}
		}
		b := random(rng, typ, size)
		for n := range size {
			if err := fresh(typ).Parse(b[:n]); !errors.Is(err, ptp.ErrTruncated) {
				t.Errorf("%v of %d octets: %v", typ, n, err)
			}
		}
		for _, length := range []int{0, size - 1, size + 1, 65535} {
			b[2], b[3] = byte(length>>8), byte(length)
			if err := fresh(typ).Parse(b); !errors.Is(err, ptp.ErrLength) {
				t.Errorf("%v with messageLength %d: %v", typ, length, err)
			}
		}
		if wrong := fresh((typ + 1) & 1); typ > 1 && !errors.Is(wrong.Parse(random(rng, typ, size)), ptp.ErrType) {
			t.Errorf("%v is taken for another type", typ)
		}
	}
}

// A decoder written by others reads what is made here, and the reverse.
func TestAgainstOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for _, typ := range []ptp.MessageType{ptp.MessageSync, ptp.MessageDelayReq, ptp.MessageFollowUp, ptp.MessageDelayResp, ptp.MessageAnnounce} {
		for range 100 {
			b := random(rng, typ, sizes[typ])
			m := fresh(typ)
			if err := m.Parse(b); err != nil {
				t.Fatal(err)
			}
			made := encode(t, m)
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
	var h ptp.Header
	var o oracle.Header
	switch m := ours.(type) {
	case *ptp.Sync:
		h, o = m.Header, theirs.(*oracle.SyncDelayReq).Header
	case *ptp.DelayReq:
		h, o = m.Header, theirs.(*oracle.SyncDelayReq).Header
	case *ptp.FollowUp:
		h, o = m.Header, theirs.(*oracle.FollowUp).Header
		if s := theirs.(*oracle.FollowUp).PreciseOriginTimestamp.Time(); s.Unix() != int64(m.PreciseOrigin.Seconds) || s.Nanosecond() != int(m.PreciseOrigin.Nanoseconds) {
			t.Errorf("timestamp %v, %v", m.PreciseOrigin, s)
		}
	case *ptp.DelayResp:
		o = theirs.(*oracle.DelayResp).Header
		h = m.Header
		if p := theirs.(*oracle.DelayResp).RequestingPortIdentity; p.PortNumber != m.Requesting.Port {
			t.Errorf("requesting port %v, %v", m.Requesting, p)
		}
	case *ptp.Announce:
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
		o.SourcePortIdentity.PortNumber != h.Source.Port || o.SourcePortIdentity.ClockIdentity.String() != h.Source.Clock.String() ||
		int8(o.LogMessageInterval) != h.LogInterval {
		t.Errorf("header %+v, %+v", h, o)
	}
}

func TestClockAccuracy(t *testing.T) {
	for a := range 256 {
		bound, ok := ptp.ClockAccuracy(a).Bound()
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
	var s ptp.TLVs
	for i := range 3 {
		var err error
		if s, err = s.Append(ptp.TLVType(0x2000+i), make([]byte, 2*i)); err != nil {
			t.Fatal(err)
		}
	}
	a := announce(1, 1)
	a.TLVs = s
	b := append(encode(t, &a), 0xff, 0xff) // padding of UDP over IPv6
	var m ptp.Announce
	if err := m.Parse(b); err != nil {
		t.Fatal(err)
	}
	n := 0
	for tlv, rest, ok := m.TLVs.Next(); ok; tlv, rest, ok = rest.Next() {
		if tlv.Type != ptp.TLVType(0x2000+n) || len(tlv.Value) != 2*n {
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
		if _, err := a.Append(nil); !errors.Is(err, ptp.ErrTLV) {
			t.Errorf("%s is sent: %v", bad, err)
		}
		b := encodeWithSuffix(t, raw)
		if err := m.Parse(b); !errors.Is(err, ptp.ErrTLV) {
			t.Errorf("%s is taken: %v", bad, err)
		}
	}
	if _, err := s.Append(1, []byte{1}); !errors.Is(err, ptp.ErrTLV) {
		t.Error("odd length")
	}
	a.TLVs, _ = ptp.TLVs(nil).Append(1, make([]byte, 0xfffe))
	if _, err := a.Append(nil); !errors.Is(err, ptp.ErrRange) {
		t.Error("message beyond 65535 octets")
	}
}

func encodeWithSuffix(t testing.TB, suffix []byte) []byte {
	a := announce(1, 1)
	b := append(encode(t, &a), suffix...)
	b[3] = byte(len(b))
	return b
}

func TestUnsendable(t *testing.T) {
	dst := []byte("before")
	for _, m := range []message{
		&ptp.Sync{Header: ptp.Header{SdoID: 0x1000}},
		&ptp.Sync{Origin: ptp.Timestamp{Seconds: 1 << 48}},
		&ptp.DelayResp{Receive: ptp.Timestamp{Nanoseconds: 1e9}},
		&ptp.Management{Action: 16},
		&ptp.Signaling{Header: ptp.Header{MinorVersion: 16}},
	} {
		got, err := m.Append(dst)
		if !(errors.Is(err, ptp.ErrRange) || errors.Is(err, ptp.ErrTimestamp)) || string(got) != "before" {
			t.Errorf("%+v: %q, %v", m, got, err)
		}
	}
}

func TestTimestamp(t *testing.T) {
	for _, ns := range []int64{0, 1, 999_999_999, 1e9, epoch, math.MaxInt64 - 2e9} {
		ts, err := ptp.TimestampOf(ns)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ts.Int64(); err != nil || back != ns {
			t.Errorf("%d became %d, %v", ns, back, err)
		}
	}
	if _, err := ptp.TimestampOf(-1); !errors.Is(err, ptp.ErrRange) {
		t.Error("negative")
	}
	for _, s := range []uint64{math.MaxInt64 / 1_000_000_000, 1<<48 - 1, math.MaxUint64} {
		if _, err := (ptp.Timestamp{Seconds: s}).Int64(); !errors.Is(err, ptp.ErrRange) {
			t.Errorf("%d s: %v", s, err)
		}
	}
}

func TestIdentityText(t *testing.T) {
	if got := clientPort.String(); got != "020000.fffe.00000c-1" {
		t.Error(got)
	}
}

func TestInterval(t *testing.T) {
	for _, tc := range []struct {
		c    ptp.TimeInterval
		want time.Duration
	}{{0, 0}, {0x7fff, 0}, {0x8000, 1}, {-0x8000, 0}, {-0x8001, -1}, {1 << 16, 1}, {-1 << 16, -1}, {ptp.TooBig, 1 << 47}} {
		if got := tc.c.Duration(); got != tc.want {
			t.Errorf("%#x: %d, want %d", int64(tc.c), got, tc.want)
		}
	}
	if _, ok := ptp.TooBig.Add(1); ok {
		t.Error("overflow")
	}
	if _, err := ptp.Interval(1 << 48); !errors.Is(err, ptp.ErrRange) {
		t.Error("range")
	}
	if c, err := ptp.Interval(-3); err != nil || c != -3<<16 {
		t.Error(c, err)
	}
}

// FuzzParse: whatever parses can be made again and parses to the same.
func FuzzParse(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 3))
	for typ, size := range sizes {
		f.Add(random(rng, typ, size))
	}
	f.Add(encodeWithSuffix(f, []byte{0, 3, 0, 2, 1, 2}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h ptp.Header
		if h.Parse(b) != nil {
			return
		}
		m := fresh(h.Type)
		if m.Parse(b) != nil {
			return
		}
		again := fresh(h.Type)
		if err := again.Parse(encode(t, m)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m, again, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(ptp.Header{})); d != "" {
			t.Fatal(d)
		}
	})
}
