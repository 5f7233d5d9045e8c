// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"encoding/binary"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// message encodes one control message.
func message(level, typ int32, data []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = level, typ
	h.SetLen(unix.CmsgLen(len(data)))
	copy(b[unix.CmsgLen(0):], data)
	return b
}

func stampData(kernelSec, kernelNS, hardwareSec, hardwareNS int64) []byte {
	b := make([]byte, 48)
	for i, v := range map[int]int64{0: kernelSec, 8: kernelNS, 32: hardwareSec, 40: hardwareNS} {
		binary.NativeEndian.PutUint64(b[i:], uint64(v))
	}
	return b
}

func extendedErr(origin byte, info, id uint32) []byte {
	b := make([]byte, 16)
	b[4] = origin
	binary.NativeEndian.PutUint32(b[8:], info)
	binary.NativeEndian.PutUint32(b[12:], id)
	return b
}

func join(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func TestParseControl(t *testing.T) {
	stamps := message(unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, stampData(1, 2, 3, 4))
	const kernel, hardware = 1_000_000_002, 3_000_000_004
	info4 := make([]byte, unix.SizeofInet4Pktinfo)
	binary.NativeEndian.PutUint32(info4, 7)
	info6 := make([]byte, unix.SizeofInet6Pktinfo)
	binary.NativeEndian.PutUint32(info6[16:], 8)
	tests := map[string]struct {
		b    []byte
		want control
	}{
		"empty":  {nil, control{}},
		"stamps": {stamps, control{kernel: kernel, hardware: hardware}},
		"transmit stamp over IPv4": {
			join(stamps, message(unix.SOL_IP, unix.IP_RECVERR, extendedErr(unix.SO_EE_ORIGIN_TIMESTAMPING, 0, 42))),
			control{kernel: kernel, hardware: hardware, transmit: true, id: 42},
		},
		"transmit stamp over IPv6": {
			message(unix.SOL_IPV6, unix.IPV6_RECVERR, extendedErr(unix.SO_EE_ORIGIN_TIMESTAMPING, 0, 43)),
			control{transmit: true, id: 43},
		},
		"transmit stamp of Ethernet": {
			message(unix.SOL_PACKET, unix.PACKET_TX_TIMESTAMP, extendedErr(unix.SO_EE_ORIGIN_TIMESTAMPING, 0, 44)),
			control{transmit: true, id: 44},
		},
		"taken by the scheduler": {
			message(unix.SOL_IP, unix.IP_RECVERR,
				extendedErr(unix.SO_EE_ORIGIN_TIMESTAMPING, unix.SCM_TSTAMP_SCHED, 1)), control{},
		},
		"an ICMP error": {message(unix.SOL_IP, unix.IP_RECVERR, extendedErr(unix.SO_EE_ORIGIN_ICMP, 0, 1)), control{}},
		"interfaces": {
			join(message(unix.SOL_IP, unix.IP_PKTINFO, info4), message(unix.SOL_SOCKET, 99, []byte{1})),
			control{ifindex: 7},
		},
		"interface of IPv6": {message(unix.SOL_IPV6, unix.IPV6_PKTINFO, info6), control{ifindex: 8}},
		"a PHC before its epoch": {
			message(unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, stampData(0, 0, -1, 999_999_999)), control{hardware: -1},
		},
		"nanoseconds beyond a second": {
			message(unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, stampData(1, 1_000_000_000, 1, -1)), control{},
		},
		"seconds that overflow": {
			message(unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, stampData(1<<62, 0, -1<<63, 0)), control{},
		},
		"short stamps": {message(unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, make([]byte, 47)), control{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := parseControl(test.b); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func FuzzParseControl(f *testing.F) {
	f.Add([]byte{})
	f.Add(message(unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, stampData(1, 2, 3, 4)))
	f.Add(message(unix.SOL_IP, unix.IP_RECVERR, extendedErr(unix.SO_EE_ORIGIN_TIMESTAMPING, 0, 42)))
	f.Add(message(unix.SOL_IPV6, unix.IPV6_PKTINFO, make([]byte, unix.SizeofInet6Pktinfo)))
	f.Add(message(unix.SOL_IP, unix.IP_PKTINFO, make([]byte, 3)))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := parseControl(b)
		if c.id != 0 && !c.transmit {
			t.Errorf("id %d of no transmit stamp", c.id)
		}
		if len(b) < unix.CmsgLen(4) && c != (control{}) {
			t.Errorf("%+v out of %d bytes", c, len(b))
		}
	})
}
