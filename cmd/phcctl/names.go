// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/phc"
)

// errAmbiguous: the name stands for several clocks.
var errAmbiguous = errors.New("ambiguous name")

// naming finds the clock that a name stands for, by what the kernel tells of clocks and of interfaces.
type naming struct {
	// device is phc.Resolve, list phc.List, ofNIC nic.PHC, address nic.PermanentAddress, probe nic.Probe.
	device  func(name string) (int, error)
	list    func() ([]phc.Info, error)
	ofNIC   func(ifname string) (int, error)
	address func(ifname string) string
	probe   func(ifname string) (nic.Capabilities, error)
}

// kernelNaming returns the naming of this host.
func kernelNaming() *naming {
	return &naming{device: phc.Resolve, list: phc.List, ofNIC: nic.PHC, address: nic.PermanentAddress, probe: nic.Probe}
}

// open opens the clock that a name stands for, by phc.Open or phc.OpenRead.
func (n *naming) open(name string, by func(device string) (*phc.Device, error)) (*phc.Device, error) {
	index, err := n.resolve(name)
	if err != nil {
		return nil, err
	}
	return by(fmt.Sprintf("/dev/ptp%d", index))
}

// clocks returns all clocks of the host in order of their numbers. The serial number of one that shows none is the
// hardware address of its first interface. It fails with phc.ErrNotPHC where the kernel has no PTP support.
func (n *naming) clocks() ([]phc.Info, error) {
	infos, err := n.list()
	for i := range infos {
		for _, ifname := range infos[i].Interfaces {
			if infos[i].Serial == "" {
				infos[i].Serial = n.address(ifname)
			}
		}
	}
	return infos, err
}

// resolve returns the number of the clock that name stands for: a device, see phc.Resolve; an interface (a VLAN or another
// on top of a NIC has that one's clock); the bus address of the hardware ("0000:01:00.0", "01:00.0"); or "driver:serial"
// ("igb:52:54:00:12:34:56"). It fails with phc.ErrNotPHC or errAmbiguous.
func (n *naming) resolve(name string) (int, error) {
	if index, err := n.device(name); err == nil || strings.HasPrefix(name, "/") {
		return index, err
	}
	index, err := n.ofInterface(name)
	if err == nil {
		return index, nil
	}
	// Where interfaces cannot be asked for, the name may be of another kind all the same.
	stable, errStable := n.byStableName(name)
	if errStable == nil || errors.Is(err, hwts.ErrNoInterface) {
		return stable, errStable
	}
	return 0, err
}

// ofInterface returns the clock of an interface. It fails with hwts.ErrNoInterface, or with phc.ErrNotPHC.
func (n *naming) ofInterface(name string) (int, error) {
	index, err := n.ofNIC(name)
	switch {
	case errors.Is(err, hwts.ErrNoInterface):
		return 0, err
	case err != nil:
		return 0, fmt.Errorf("interface %s: %w: %w", name, phc.ErrNotPHC, err)
	case index >= 0:
		return index, nil
	}
	driver := "its driver"
	if c, err := n.probe(name); err == nil && c.Driver != "" {
		driver = "driver " + c.Driver
	}
	return 0, fmt.Errorf("interface %s: %w: %s has registered none", name, phc.ErrNotPHC, driver)
}

// byStableName looks for a clock by what does not change between boots.
func (n *naming) byStableName(name string) (int, error) {
	infos, err := n.clocks()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	var found []string
	index := 0
	for _, i := range infos {
		match := name != "" && slices.Contains(i.StableNames(), name) || i.Bus != "" && i.Bus == "0000:"+name
		if match && i.Parent < 0 {
			found = append(found, i.Device)
			index = i.Index
		}
	}
	switch len(found) {
	case 0:
		return 0, fmt.Errorf("%q: %w: neither a device, an interface, a bus address nor driver:serial", name, phc.ErrNotPHC)
	case 1:
		return index, nil
	}
	return 0, fmt.Errorf("%s: %w: it is of %s", name, errAmbiguous, strings.Join(found, ", "))
}
