// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// numbering says who numbers the sends of a Conn.
type numbering uint8

const (
	// unknown: whether the kernel takes our numbers shows with the first send.
	unknown numbering = iota
	// ours: the number goes with the send (SCM_TS_OPT_ID, Linux 6.13).
	ours
	// counted: the kernel counts, and so do we.
	counted
)

// sender is what sends need; it lives as long as the Conn, so that they allocate nothing.
type sender struct {
	mu        sync.Mutex
	numbering numbering
	header    unix.Msghdr
	vector    unix.Iovec
	to        name
	control   []byte
	id        uint32
	errno     syscall.Errno
	run       func(fd uintptr)
}

func (s *sender) init(c *Conn) {
	s.control = make([]byte, unix.CmsgSpace(4))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&s.control[0]))
	h.Level, h.Type = unix.SOL_SOCKET, unix.SCM_TS_OPT_ID
	h.SetLen(unix.CmsgLen(4))
	s.header.Iov = &s.vector
	s.header.SetIovlen(1)
	s.run = c.transmit
}

// Send transmits b, which is a whole PTP or NTP message, to an address; to the peer that the Conn is connected to if to
// is zero. It returns the id under which Handler.Transmitted tells the transmit stamp, perhaps before Send returns.
// It never waits: a full send buffer is an error (EAGAIN) like any other, and no stamp comes for a send that failed.
// It allocates nothing unless it fails.
func (c *Conn) Send(b []byte, to Addr) (id uint32, err error) {
	s := &c.tx
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := c.address(to); err != nil {
		return 0, err
	}
	stamped := c.config.Stamps != NoStamps
	if stamped {
		s.id = c.ids.issue(c.now())
	} else {
		s.id++
	}
	s.vector.Base = unsafe.SliceData(b)
	s.vector.SetLen(len(b))
	err = c.raw.Control(s.run)
	s.vector.Base = nil
	if err == nil && s.errno == 0 {
		c.counters.sent.Add(1)
		return s.id, nil
	}
	if stamped {
		c.ids.cancel(s.id)
	}
	return 0, c.sendError(err, to)
}

func (c *Conn) address(to Addr) error {
	s := &c.tx
	s.header.Name, s.header.Namelen = nil, 0
	if to == (Addr{}) && c.config.Connect.IsValid() {
		return nil
	}
	length, ok := s.to.set(c.config.Network, to, c.index, c.config.EtherType)
	if !ok {
		c.counters.sendErrors.Add(1)
		return fmt.Errorf("send on %s: %w: %v is no address of %v", c.config.name(), ErrConfig, to, c.config.Network)
	}
	s.header.Name, s.header.Namelen = (*byte)(unsafe.Pointer(&s.to.raw)), length
	return nil
}

func (c *Conn) sendError(err error, to Addr) error {
	if c.closed.Load() {
		err = net.ErrClosed
	} else if err == nil {
		err = c.tx.errno
	}
	c.counters.sendErrors.Add(1)
	return fmt.Errorf("send on %s to %v: %w", c.config.name(), to, err)
}

// transmit does the system call. A failed one may or may not have been counted by the kernel, which says so nowhere.
func (c *Conn) transmit(fd uintptr) {
	s := &c.tx
	if c.config.Stamps == NoStamps {
		s.errno = s.send(fd)
		return
	}
	if s.numbering != counted {
		s.errno = s.sendNumbered(fd)
		if s.errno == 0 {
			s.numbering = ours
		}
		if s.numbering == ours || s.errno != unix.EINVAL {
			return
		}
	}
	s.errno = s.send(fd)
	if s.errno == 0 {
		s.numbering = counted
		return
	}
	c.restartIDs(int(fd))
}

func (s *sender) sendNumbered(fd uintptr) syscall.Errno {
	binary.NativeEndian.PutUint32(s.control[unix.CmsgLen(0):], s.id)
	s.header.Control = &s.control[0]
	s.header.SetControllen(len(s.control))
	errno := s.send(fd)
	s.header.Control = nil
	s.header.SetControllen(0)
	return errno
}

func (s *sender) send(fd uintptr) syscall.Errno {
	for {
		if errno := sendmsg(fd, &s.header); errno != unix.EINTR {
			return errno
		}
	}
}
