// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/phc"
)

// fakeNaming is of a host that has an igb NIC with the clock ptp0 and a VLAN on it, a virtual clock ptp1 on ptp0, a
// platform device's clock ptp12 with a serial number, two interfaces without clock, and one that cannot be asked.
func fakeNaming() *naming {
	return &naming{
		device: phc.Resolve,
		list: func() ([]phc.Info, error) {
			return []phc.Info{
				{Index: 0, Device: "/dev/ptp0", Driver: "igb", Bus: "0000:01:00.0", Interfaces: []string{"odd", "eth0", "eth1"},
					Parent: -1},
				{Index: 1, Device: "/dev/ptp1", Driver: "ptp0_virt", Bus: "virtual", Parent: 0},
				{Index: 12, Device: "/dev/ptp12", Driver: "tbed", Bus: "tbed", Serial: "42", Parent: -1},
			}, nil
		},
		ofNIC: func(ifname string) (int, error) {
			switch ifname {
			case "eth0", "eth0.5":
				return 0, nil
			case "lo", "veth0":
				return -1, nil
			case "odd":
				return -1, fmt.Errorf("ETHTOOL_GET_TS_INFO of odd: %w", unix.EOPNOTSUPP)
			}
			return -1, hwts.ErrNoInterface
		},
		address: func(ifname string) string {
			return map[string]string{"eth0": "52:54:00:aa:bb:cc", "eth1": "52:54:00:aa:bb:cd"}[ifname]
		},
		probe: func(ifname string) (nic.Capabilities, error) {
			c := nic.Capabilities{Interface: ifname, PHC: -1}
			if ifname == "veth0" {
				c.Driver = "veth"
			}
			return c, nil
		},
	}
}

func TestResolve(t *testing.T) {
	n := fakeNaming()
	for name, want := range map[string]int{
		"/dev/ptp3": 3, "ptp3": 3, "3": 3, "12": 12, "eth0": 0, "eth0.5": 0, "0000:01:00.0": 0, "01:00.0": 0,
		"igb:52:54:00:aa:bb:cc": 0, "tbed": 12, "tbed:42": 12,
	} {
		if got, err := n.resolve(name); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", name, got, err, want)
		}
	}
	const neither = `: no PTP hardware clock: neither a device, an interface, a bus address nor driver:serial`
	for name, want := range map[string]string{
		"":        `""` + neither,
		"eth9":    `"eth9"` + neither,
		"../x":    `"../x"` + neither,
		"-1":      `"-1"` + neither,
		"virtual": `"virtual"` + neither, "ptp0_virt:": `"ptp0_virt:"` + neither,
		"igb:52:54:00:aa:bb:cd": `"igb:52:54:00:aa:bb:cd"` + neither,
		"lo":                    "interface lo: no PTP hardware clock: its driver has registered none",
		"veth0":                 "interface veth0: no PTP hardware clock: driver veth has registered none",
		"odd":                   "interface odd: no PTP hardware clock: ETHTOOL_GET_TS_INFO of odd: operation not supported",
		"/dev/null":             "/dev/null: no PTP hardware clock: it is no /dev/ptpN",
		"/dev/no/it":            "/dev/no/it: no PTP hardware clock: lstat /dev/no: no such file or directory",
	} {
		if got, err := n.resolve(name); !errors.Is(err, phc.ErrNotPHC) || err.Error() != want {
			t.Errorf("%q: %d, %v; want %s", name, got, err, want)
		}
	}
}

func TestResolveAmbiguous(t *testing.T) {
	n := fakeNaming()
	n.list = func() ([]phc.Info, error) {
		return []phc.Info{{Index: 0, Device: "/dev/ptp0", Bus: "card", Parent: -1},
			{Index: 1, Device: "/dev/ptp1", Bus: "card", Parent: -1}}, nil
	}
	const want = "card: ambiguous name: it is of /dev/ptp0, /dev/ptp1"
	if _, err := n.resolve("card"); !errors.Is(err, errAmbiguous) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// Without interfaces, as where a sandbox keeps netlink away, the other names are found all the same.
func TestResolveWithoutInterfaces(t *testing.T) {
	n := fakeNaming()
	n.ofNIC = func(string) (int, error) { return -1, fmt.Errorf("list interfaces: %w", unix.EPERM) }
	if got, err := n.resolve("tbed:42"); got != 12 || err != nil {
		t.Errorf("tbed:42: %d, %v", got, err)
	}
	const want = "interface eth0: no PTP hardware clock: list interfaces: operation not permitted"
	if _, err := n.resolve("eth0"); err == nil || err.Error() != want {
		t.Errorf("eth0: %v, want %s", err, want)
	}
}

func TestClocksWithoutKernelSupport(t *testing.T) {
	n := fakeNaming()
	n.list = func() ([]phc.Info, error) { return nil, fmt.Errorf("list clocks: %w", phc.ErrNotPHC) }
	const want = "eth9: list clocks: no PTP hardware clock"
	if _, err := n.resolve("eth9"); !errors.Is(err, phc.ErrNotPHC) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// Asking this machine must not fail, whatever clocks it has.
func TestNamesOfThisMachine(t *testing.T) {
	n := kernelNaming()
	if _, err := n.clocks(); err != nil && !errors.Is(err, phc.ErrNotPHC) {
		t.Error(err)
	}
	if _, err := n.resolve("lo"); !errors.Is(err, phc.ErrNotPHC) {
		t.Errorf("lo: %v", err)
	}
}
