// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Sizes of packets in octets.
const (
	// HeaderLen is the length of the header, the whole of a packet without extension fields and MAC (RFC 5905 §7.3).
	HeaderLen = 48
	// MaxLen is the longest packet that Parse takes: what fits an Ethernet frame.
	MaxLen = 1500
	// minFieldLen is the shortest extension field (RFC 7822 §3).
	minFieldLen = 16
	// maxMACLen is the longest message authentication code: what remains after the header is an extension field if it
	// is longer than this (RFC 7822 §3, §7.5.1.4).
	maxMACLen = 24
)

// Version is the protocol version spoken here.
const Version = 4

// Mode is the association mode of a packet (RFC 5905 §7.3).
type Mode uint8

// The modes that matter here.
const (
	// ModeClient: a request to a server.
	ModeClient Mode = 3
	// ModeServer: the answer to it.
	ModeServer Mode = 4
)

// Leap is the leap indicator (RFC 5905 §7.3).
type Leap uint8

// The leap indicators.
const (
	// LeapNone: no leap second is announced.
	LeapNone Leap = 0
	// LeapInsert: the last minute of the day has 61 seconds.
	LeapInsert Leap = 1
	// LeapDelete: the last minute of the day has 59 seconds.
	LeapDelete Leap = 2
	// LeapUnknown: the server is not synchronised.
	LeapUnknown Leap = 3
)

// ReferenceID identifies what a server is synchronised to: four characters at stratum 0 (the kiss code) and 1, an
// address or its hash above.
type ReferenceID [4]byte

// The kiss codes that a client acts upon (RFC 5905 §7.4): the ReferenceID of a kiss-o'-death packet, as text.
const (
	// KissRate: the client asks too often.
	KissRate = "RATE"
	// KissDeny: the server denies the client its service.
	KissDeny = "DENY"
	// KissRstr: the server denies its service by local policy.
	KissRstr = "RSTR"
)

// Text returns the characters for stratum 0 and 1, unprintable ones as '?', and the four octets with dots above.
func (r ReferenceID) Text(stratum uint8) string {
	if stratum > 1 {
		return fmt.Sprintf("%d.%d.%d.%d", r[0], r[1], r[2], r[3])
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, latin1(strings.TrimRight(string(r[:]), "\x00")))
}

// latin1 makes every octet a rune, so that none is lost as invalid UTF-8.
func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

// Header is the packet header (RFC 5905 §7.3), its fields as they are on the wire.
type Header struct {
	Leap    Leap
	Version uint8
	Mode    Mode
	// Stratum: 0 in a kiss-o'-death packet, 1 for a primary server, 16 and above for none.
	Stratum uint8
	// Poll and Precision are exponents of two, in seconds.
	Poll, Precision int8
	// RootDelay and RootDispersion are the server's to its primary reference.
	RootDelay, RootDispersion Short
	ReferenceID               ReferenceID
	// Reference is when the server's clock was last set, Origin the Transmit of the request, Receive and Transmit when
	// the request arrived and the answer left.
	Reference, Origin, Receive, Transmit Timestamp
}

// Append appends the header to b, HeaderLen octets.
func (h *Header) Append(b []byte) []byte {
	b = append(b, byte(h.Leap)<<6|h.Version&7<<3|byte(h.Mode)&7, h.Stratum, byte(h.Poll), byte(h.Precision))
	b = binary.BigEndian.AppendUint32(b, uint32(h.RootDelay))
	b = binary.BigEndian.AppendUint32(b, uint32(h.RootDispersion))
	b = append(b, h.ReferenceID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Reference))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Origin))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Receive))
	return binary.BigEndian.AppendUint64(b, uint64(h.Transmit))
}

// Packet is a datagram taken apart. Its slices alias the datagram.
type Packet struct {
	Header
	// Fields are the extension fields, well-formed.
	Fields Fields
	// MAC is the key identifier and digest at the end; nil if there is none.
	MAC []byte
}

// Parse takes a datagram apart, whatever its mode and version. Extension fields are checked for their lengths only
// (RFC 7822 §3); a MAC is found but not verified. Errors: ErrShort, ErrLong, ErrExtension. It allocates nothing.
func Parse(b []byte) (p Packet, err error) {
	switch {
	case len(b) < HeaderLen:
		return Packet{}, ErrShort
	case len(b) > MaxLen:
		return Packet{}, ErrLong
	}
	p.Header = header(b)
	rest := b[HeaderLen:]
	n := 0
	for len(rest)-n > maxMACLen {
		l := int(binary.BigEndian.Uint16(rest[n+2:]))
		if l < minFieldLen || l%4 != 0 || l > len(rest)-n {
			return Packet{}, ErrExtension
		}
		n += l
	}
	switch len(rest) - n {
	case 0:
	case 4, 20, 24:
		p.MAC = rest[n:]
	default:
		return Packet{}, ErrExtension
	}
	p.Fields = Fields(rest[:n])
	return p, nil
}

func header(b []byte) Header {
	_ = b[HeaderLen-1]
	return Header{
		Leap: Leap(b[0] >> 6), Version: b[0] >> 3 & 7, Mode: Mode(b[0] & 7),
		Stratum: b[1], Poll: int8(b[2]), Precision: int8(b[3]),
		RootDelay:      Short(binary.BigEndian.Uint32(b[4:])),
		RootDispersion: Short(binary.BigEndian.Uint32(b[8:])),
		ReferenceID:    ReferenceID(b[12:16]),
		Reference:      Timestamp(binary.BigEndian.Uint64(b[16:])),
		Origin:         Timestamp(binary.BigEndian.Uint64(b[24:])),
		Receive:        Timestamp(binary.BigEndian.Uint64(b[32:])),
		Transmit:       Timestamp(binary.BigEndian.Uint64(b[40:])),
	}
}

// CryptoNAK reports whether the server says that it could not authenticate the request (RFC 5905 §9.2).
func (p *Packet) CryptoNAK() bool { return len(p.MAC) == 4 && binary.BigEndian.Uint32(p.MAC) == 0 }

// Fields are extension fields one after the other, as Parse found them well-formed.
type Fields []byte

// Next takes the first field off: its type, and its value with the padding. It is not ok when no field is left.
func (f *Fields) Next() (kind uint16, value []byte, ok bool) {
	b := []byte(*f)
	if len(b) < minFieldLen {
		return 0, nil, false
	}
	l := int(binary.BigEndian.Uint16(b[2:]))
	if l < minFieldLen || l > len(b) {
		return 0, nil, false
	}
	*f = Fields(b[l:])
	return binary.BigEndian.Uint16(b), b[4:l], true
}

// AppendField appends an extension field to a packet under construction, padded with zeros to a multiple of four octets
// and to the least length: 28 octets for the last field of a packet without MAC, else 16 (RFC 7822 §3). The field
// must not be longer than 65535 octets.
func AppendField(b []byte, kind uint16, value []byte, last bool) []byte {
	least := minFieldLen
	if last {
		least = maxMACLen + 4
	}
	l := max((4+len(value)+3)&^3, least)
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(l))
	b = append(b, value...)
	for range l - 4 - len(value) {
		b = append(b, 0)
	}
	return b
}
