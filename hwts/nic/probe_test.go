// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
)

// TestProbeOfWhatLiesOnTop finds the NIC beneath an interface, and takes its clock for what the interface does not tell.
func TestProbeOfWhatLiesOnTop(t *testing.T) {
	links := []link{
		{index: 1, name: "eth0"}, {index: 2, name: "eth1"},
		{index: 3, name: "eth0.7", kind: "vlan", parent: 1},
		{index: 4, name: "mv0", kind: "macvlan", parent: 3},
		{index: 5, name: "moved", kind: "vlan"},            // its parent is in another namespace
		{index: 6, name: "lost", kind: "vlan", parent: 99}, // removed meanwhile
		{index: 7, name: "wire", kind: "veth", parent: 1},  // its parent is its other end
		{index: 8, name: "ring", kind: "vlan", parent: 9},  // no kernel has this
		{index: 9, name: "ring2", kind: "vlan", parent: 8},
		{index: 10, name: "eth1.9", kind: "vlan", parent: 2}, // tells by itself
	}
	const stamps = unix.SOF_TIMESTAMPING_TX_HARDWARE | unix.SOF_TIMESTAMPING_RX_HARDWARE | unix.SOF_TIMESTAMPING_RAW_HARDWARE
	told := map[string]tsInfo{
		"eth0":   {flags: stamps, tx: 1<<TxOff | 1<<TxOn, rx: 1 << RxAll, phc: 3},
		"eth1":   {flags: stamps, tx: 1 << TxOn, phc: 4, statistics: &Statistics{}},
		"eth1.9": {flags: stamps, tx: 1 << TxOn, phc: 5},
	}
	p := &prober{links: links, fd: -1, tsInfo: func(ifname string) (tsInfo, error) {
		if info, ok := told[ifname]; ok {
			return info, nil
		}
		return tsInfo{phc: -1}, unix.EOPNOTSUPP
	}}
	wanted := map[string]struct {
		nic   string
		clock clock.ID
	}{
		"eth0": {"eth0", clock.PHC(3)}, "eth0.7": {"eth0", clock.PHC(3)}, "mv0": {"eth0", clock.PHC(3)},
		"eth1": {"eth1", clock.PHC(4)}, "eth1.9": {"eth1", clock.PHC(5)},
		"moved": {"moved", 0}, "lost": {"lost", 0}, "wire": {"wire", 0}, "ring": {"ring", 0}, "ring2": {"ring2", 0},
	}
	probed := map[string]Capabilities{}
	for i := range links {
		c, want := p.probe(&links[i]), wanted[links[i].name]
		if c.NIC != want.nic || c.Clock() != want.clock || c.Hardware() != (want.clock != 0) {
			t.Errorf("%s is stamped by %s, clock %v, hardware %v; want %s, %v", c.Interface, c.NIC, c.Clock(), c.Hardware(),
				want.nic, want.clock)
		}
		probed[c.Interface] = c
	}
	if c := probed["eth0.7"]; !c.RxFilters.Has(RxAll) {
		t.Errorf("a VLAN has the filters %v, and not those of its NIC", c.RxFilters.List())
	}
	if probed["eth1.9"].Statistics == nil {
		t.Error("a VLAN that tells of its clock has not the statistics of its NIC")
	}
}
