// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// routedNetworks are two networks with the peers' host as the router between them.
type routedNetworks struct{ host, router, outside, far netip.Prefix }

// connect joins the far host with the router, and has routes set for both versions of IP.
func (r routedNetworks) connect(t *testing.T, w *cable, far *namespace) {
	t.Helper()
	joinNamespaces(t, w.peers, "eth2", far, "eth3")
	w.host.address(t, "eth0", r.host)
	w.peers.address(t, "eth1", r.router)
	w.peers.address(t, "eth2", r.outside)
	far.address(t, "eth3", r.far)
	w.peers.address(t, "eth2", netip.MustParsePrefix("10.2.2.1/24"))
	far.address(t, "eth3", netip.MustParsePrefix("10.2.2.2/24"))
	w.peers.sysctl(t, "ipv4/ip_forward", "1")
	w.peers.sysctl(t, "ipv6/conf/all/forwarding", "1")
	for _, g := range []struct {
		n  *namespace
		by netip.Addr
	}{{w.host, r.router.Addr()}, {w.host, peerAddress}, {far, r.outside.Addr()}, {far, netip.MustParseAddr("10.2.2.1")}} {
		g.n.defaultRoute(t, g.by)
	}
}

// defaultRoute has everything else be sent by a router.
func (n *namespace) defaultRoute(t *testing.T, by netip.Addr) {
	t.Helper()
	family := byte(unix.AF_INET)
	if by.Is6() {
		family = unix.AF_INET6
	}
	body := []byte{family, 0, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST, 0, 0, 0,
		0}
	n.request(t, unix.RTM_NEWROUTE, netlink.Create|netlink.Excl, body, func(ae *netlink.AttributeEncoder) {
		ae.Bytes(unix.RTA_GATEWAY, by.AsSlice())
	})
}

// reached listens at another port of the host, and returns a function that tells whether the far host has got through to it
// over both versions of IP.
func (r routedNetworks) reached(t *testing.T, w *cable, far *namespace) func() bool {
	t.Helper()
	const port = 4242
	var count [2]atomic.Uint64
	for i, to := range []netip.Addr{r.host.Addr(), hostAddress} {
		var conn net.PacketConn
		w.host.do(t, func() (err error) {
			conn, err = net.ListenPacket("udp", netip.AddrPortFrom(to, port).String())
			return err
		})
		t.Cleanup(func() { conn.Close() })
		go func() {
			for b := make([]byte, 16); ; count[i].Add(1) {
				if _, _, err := conn.ReadFrom(b); err != nil {
					return
				}
			}
		}()
		from := netip.IPv6Unspecified()
		if to.Is4() {
			from = netip.IPv4Unspecified()
		}
		send := datagrams(t, far, anyPort(from), netip.AddrPortFrom(to, port))
		await(t, "the route works", func() bool { send([]byte("hello")); return count[i].Load() > 0 }, func() any { return to })
	}
	return func() bool { return count[0].Load() > 0 && count[1].Load() > 0 }
}
