// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/internal/nstest"
)

// class makes a tree as sysfs has it: eth0 with the clock ptp3, its VLAN and a bridge on top of both, and eth1 without.
func class(t *testing.T) string {
	t.Helper()
	class := t.TempDir()
	for _, folder := range []string{"eth0/device/ptp/ptp3", "eth1/device/ptp/ptpx", "eth0.5/lower_eth0", "br0/lower_eth0.5",
		"br0/lower_eth0", "br1/lower_eth1", "odd/device/ptp/ptp65534"} {
		if err := os.MkdirAll(filepath.Join(class, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(class, "eth0/address"), []byte("52:54:00:12:34:56\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return class
}

func TestDeviceClock(t *testing.T) {
	class := class(t)
	for name, want := range map[string]int{"eth0": 3, "eth0.5": 3, "br0": 3, "eth1": -1, "br1": -1, "odd": -1, "none": -1,
		"": -1, "br0/../eth0": -1} {
		if got := deviceClock(class, name); got != want {
			t.Errorf("%q: %d, want %d", name, got, want)
		}
	}
}

// A bond gives its members its own address; their permanent ones stay.
func TestPermanentAddress(t *testing.T) {
	class := class(t)
	links := []link{{name: "eth0", permanent: "52:54:00:aa:bb:cc"}, {name: "eth1", permanent: "52:54:00:aa:bb:cd"}}
	for name, want := range map[string]string{"eth0": "52:54:00:aa:bb:cc", "eth1": "52:54:00:aa:bb:cd", "br0": "", "none": ""} {
		if got := permanentAddress(links, class, name); got != want {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
	for _, links := range [][]link{nil, {{name: "eth0"}}} {
		if got := permanentAddress(links, class, "eth0"); got != "52:54:00:12:34:56" {
			t.Errorf("eth0 has %q, want its present address where the kernel does not tell the permanent one", got)
		}
	}
}

func TestClockOfNoInterface(t *testing.T) {
	for _, name := range []string{"none-such", "", "0000:01:00.0", "../lo"} {
		if index, err := PHC(name); !errors.Is(err, hwts.ErrNoInterface) || index >= 0 {
			t.Errorf("%q: %d, %v, want ErrNoInterface", name, index, err)
		}
	}
}

func TestClockOfVeth(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		makeVeth(t)
		if index, err := PHC("v0"); index != -1 || err != nil {
			t.Errorf("v0 has the clock %d, %v, want none", index, err)
		}
	})
}

// An interface that does not answer is an error, unless one that it is on top of does.
func TestTimestampingErrors(t *testing.T) {
	links := []link{{index: 1, name: "eth0"}, {index: 2, name: "eth0.7", kind: "vlan", parent: 1}, {index: 3, name: "eth1"},
		{index: 4, name: "eth1.7", kind: "vlan", parent: 3}}
	p := &prober{links: links, fd: -1}
	p.tsInfo = func(ifname string) (tsInfo, error) {
		if ifname == "eth0" {
			return tsInfo{phc: 3}, nil
		}
		return ioctlTSInfo(p.fd, ifname)
	}
	for i, want := range []int{3, 3, -1, -1} {
		info, err := p.timestamping(&links[i], p.nic(&links[i]))
		if info.phc != want || (err == nil) != (want >= 0) {
			t.Errorf("%s: %d, %v, want %d", links[i].name, info.phc, err, want)
		}
		if err != nil && (!errors.Is(err, unix.EBADF) || !strings.HasPrefix(err.Error(), "ETHTOOL_GET_TS_INFO of eth1: ")) {
			t.Errorf("%s: %v", links[i].name, err)
		}
	}
}
