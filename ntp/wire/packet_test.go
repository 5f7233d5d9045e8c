// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/facebook/time/ntp/protocol"
	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-time/lockstep/ntp/wire"
)

func randomHeader(rng *rand.Rand) wire.Header {
	return wire.Header{
		Leap: wire.Leap(rng.UintN(4)), Version: uint8(rng.UintN(8)), Mode: wire.Mode(rng.UintN(8)),
		Stratum: uint8(rng.Uint32()), Poll: int8(rng.Uint32()), Precision: int8(rng.Uint32()),
		RootDelay: wire.Short(rng.Uint32()), RootDispersion: wire.Short(rng.Uint32()),
		ReferenceID: wire.ReferenceID{byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32())},
		Reference:   wire.Timestamp(rng.Uint64()), Origin: wire.Timestamp(rng.Uint64()),
		Receive: wire.Timestamp(rng.Uint64()), Transmit: wire.Timestamp(rng.Uint64()),
	}
}

func TestHeaderAgreesWithOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		h := randomHeader(rng)
		b := h.Append(nil)
		p, err := wire.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(h, p.Header); d != "" {
			t.Fatal(d)
		}
		oracle, err := protocol.BytesToPacket(b)
		if err != nil {
			t.Fatal(err)
		}
		want := &protocol.Packet{
			Settings: uint8(h.Leap)<<6 | h.Version<<3 | uint8(h.Mode), Stratum: h.Stratum, Poll: h.Poll,
			Precision: h.Precision, RootDelay: uint32(h.RootDelay), RootDispersion: uint32(h.RootDispersion),
			ReferenceID: uint32(h.ReferenceID[0])<<24 | uint32(h.ReferenceID[1])<<16 |
				uint32(h.ReferenceID[2])<<8 | uint32(h.ReferenceID[3]),
			RefTimeSec: uint32(h.Reference >> 32), RefTimeFrac: uint32(h.Reference),
			OrigTimeSec: uint32(h.Origin >> 32), OrigTimeFrac: uint32(h.Origin),
			RxTimeSec: uint32(h.Receive >> 32), RxTimeFrac: uint32(h.Receive),
			TxTimeSec: uint32(h.Transmit >> 32), TxTimeFrac: uint32(h.Transmit),
		}
		if d := cmp.Diff(want, oracle); d != "" {
			t.Fatal(d)
		}
	}
}

func TestParseLengths(t *testing.T) {
	header := make([]byte, wire.HeaderLen)
	field := func(n int, last bool) []byte { return wire.AppendField(nil, 0x0104, make([]byte, n), last) }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name        string
		b           []byte
		want        error
		fields, mac int
	}{
		{"empty", nil, wire.ErrShort, 0, 0},
		{"short", header[:47], wire.ErrShort, 0, 0},
		{"header", header, nil, 0, 0},
		{"crypto-NAK", join(header, make([]byte, 4)), nil, 0, 4},
		{"MD5", join(header, make([]byte, 20)), nil, 0, 20},
		{"SHA1", join(header, make([]byte, 24)), nil, 0, 24},
		{"odd rest", join(header, make([]byte, 8)), wire.ErrExtension, 0, 0},
		{"one octet", join(header, make([]byte, 1)), wire.ErrExtension, 0, 0},
		{"field of length 0", join(header, make([]byte, 28)), wire.ErrExtension, 0, 0},
		{"field", join(header, field(1, true)), nil, 1, 0},
		{"two fields", join(header, field(30, false), field(40, true)), nil, 2, 0},
		{"fields and MAC", join(header, field(3, false), field(1, false), make([]byte, 20)), nil, 2, 20},
		{"field too long", join(header, []byte{1, 4, 0, 32}, make([]byte, 24)), wire.ErrExtension, 0, 0},
		{"field of odd length", join(header, []byte{1, 4, 0, 29}, make([]byte, 28)), wire.ErrExtension, 0, 0},
		{"longest", join(header, field(wire.MaxLen-48-4, true)), nil, 1, 0},
		{"too long", make([]byte, wire.MaxLen+1), wire.ErrLong, 0, 0},
	} {
		p, err := wire.Parse(c.b)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got error %v, want %v", c.name, err, c.want)
			continue
		}
		n := 0
		for fields := p.Fields; ; n++ {
			kind, _, ok := fields.Next()
			if !ok {
				break
			}
			if kind != 0x0104 {
				t.Errorf("%s: field type %#x", c.name, kind)
			}
		}
		if n != c.fields || len(p.MAC) != c.mac {
			t.Errorf("%s: %d fields, MAC of %d", c.name, n, len(p.MAC))
		}
		if p.CryptoNAK() != (c.name == "crypto-NAK") {
			t.Errorf("%s: CryptoNAK is %v", c.name, p.CryptoNAK())
		}
	}
}

func TestReferenceIDText(t *testing.T) {
	for _, c := range []struct {
		id      wire.ReferenceID
		stratum uint8
		want    string
	}{
		{wire.ReferenceID{'G', 'P', 'S'}, 1, "GPS"}, {wire.ReferenceID{'R', 'A', 'T', 'E'}, 0, "RATE"},
		{wire.ReferenceID{192, 0, 2, 1}, 2, "192.0.2.1"}, {wire.ReferenceID{'A', 0x1b, 0xff, '\n'}, 1, "A???"},
	} {
		if got := c.id.Text(c.stratum); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	b := wire.AppendField((&wire.Header{Mode: wire.ModeServer}).Append(nil), 1, make([]byte, 100), true)
	if n := testing.AllocsPerRun(100, func() {
		p, err := wire.Parse(b)
		if _, _, ok := p.Fields.Next(); err != nil || !ok {
			t.Fatal("not parsed")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	header := (&wire.Header{Version: 4, Mode: wire.ModeServer}).Append(nil)
	f.Add(header)
	f.Add(append(bytes.Clone(header), 0, 0, 0, 0))
	f.Add(wire.AppendField(bytes.Clone(header), 0x0204, []byte("cookie"), true))
	f.Add(append(wire.AppendField(bytes.Clone(header), 0x0104, make([]byte, 32), false), make([]byte, 24)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := wire.Parse(b)
		if err != nil {
			if !errors.Is(err, wire.ErrShort) && !errors.Is(err, wire.ErrLong) && !errors.Is(err, wire.ErrExtension) {
				t.Fatal(err)
			}
			return
		}
		again := p.Header.Append(nil)
		if !bytes.Equal(again, b[:wire.HeaderLen]) {
			t.Fatal("header is not what was parsed")
		}
		n := wire.HeaderLen + len(p.MAC)
		for fields := p.Fields; ; {
			_, value, ok := fields.Next()
			if !ok {
				break
			}
			n += 4 + len(value)
		}
		if n != len(b) {
			t.Fatalf("%d of %d octets accounted for", n, len(b))
		}
	})
}
