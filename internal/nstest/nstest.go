// SPDX-License-Identifier: Apache-2.0

// Package nstest runs tests in network namespaces of their own, and makes and changes interfaces there. Its functions skip
// the test where the machine does not let them, and fail it where something else goes wrong.
package nstest

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const inNamespace = "LOCKSTEP_TEST_IN_NAMESPACE"

// Run runs the test in a network namespace of its own, as another process: within a user namespace, where it has all
// privileges, unless it may make the one without the other.
func Run(t *testing.T, test func(t *testing.T)) {
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
func rtnetlink(t *testing.T, typ netlink.HeaderType, flags netlink.HeaderFlags, body []byte,
	attributes func(*netlink.AttributeEncoder)) {
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

// makeLink makes an interface of a kind, and sets it up.
func makeLink(t *testing.T, name, kind, parent string, data func(*netlink.AttributeEncoder) error) {
	t.Helper()
	rtnetlink(t, unix.RTM_NEWLINK, netlink.Create|netlink.Excl, make([]byte, unix.SizeofIfInfomsg),
		func(ae *netlink.AttributeEncoder) {
			ae.String(unix.IFLA_IFNAME, name)
			if parent != "" {
				ae.Uint32(unix.IFLA_LINK, uint32(Index(t, parent)))
			}
			ae.Nested(unix.IFLA_LINKINFO, func(ae *netlink.AttributeEncoder) error {
				ae.String(unix.IFLA_INFO_KIND, kind)
				ae.Nested(unix.IFLA_INFO_DATA, data)
				return nil
			})
		})
	SetUp(t, name)
}

// MakeVeth makes two interfaces, v0 and v1, that are each other's wire, with addresses 10.1.1.1 and 10.1.1.2. For a while
// the kernel drops what is sent by them.
func MakeVeth(t *testing.T) {
	t.Helper()
	const vethInfoPeer = 1
	WriteSysctl(t, "ipv6/conf/default/accept_dad", "0")
	makeLink(t, "v0", "veth", "", func(ae *netlink.AttributeEncoder) error {
		ae.Do(vethInfoPeer, func() ([]byte, error) {
			peer := netlink.NewAttributeEncoder()
			peer.String(unix.IFLA_IFNAME, "v1")
			b, err := peer.Encode()
			return append(make([]byte, unix.SizeofIfInfomsg), b...), err
		})
		return nil
	})
	SetUp(t, "v1")
	for i, name := range []string{"v0", "v1"} {
		address := []byte{10, 1, 1, byte(i + 1)}
		body := []byte{unix.AF_INET, 24, 0, unix.RT_SCOPE_UNIVERSE, byte(Index(t, name)), 0, 0, 0}
		rtnetlink(t, unix.RTM_NEWADDR, netlink.Create|netlink.Excl, body, func(ae *netlink.AttributeEncoder) {
			ae.Bytes(unix.IFA_LOCAL, address)
			ae.Bytes(unix.IFA_ADDRESS, address)
		})
	}
}

// MakeVLAN makes the VLAN of that number on top of an interface.
func MakeVLAN(t *testing.T, name, parent string, id uint16) {
	t.Helper()
	const vlanID = 1
	makeLink(t, name, "vlan", parent, func(ae *netlink.AttributeEncoder) error {
		ae.Uint16(vlanID, id)
		return nil
	})
}

// MakeMACVLAN makes a MAC VLAN on top of an interface.
func MakeMACVLAN(t *testing.T, name, parent string) {
	t.Helper()
	const mode, bridge = 1, 4 // IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE
	makeLink(t, name, "macvlan", parent, func(ae *netlink.AttributeEncoder) error {
		ae.Uint32(mode, bridge)
		return nil
	})
}

// Remove removes an interface.
func Remove(t *testing.T, name string) {
	t.Helper()
	rtnetlink(t, unix.RTM_DELLINK, 0, make([]byte, unix.SizeofIfInfomsg), func(ae *netlink.AttributeEncoder) {
		ae.String(unix.IFLA_IFNAME, name)
	})
}

// Rename gives an interface, which has to be down, another name.
func Rename(t *testing.T, old, name string) {
	t.Helper()
	body := make([]byte, unix.SizeofIfInfomsg)
	body[4] = byte(Index(t, old))
	rtnetlink(t, unix.RTM_NEWLINK, 0, body, func(ae *netlink.AttributeEncoder) { ae.String(unix.IFLA_IFNAME, name) })
}

// Index returns the kernel's number of an interface.
func Index(t *testing.T, name string) int {
	t.Helper()
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return ifi.Index
}

// SetUp has an interface be up.
func SetUp(t *testing.T, name string) { t.Helper(); SetFlags(t, name, unix.IFF_UP) }

// SetFlags sets the flags of an interface, IFF_*; 0 has it be down.
func SetFlags(t *testing.T, name string, flags uint16) {
	t.Helper()
	if err := trySetFlags(name, flags); err != nil {
		t.Fatalf("set flags of %s: %v", name, err)
	}
}

func trySetFlags(name string, flags uint16) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
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

// WriteSysctl writes a value below /proc/sys/net.
func WriteSysctl(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0); err != nil {
		t.Skipf("this machine lets us not set up the network namespace: %v", err)
	}
}
