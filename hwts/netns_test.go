// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const inNamespace = "HWTS_TEST_IN_NAMESPACE"

// namespace runs the test in a network namespace of its own, as another process: within a user namespace, where it has
// all privileges, unless it may make the one without the other.
func namespace(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	if os.Getenv(inNamespace) != "" {
		if err := trySetFlags("lo", unix.IFF_UP); errors.Is(err, unix.EPERM) {
			t.Skipf("this machine gives us no privileges in our own namespaces: %v", err)
		}
		test(t)
		return
	}
	out, err := isolated(t, 0).CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		out, err = isolated(t, syscall.CLONE_NEWUSER).CombinedOutput()
	}
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		t.Skipf("this machine lets us make no network namespace: %v", err)
	case err != nil:
		t.Fatalf("in a network namespace:\n%s", out)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skipf("in a network namespace:\n%s", out)
	case !bytes.Contains(out, []byte("--- PASS")):
		t.Fatalf("it did not run in the network namespace:\n%s", out)
	}
}

func isolated(t *testing.T, flags uintptr) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | flags}
	if flags&syscall.CLONE_NEWUSER != 0 {
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return cmd
}

// rtnetlink does one request, and skips the test if the kernel cannot.
func rtnetlink(t *testing.T, typ netlink.HeaderType, flags netlink.HeaderFlags, body []byte, attributes func(*netlink.AttributeEncoder)) {
	t.Helper()
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
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
	_, err = conn.Execute(netlink.Message{
		Header: netlink.Header{Type: typ, Flags: netlink.Request | netlink.Acknowledge | flags},
		Data:   append(body, data...),
	})
	if errors.Is(err, unix.EOPNOTSUPP) {
		t.Skipf("this kernel has no such interfaces: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// makeLink makes an interface of a kind.
func makeLink(t *testing.T, name, kind string, parent string, data func(*netlink.AttributeEncoder) error) {
	t.Helper()
	rtnetlink(t, unix.RTM_NEWLINK, netlink.Create|netlink.Excl, make([]byte, unix.SizeofIfInfomsg), func(ae *netlink.AttributeEncoder) {
		ae.String(unix.IFLA_IFNAME, name)
		if parent != "" {
			ae.Uint32(unix.IFLA_LINK, uint32(index(t, parent)))
		}
		ae.Nested(unix.IFLA_LINKINFO, func(ae *netlink.AttributeEncoder) error {
			ae.String(unix.IFLA_INFO_KIND, kind)
			ae.Nested(unix.IFLA_INFO_DATA, data)
			return nil
		})
	})
}

// makeVeth makes two interfaces, v0 and v1, that are each other's wire, with addresses 10.1.1.1 and 10.1.1.2.
func makeVeth(t *testing.T) {
	t.Helper()
	const vethInfoPeer = 1
	writeSysctl(t, "ipv6/conf/default/accept_dad", "0")
	makeLink(t, "v0", "veth", "", func(ae *netlink.AttributeEncoder) error {
		ae.Do(vethInfoPeer, func() ([]byte, error) {
			peer := netlink.NewAttributeEncoder()
			peer.String(unix.IFLA_IFNAME, "v1")
			b, err := peer.Encode()
			return append(make([]byte, unix.SizeofIfInfomsg), b...), err
		})
		return nil
	})
	for i, name := range []string{"v0", "v1"} {
		setUp(t, name)
		address := []byte{10, 1, 1, byte(i + 1)}
		body := []byte{unix.AF_INET, 24, 0, unix.RT_SCOPE_UNIVERSE, byte(index(t, name)), 0, 0, 0}
		rtnetlink(t, unix.RTM_NEWADDR, netlink.Create|netlink.Excl, body, func(ae *netlink.AttributeEncoder) {
			ae.Bytes(unix.IFA_LOCAL, address)
			ae.Bytes(unix.IFA_ADDRESS, address)
		})
	}
	waitFlow(t, "v0", "v1")
	waitFlow(t, "v1", "v0")
}

// waitFlow returns when frames come from one interface to another. For a while after an interface has gone up the kernel
// drops what is sent, with and without telling.
func waitFlow(t *testing.T, from, to string) {
	t.Helper()
	const experimental = 0x88B5
	config := Config{Network: Ethernet, Interface: to, EtherType: experimental}
	_, saw := serve(t, config)
	config.Interface, config.SendOnly = from, true
	sender, err := Listen(config)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	for deadline := time.Now().Add(patient); time.Now().Before(deadline); {
		sender.Send([]byte("anybody?"), MACAddr(MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}))
		select {
		case <-saw.received:
			return
		case <-time.After(time.Millisecond):
		}
	}
	t.Fatalf("nothing comes from %s to %s", from, to)
}

func makeVLAN(t *testing.T, name, parent string, id uint16) {
	t.Helper()
	const vlanID = 1
	makeLink(t, name, "vlan", parent, func(ae *netlink.AttributeEncoder) error {
		ae.Uint16(vlanID, id)
		return nil
	})
	setUp(t, name)
}

func removeLink(t *testing.T, name string) {
	t.Helper()
	rtnetlink(t, unix.RTM_DELLINK, 0, make([]byte, unix.SizeofIfInfomsg), func(ae *netlink.AttributeEncoder) {
		ae.String(unix.IFLA_IFNAME, name)
	})
}

func renameLink(t *testing.T, old, name string) {
	t.Helper()
	body := make([]byte, unix.SizeofIfInfomsg)
	body[4] = byte(index(t, old))
	rtnetlink(t, unix.RTM_NEWLINK, 0, body, func(ae *netlink.AttributeEncoder) { ae.String(unix.IFLA_IFNAME, name) })
}

func index(t *testing.T, name string) int {
	t.Helper()
	i, err := interfaceIndex(name)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func setUp(t *testing.T, name string) { t.Helper(); setFlags(t, name, unix.IFF_UP) }

func setFlags(t *testing.T, name string, flags uint16) {
	t.Helper()
	if err := trySetFlags(name, flags); err != nil {
		t.Fatalf("set flags of %s: %v", name, err)
	}
}

func trySetFlags(name string, flags uint16) error {
	fd, err := ioctlSocket()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	ifr.SetUint16(flags)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}

func writeSysctl(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0); err != nil {
		t.Skipf("this machine lets us not set up the network namespace: %v", err)
	}
}

// bothEnds lets v0 and v1 take IPv4 datagrams that come from each other, though both are of this host.
func bothEnds(t *testing.T) {
	t.Helper()
	for _, name := range []string{"v0", "v1"} {
		writeSysctl(t, "ipv4/conf/"+name+"/accept_local", "1")
		writeSysctl(t, "ipv4/conf/"+name+"/rp_filter", "0")
	}
	writeSysctl(t, "ipv4/conf/all/rp_filter", "0")
}

func source(n Network) netip.Addr {
	if n == UDP4 {
		return netip.AddrFrom4([4]byte{10, 1, 1, 1})
	}
	return netip.Addr{}
}
