// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"
)

// control is what the control messages of one datagram say.
type control struct {
	// kernel and hardware are the stamps in nanoseconds since the epoch of their clock, 0 where there is none.
	kernel, hardware int64
	// ifindex of the interface that the datagram came in by, 0 where it is not told.
	ifindex uint32
	// transmit: this is the transmit stamp of the send that had this id.
	transmit bool
	id       uint32
}

// controlSpace has room for the stamps, an extended error with its address, and the packet information.
const controlSpace = 256

// parseControl reads the control messages that recvmsg returned. What it does not know it skips.
func parseControl(b []byte) (c control) {
	for len(b) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(b)
		if err != nil {
			return c
		}
		c.message(h.Level, h.Type, data)
		b = rest
	}
	return c
}

func (c *control) message(level, typ int32, data []byte) {
	switch {
	case level == unix.SOL_SOCKET && typ == unix.SO_TIMESTAMPING_NEW:
		c.stamps(data)
	case level == unix.SOL_IP && typ == unix.IP_RECVERR,
		level == unix.SOL_IPV6 && typ == unix.IPV6_RECVERR,
		level == unix.SOL_PACKET && typ == unix.PACKET_TX_TIMESTAMP:
		c.extendedError(data)
	case level == unix.SOL_IP && typ == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		c.ifindex = binary.NativeEndian.Uint32(data)
	case level == unix.SOL_IPV6 && typ == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		c.ifindex = binary.NativeEndian.Uint32(data[16:])
	}
}

// stamps reads a struct scm_timestamping64: the kernel's stamp, an obsolete one, the hardware's.
func (c *control) stamps(data []byte) {
	const timespec = 16
	if len(data) < 3*timespec {
		return
	}
	c.kernel = nanoseconds(data)
	c.hardware = nanoseconds(data[2*timespec:])
}

// nanoseconds reads a struct __kernel_timespec of 64 bits each. What cannot be a stamp is 0.
func nanoseconds(b []byte) int64 {
	const most = (1<<63 - 1) / int64(time.Second)
	s, ns := int64(binary.NativeEndian.Uint64(b)), int64(binary.NativeEndian.Uint64(b[8:]))
	if s <= -most || s >= most || ns < 0 || ns >= int64(time.Second) {
		return 0
	}
	return s*int64(time.Second) + ns
}

// extendedError reads a struct sock_extended_err. Stamps taken elsewhere than at the driver are not asked for and ignored.
func (c *control) extendedError(data []byte) {
	const origin, info, id, size = 4, 8, 12, 16
	if len(data) < size || data[origin] != unix.SO_EE_ORIGIN_TIMESTAMPING ||
		binary.NativeEndian.Uint32(data[info:]) != unix.SCM_TSTAMP_SND {
		return
	}
	c.transmit, c.id = true, binary.NativeEndian.Uint32(data[id:])
}
