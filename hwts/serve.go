// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"fmt"
	"net"
	"syscall"
	"time"
	"unsafe"

	"github.com/lockstep-time/lockstep/clock"
	"golang.org/x/sys/unix"
)

// Handler is told what comes in, by the goroutine that runs Serve. While it works nothing else is read: it should do
// little, post to an event loop say, and must not wait for a goroutine that closes the Conn.
type Handler interface {
	// Received is told of a datagram: a message without the headers of the network, which on Ethernet may have the padding
	// of a short frame behind it. b is valid during the call only. ts is zero if there is no stamp of the Conn's clock.
	Received(b []byte, from Addr, ts clock.Timestamp)
	// Transmitted is told when the datagram that Send numbered id has left. It comes at most once per id.
	Transmitted(id uint32, ts clock.Timestamp)
}

// KernelHandler is a Handler that is told the kernel's receive stamp beside the hardware's. It serves a Conn whose Config
// has KernelReceive.
type KernelHandler interface {
	Handler
	// ReceivedKernel is called instead of Received. kernel is of clock.System, zero if there is none.
	ReceivedKernel(b []byte, from Addr, ts, kernel clock.Timestamp)
}

const (
	// burst is how many datagrams are read before the transmit stamps are looked at again.
	burst = 16
	// patience is how many errors in a row are taken for the socket's pending ones before the reader takes a break.
	patience = 8

	shortestBreak = 200 * time.Microsecond
	longestBreak  = 100 * time.Millisecond
)

// reader is what Serve needs.
type reader struct {
	conn     *Conn
	handler  Handler
	kernel   KernelHandler // nil if not asked for
	header   unix.Msghdr
	vector   unix.Iovec
	from     name
	buffer   []byte
	control  [controlSpace]byte
	progress bool
}

// Serve reads datagrams and transmit stamps and tells them to the Handler until the Conn is closed; then it returns
// net.ErrClosed. Every other error is taken to be transient: it is counted, and reading goes on after a short break.
// It allocates nothing per datagram or stamp.
func (c *Conn) Serve(h Handler) error {
	if !c.serving.CompareAndSwap(false, true) {
		return fmt.Errorf("serve %s: %w: it is served already", c.config.name(), ErrConfig)
	}
	defer c.serving.Store(false)
	r := &reader{conn: c, handler: h, buffer: make([]byte, c.config.MaxDatagram)}
	if c.config.KernelReceive {
		r.kernel, _ = h.(KernelHandler)
	}
	r.header.Iov = &r.vector
	r.header.SetIovlen(1)
	pause := shortestBreak
	for !c.closed.Load() {
		r.progress = false
		// The poller fails reads when a stamp arrives while the send buffer is full, and goes on doing so until the next
		// event, which may not come before the stamp is taken away.
		if err := c.raw.Read(r.drain); err != nil && !c.closed.Load() {
			c.counters.receiveErrors.Add(1)
			c.raw.Control(func(fd uintptr) { r.drain(fd) })
		}
		if c.closed.Load() {
			break
		}
		if r.progress {
			pause = shortestBreak
		}
		time.Sleep(pause)
		pause = min(2*pause, longestBreak)
	}
	return fmt.Errorf("serve %s: %w", c.config.name(), net.ErrClosed)
}

// drain empties both queues of the socket. One function reads both because the descriptor has one lock for readers.
// It returns false to wait for more, true to take a break.
func (r *reader) drain(fd uintptr) (giveUp bool) {
	for !r.conn.closed.Load() {
		ok := r.readStamps(fd)
		more, okToo := r.readDatagrams(fd)
		if !ok || !okToo {
			return true
		}
		if !more {
			return false
		}
	}
	return true
}

// readStamps empties the error queue. It is not ok if the kernel refused.
func (r *reader) readStamps(fd uintptr) (ok bool) {
	for range patience * outstanding {
		_, errno := r.read(fd, unix.MSG_ERRQUEUE)
		if errno == unix.EAGAIN {
			return true
		}
		if errno != 0 {
			r.conn.counters.receiveErrors.Add(1)
			return false
		}
		r.progress = true
		r.transmitted()
	}
	return true
}

// readDatagrams reads a burst. more says that there may be more to read.
func (r *reader) readDatagrams(fd uintptr) (more, ok bool) {
	failures := 0
	for range burst {
		n, errno := r.read(fd, 0)
		switch {
		case errno == unix.EAGAIN:
			return false, true
		case errno != 0:
			// Reading takes a pending error away: an ICMP message of the peer, an interface that went down.
			r.conn.counters.receiveErrors.Add(1)
			if failures++; failures == patience {
				return false, false
			}
		default:
			r.progress = true
			r.received(n)
		}
		if r.conn.closed.Load() {
			return false, true
		}
	}
	return true, true
}

func (r *reader) read(fd uintptr, flags int) (int, syscall.Errno) {
	r.vector.Base = &r.buffer[0]
	r.vector.SetLen(len(r.buffer))
	r.header.Name, r.header.Namelen = (*byte)(unsafe.Pointer(&r.from.raw)), unix.SizeofSockaddrAny
	r.header.Control = &r.control[0]
	r.header.SetControllen(len(r.control))
	r.from.raw.Addr.Family = unix.AF_UNSPEC
	for {
		n, errno := recvmsg(fd, &r.header, flags|unix.MSG_DONTWAIT)
		if errno != unix.EINTR {
			return n, errno
		}
	}
}

// controlMessages parses those of the datagram just read. Truncated ones are as good as none.
func (r *reader) controlMessages() control {
	if r.header.Flags&unix.MSG_CTRUNC != 0 {
		r.conn.counters.controlTruncated.Add(1)
		return control{}
	}
	return parseControl(r.control[:min(uint64(r.header.Controllen), uint64(len(r.control)))])
}

func (r *reader) received(n int) {
	c := r.conn
	ctl := r.controlMessages()
	switch {
	case r.from.notForUs(), c.filter && ctl.ifindex != uint32(c.index):
		c.counters.otherInterface.Add(1)
		return
	case r.header.Flags&unix.MSG_TRUNC != 0:
		c.counters.truncated.Add(1)
		return
	}
	c.counters.received.Add(1)
	ts := c.timestamp(ctl, -c.config.IngressLatency)
	if ts.IsZero() && c.config.Stamps != NoStamps {
		c.counters.unstamped.Add(1)
	}
	b := r.buffer[:n:n]
	if r.kernel == nil {
		r.handler.Received(b, r.from.addr(), ts)
		return
	}
	var kernel clock.Timestamp
	if ctl.kernel != 0 {
		kernel = clock.At(clock.System, ctl.kernel)
	}
	r.kernel.ReceivedKernel(b, r.from.addr(), ts, kernel)
}

func (r *reader) transmitted() {
	c := r.conn
	ctl := r.controlMessages()
	ts := c.timestamp(ctl, c.config.EgressLatency)
	if !ctl.transmit || ts.IsZero() {
		c.counters.foreign.Add(1)
		return
	}
	switch id, v := c.ids.settle(ctl.id, c.now()); v {
	case expected:
		c.counters.stamps.Add(1)
		r.handler.Transmitted(id, ts)
	case late:
		c.counters.late.Add(1)
	case foreign:
		c.counters.foreign.Add(1)
	}
}

// timestamp returns the stamp of the clock wanted, corrected, or the zero one.
func (c *Conn) timestamp(ctl control, correction time.Duration) clock.Timestamp {
	ns := int64(0)
	switch c.config.Stamps {
	case Kernel:
		ns = ctl.kernel
	case Hardware:
		ns = ctl.hardware
	}
	if ns == 0 {
		return clock.Timestamp{}
	}
	return clock.At(c.config.clock(), ns).Add(correction)
}
