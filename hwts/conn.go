// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a socket whose datagrams carry timestamps. Send, Close, Counters and the accessors may be called from any
// goroutine; Serve runs in one.
type Conn struct {
	config   Config
	index    int // of the interface, 0 if any
	filter   bool
	local    netip.AddrPort
	file     *os.File
	raw      syscall.RawConn
	began    time.Time
	closed   atomic.Bool
	serving  atomic.Bool
	ids      idTable
	counters counters
	tx       sender
}

// Listen makes a Conn. It fails with ErrConfig, ErrNoInterface, or the kernel's error: of Ethernet, and of ports below
// 1024, commonly EPERM or EACCES.
//
// Stamps are enabled before the first datagram is sent or received. The Conn keeps to the interface that has the name
// now; when that is removed and made anew, the Conn has to be made anew too, see nic.Watch.
func Listen(config Config) (*Conn, error) { return listen(config, unix.BindToDevice) }

// listen is Listen with the function that binds a descriptor to a device, which some may not call.
func listen(config Config, bindToDevice func(fd int, device string) error) (*Conn, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", config.name(), err)
	}
	index, err := interfaceIndex(config.Interface)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", config.name(), err)
	}
	s := &socket{config: &config, index: index, bindToDevice: bindToDevice}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", config.name(), err)
	}
	c := &Conn{config: config, index: index, filter: s.filter, local: s.local(), began: time.Now()}
	c.file = os.NewFile(uintptr(s.fd), config.name())
	if c.raw, err = c.file.SyscallConn(); err != nil {
		c.file.Close()
		return nil, fmt.Errorf("listen on %s: %w", config.name(), err)
	}
	c.tx.init(c)
	return c, nil
}

// LocalAddr returns the address that the Conn is bound to. It is invalid for Ethernet.
func (c *Conn) LocalAddr() netip.AddrPort { return c.local }

// Interface returns the name of the interface that the Conn was made for.
func (c *Conn) Interface() string { return c.config.Interface }

// Close closes the Conn and has Serve return. It waits for a call of the Handler under way, so the Handler must neither
// call it nor wait for the goroutine that does.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return fmt.Errorf("close %s: %w", c.config.name(), net.ErrClosed)
	}
	return c.file.Close()
}

// now is the time since the Conn was made, by the monotonic clock.
func (c *Conn) now() time.Duration { return time.Since(c.began) }

// restartIDs has the kernel count the sends from 0 again.
func (c *Conn) restartIDs(fd int) {
	flags := c.config.stamping()
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, flags&^unix.SOF_TIMESTAMPING_OPT_ID)
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, flags)
	c.ids.restart(c.now())
}
