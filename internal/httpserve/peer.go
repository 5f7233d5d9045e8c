// SPDX-License-Identifier: Apache-2.0

package httpserve

import (
	"context"
	"errors"
	"net"
	"strconv"

	"golang.org/x/sys/unix"
)

// Peer is whom a connection belongs to: "uid 1000" on a Unix socket; over TCP an IPv4 address, or an IPv6 network of 64
// bits, in which one host may choose its addresses. It is empty where that is unknown; these connections share one peer.
type Peer string

// prefixBits is the length of the prefix that a network with self-assigned IPv6 addresses has (RFC 4291, 2.5.1).
const prefixBits = 64

// key is what a request's context has its *conn under.
type key struct{}

// PeerOf returns whom the connection belongs to by which the request with this context came, empty if Run does not serve
// it.
func PeerOf(ctx context.Context) Peer {
	if c, ok := ctx.Value(key{}).(*conn); ok {
		return c.peer
	}
	return ""
}

// Conn returns the connection by which the request with this context came, nil if Run does not serve it. Its owner is
// the server: it may be asked, and not be used.
func Conn(ctx context.Context) net.Conn {
	if c, ok := ctx.Value(key{}).(*conn); ok {
		return c.Conn
	}
	return nil
}

// peerOf asks the kernel.
func peerOf(c net.Conn) Peer {
	switch c := c.(type) {
	case *net.UnixConn:
		uid, err := uidOf(c)
		if err != nil {
			return ""
		}
		return Peer("uid " + strconv.FormatUint(uint64(uid), 10))
	case *net.TCPConn:
		if addr, ok := c.RemoteAddr().(*net.TCPAddr); ok {
			return network(addr)
		}
	}
	return ""
}

// uidOf returns the user who connected.
func uidOf(c *net.UnixConn) (uint32, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	failed := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(failed, err); err != nil {
		return 0, err
	}
	return cred.Uid, nil
}

func network(addr *net.TCPAddr) Peer {
	a := addr.AddrPort().Addr().Unmap()
	if !a.Is6() {
		return Peer(a.String())
	}
	prefix, err := a.Prefix(prefixBits)
	if err != nil {
		return ""
	}
	return Peer(prefix.String())
}
