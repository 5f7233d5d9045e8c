// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// namespace is a network namespace.
type namespace struct{ fd int }

// newNamespace makes a network namespace whose loopback interface is up.
func newNamespace(t *testing.T) *namespace {
	t.Helper()
	made := make(chan error)
	n := &namespace{}
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		made <- func() (err error) {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			n.fd, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			return err
		}()
	}()
	if err := <-made; err != nil {
		t.Skipf("this machine lets us make no network namespace: %v", err)
	}
	t.Cleanup(func() { unix.Close(n.fd) })
	n.setUp(t, "lo", true)
	return n
}

// do calls f by a thread that is in the namespace. The sockets and processes that f makes stay there.
func (n *namespace) do(t *testing.T, f func() error) {
	t.Helper()
	if err := n.try(f); err != nil {
		t.Fatal(err)
	}
}

func (n *namespace) try(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Setns(n.fd, unix.CLONE_NEWNET)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// request does one request of rtnetlink.
func (n *namespace) request(t *testing.T, typ netlink.HeaderType, flags netlink.HeaderFlags, body []byte,
	attributes func(*netlink.AttributeEncoder)) {
	t.Helper()
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{NetNS: n.fd})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ae := netlink.NewAttributeEncoder()
	attributes(ae)
	data, err := ae.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Execute(netlink.Message{Data: append(body, data...),
		Header: netlink.Header{Type: typ, Flags: netlink.Request | netlink.Acknowledge | flags}}); err != nil {
		t.Fatal(err)
	}
}

func linkMessage(index int, flags, change uint32) []byte {
	b := binary.NativeEndian.AppendUint32(make([]byte, 4, unix.SizeofIfInfomsg), uint32(index))
	return binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(b, flags), change)
}

func (n *namespace) index(t *testing.T, name string) (index int) {
	t.Helper()
	n.do(t, func() error {
		ifi, err := net.InterfaceByName(name)
		if err == nil {
			index = ifi.Index
		}
		return err
	})
	return index
}

func (n *namespace) setUp(t *testing.T, name string, up bool) {
	t.Helper()
	flags := uint32(0)
	if up {
		flags = unix.IFF_UP
	}
	n.request(t, unix.RTM_NEWLINK, 0, linkMessage(n.index(t, name), flags, unix.IFF_UP), func(*netlink.AttributeEncoder) {})
}

func (n *namespace) rename(t *testing.T, name, to string) {
	t.Helper()
	n.request(t, unix.RTM_NEWLINK, 0, linkMessage(n.index(t, name), 0, 0), func(ae *netlink.AttributeEncoder) {
		ae.String(unix.IFLA_IFNAME, to)
	})
}

func (n *namespace) remove(t *testing.T, name string) {
	t.Helper()
	n.request(t, unix.RTM_DELLINK, 0, linkMessage(n.index(t, name), 0, 0), func(*netlink.AttributeEncoder) {})
}

func (n *namespace) address(t *testing.T, name string, prefix netip.Prefix) {
	t.Helper()
	family := byte(unix.AF_INET)
	if prefix.Addr().Is6() {
		family = unix.AF_INET6
	}
	body := binary.NativeEndian.AppendUint32([]byte{family, byte(prefix.Bits()), 0, unix.RT_SCOPE_UNIVERSE},
		uint32(n.index(t, name)))
	n.request(t, unix.RTM_NEWADDR, netlink.Create|netlink.Excl, body, func(ae *netlink.AttributeEncoder) {
		ae.Bytes(unix.IFA_LOCAL, prefix.Addr().AsSlice())
		ae.Bytes(unix.IFA_ADDRESS, prefix.Addr().AsSlice())
	})
}

// cable is two hosts and the cable between them: the daemon's, with the interface eth0, and that of its peers, with eth1.
type cable struct{ host, peers *namespace }

// Addresses of the two.
var (
	hostAddress = netip.MustParseAddr("10.1.1.1")
	peerAddress = netip.MustParseAddr("10.1.1.2")
)

func newCable(t *testing.T) *cable {
	t.Helper()
	t.Parallel()
	w := &cable{newNamespace(t), newNamespace(t)}
	for _, n := range []*namespace{w.host, w.peers} {
		n.do(t, func() error {
			// Addresses of IPv6 are of use at once.
			err := os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0)
			if err != nil {
				return fmt.Errorf("set up a network namespace: %w", err)
			}
			return nil
		})
	}
	w.connect(t)
	return w
}

// connect makes the interfaces and their cable.
func (w *cable) connect(t *testing.T) {
	t.Helper()
	joinNamespaces(t, w.host, "eth0", w.peers, "eth1")
	w.host.address(t, "eth0", netip.PrefixFrom(hostAddress, 24))
	w.peers.address(t, "eth1", netip.PrefixFrom(peerAddress, 24))
}

// joinNamespaces makes an interface in each of two namespaces, and the cable between them.
func joinNamespaces(t *testing.T, a *namespace, aName string, b *namespace, bName string) {
	t.Helper()
	const peerInfo = 1 // VETH_INFO_PEER
	a.request(t, unix.RTM_NEWLINK, netlink.Create|netlink.Excl, linkMessage(0, 0, 0), func(ae *netlink.AttributeEncoder) {
		ae.String(unix.IFLA_IFNAME, aName)
		ae.Nested(unix.IFLA_LINKINFO, func(ae *netlink.AttributeEncoder) error {
			ae.String(unix.IFLA_INFO_KIND, "veth")
			ae.Nested(unix.IFLA_INFO_DATA, func(ae *netlink.AttributeEncoder) error {
				ae.Do(peerInfo, func() ([]byte, error) {
					peer := netlink.NewAttributeEncoder()
					peer.String(unix.IFLA_IFNAME, bName)
					peer.Uint32(unix.IFLA_NET_NS_FD, uint32(b.fd))
					b, err := peer.Encode()
					return append(linkMessage(0, 0, 0), b...), err
				})
				return nil
			})
			return nil
		})
	})
	a.setUp(t, aName, true)
	b.setUp(t, bName, true)
}

// patience is how long anything may take that happens within a second or two on a machine with nothing else to do.
const patience = 60 * time.Second

// await returns when ok does, and fails the test if it does not in time; state says what was seen instead.
func await(t *testing.T, what string, ok func() bool, state func() any) {
	t.Helper()
	if !within(patience, ok) {
		t.Fatalf("not within %v: %s; it is:\n%v", patience, what, state())
	}
}

// within looks whether ok until it is, or the time has passed.
func within(limit time.Duration, ok func() bool) bool {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); <-look.C {
		if ok() {
			return true
		}
	}
	return false
}
