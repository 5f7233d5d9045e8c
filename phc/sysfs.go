// SPDX-License-Identifier: Apache-2.0

package phc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-time/lockstep/internal/plain"
)

// sysRoot is where the kernel's file systems are; tests have trees of their own.
const sysRoot = "/"

func ptpDir(index int) string               { return "sys/class/ptp/ptp" + strconv.Itoa(index) }
func ptpAttr(index int, name string) string { return ptpDir(index) + "/" + name }

// readString reads a name that a driver, a device or another process has given itself: it has nothing that a terminal obeys.
func readString(root, path string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, path))
	return plain.Short(strings.TrimSpace(string(b))), err
}

func readInt(root, path string) (int, error) {
	s, err := readString(root, path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(s)
}

// clockName returns the name that the driver gives the clock, empty if sysfs does not tell.
func clockName(root string, index int) string {
	s, _ := readString(root, ptpAttr(index, "clock_name"))
	return s
}

// driverName returns the name of the driver, else of the clock.
func driverName(root string, index int) string {
	target, err := os.Readlink(filepath.Join(root, ptpDir(index), "device/driver"))
	if err != nil {
		return clockName(root, index)
	}
	return plain.Short(filepath.Base(target))
}

// Info is what sysfs tells of a clock without opening it.
type Info struct {
	Index int `json:"index"`
	// Device is "/dev/ptpN", ClockName the name that the driver gives it, Driver the driver's own: "igb".
	Device    string `json:"device"`
	ClockName string `json:"clock_name"`
	Driver    string `json:"driver"`
	// Bus is the address of the hardware: "0000:01:00.0".
	Bus string `json:"bus"`
	// Serial tells this device from others of its driver: a serial number or a hardware address, empty if it has none.
	Serial string `json:"serial"`
	// Interfaces whose NIC has the clock.
	Interfaces []string `json:"interfaces"`
	// Parent is the index of the clock on top of which this one is virtual, −1 for a physical one.
	Parent int `json:"parent"`
	// VirtualClocks on top of it, and how many there may be.
	VirtualClocks    int `json:"virtual_clocks"`
	MaxVirtualClocks int `json:"max_virtual_clocks"`
}

// StableNames returns the names by which [Resolve] finds the clock whatever its number.
func (i Info) StableNames() []string {
	var names []string
	if i.Bus != "" {
		names = append(names, i.Bus)
	}
	if i.Serial != "" && i.Driver != "" {
		names = append(names, i.Driver+":"+i.Serial)
	}
	return names
}

// List returns all clocks of the host in order of their numbers. A host without the kernel's PTP support has none, and
// the error is [ErrNotPHC], saying so.
func List() ([]Info, error) { return list(sysRoot, permanentAddress) }

func list(root string, permanent func(string) string) ([]Info, error) {
	entries, err := os.ReadDir(filepath.Join(root, "sys/class/ptp"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list clocks: the kernel has no PTP clock support (/sys/class/ptp is missing): %w", ErrNotPHC)
	}
	if err != nil {
		return nil, fmt.Errorf("list clocks: %w", err)
	}
	var infos []Info
	for _, e := range entries {
		number, ok := strings.CutPrefix(e.Name(), "ptp")
		if index, err := strconv.Atoi(number); ok && err == nil {
			infos = append(infos, inspect(root, index, permanent))
		}
	}
	slices.SortFunc(infos, func(a, b Info) int { return a.Index - b.Index })
	return infos, nil
}

// inspect reads what sysfs has of one clock.
func inspect(root string, index int, permanent func(string) string) Info {
	i := Info{Index: index, Device: "/dev/ptp" + strconv.Itoa(index), Parent: -1, ClockName: clockName(root, index)}
	device := filepath.Join(root, ptpDir(index), "device")
	if target, err := filepath.EvalSymlinks(device); err == nil {
		base := filepath.Base(target)
		if number, ok := strings.CutPrefix(base, "ptp"); ok && filepath.Base(filepath.Dir(target)) == "ptp" {
			if p, err := strconv.Atoi(number); err == nil {
				i.Parent = p
			}
		} else {
			i.Bus = plain.Short(base)
		}
	}
	i.Driver = driverName(root, index)
	i.Interfaces = interfacesOf(root, index)
	i.Serial = serial(root, index, i.Interfaces, permanent)
	i.VirtualClocks, _ = readInt(root, ptpAttr(index, "n_vclocks"))
	i.MaxVirtualClocks, _ = readInt(root, ptpAttr(index, "max_vclocks"))
	return i
}

// serial returns a serial number that the driver shows, else the first interface's hardware address: the permanent one, since
// bonds and bridges give their members another.
func serial(root string, index int, interfaces []string, permanent func(string) string) string {
	for _, pattern := range []string{"device/serialnum", "device/serial_number", "device/timecard/*/serialnum"} {
		found, _ := filepath.Glob(filepath.Join(root, ptpDir(index), pattern))
		for _, path := range found {
			if s, err := readString("/", path); err == nil && s != "" {
				return s
			}
		}
	}
	for _, name := range interfaces {
		if s := permanent(name); s != "" {
			return s
		}
		if s, err := readString(root, "sys/class/net/"+name+"/address"); err == nil {
			return s
		}
	}
	return ""
}

// interfacesOf returns the interfaces whose device has the clock.
func interfacesOf(root string, index int) []string {
	found, _ := filepath.Glob(filepath.Join(root, "sys/class/net/*/device/ptp/ptp"+strconv.Itoa(index)))
	var names []string
	for _, path := range found {
		rel, err := filepath.Rel(filepath.Join(root, "sys/class/net"), path)
		if err == nil {
			names = append(names, strings.Split(rel, string(filepath.Separator))[0])
		}
	}
	return names
}

// Resolve returns the number of the clock that name stands for: "/dev/ptpN", a link to it or a node of that device, "ptpN", "N", an interface
// (a VLAN or another on top of a NIC has that one's clock), the bus address of the hardware ("0000:01:00.0", "01:00.0"), or
// "driver:serial" ("igb:52:54:00:12:34:56"). It fails with [ErrNotPHC] or [ErrAmbiguous].
func Resolve(name string) (int, error) {
	return resolve(sysRoot, name, phcOfInterface, permanentAddress)
}

// resolve is Resolve on a tree of its own, ask and permanent being the kernel's answers for an interface: its clock, −1 if it has
// none, and its permanent address.
func resolve(root, name string, ask func(string) (int, error), permanent func(string) string) (int, error) {
	if index, ok := deviceNumber(name); ok {
		return index, nil
	}
	if strings.HasPrefix(name, "/") {
		return ofPath(root, name)
	}
	if name != "" && !strings.ContainsAny(name, "/") {
		if _, err := os.Stat(filepath.Join(root, "sys/class/net", name)); err == nil {
			return ofInterface(root, name, ask)
		}
	}
	return byStableName(root, name, permanent)
}

// ofPath returns the clock whose device is at the end of a path: /dev/ptpN, or a node of that device by another name.
func ofPath(root, name string) (int, error) {
	target, err := filepath.EvalSymlinks(filepath.Join(root, name))
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %w", name, ErrNotPHC, err)
	}
	if filepath.Dir(target) == filepath.Join(root, "dev") {
		if index, ok := deviceNumber("/dev/" + filepath.Base(target)); ok {
			return index, nil
		}
	}
	n, err := nodeOf(target)
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %w", name, ErrNotPHC, err)
	}
	clocks, _ := filepath.Glob(filepath.Join(root, "sys/class/ptp/ptp*"))
	for _, path := range clocks {
		if index, ok := deviceNumber(filepath.Base(path)); ok {
			if own, err := clockNode(root, index); err == nil && own == n {
				return index, nil
			}
		}
	}
	return 0, fmt.Errorf("%s: %w: it is no /dev/ptpN", name, ErrNotPHC)
}

// deviceNumber parses "/dev/ptpN", "ptpN" and "N".
func deviceNumber(name string) (int, bool) {
	s, device := strings.CutPrefix(name, "/dev/")
	s, ptp := strings.CutPrefix(s, "ptp")
	if device && !ptp || s == "" || len(s) > 5 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	index, err := strconv.Atoi(s)
	return index, err == nil && index <= maxIndex
}

// maxIndex is the largest N that a clock.ID can name.
const maxIndex = 65533

// ofInterface asks the kernel, which knows about VLANs and bonds, and looks into sysfs where it does not say.
func ofInterface(root, name string, ask func(string) (int, error)) (int, error) {
	index, err := ask(name)
	if err == nil && index >= 0 {
		return index, nil
	}
	for _, dir := range append([]string{name}, lower(root, name)...) {
		found, _ := filepath.Glob(filepath.Join(root, "sys/class/net", dir, "device/ptp/ptp*"))
		for _, path := range found {
			if index, ok := deviceNumber(filepath.Base(path)); ok {
				return index, nil
			}
		}
	}
	if err != nil {
		return 0, fmt.Errorf("interface %s: %w: %w", name, ErrNotPHC, err)
	}
	driver := "its driver"
	if target, err := os.Readlink(filepath.Join(root, "sys/class/net", name, "device/driver")); err == nil {
		driver = "driver " + plain.Short(filepath.Base(target))
	}
	return 0, fmt.Errorf("interface %s: %w: %s has registered none", name, ErrNotPHC, driver)
}

// lower returns the interfaces below a VLAN.
func lower(root, name string) []string {
	found, _ := filepath.Glob(filepath.Join(root, "sys/class/net", name, "lower_*"))
	var names []string
	for _, path := range found {
		names = append(names, strings.TrimPrefix(filepath.Base(path), "lower_"))
	}
	return names
}

// byStableName looks for a clock by what does not change between boots.
func byStableName(root, name string, permanent func(string) string) (int, error) {
	infos, err := list(root, permanent)
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
		return 0, fmt.Errorf("%q: %w: neither a device, an interface, a bus address nor driver:serial", name, ErrNotPHC)
	case 1:
		return index, nil
	}
	return 0, fmt.Errorf("%s: %w: it is of %s", name, ErrAmbiguous, strings.Join(found, ", "))
}
