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
	// Serial is the serial number that the driver shows, empty if it shows none, as the drivers of most NICs.
	Serial string `json:"serial"`
	// Interfaces are the network interfaces of the same device.
	Interfaces []string `json:"interfaces"`
	// Parent is the index of the clock on top of which this one is virtual, −1 for a physical one.
	Parent int `json:"parent"`
	// VirtualClocks on top of it, and how many there may be.
	VirtualClocks    int `json:"virtual_clocks"`
	MaxVirtualClocks int `json:"max_virtual_clocks"`
}

// StableNames returns names that stay the same whatever number the kernel gives the clock: its bus address, and
// "driver:serial".
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
func List() ([]Info, error) { return list(sysRoot) }

func list(root string) ([]Info, error) {
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
			infos = append(infos, inspect(root, index))
		}
	}
	slices.SortFunc(infos, func(a, b Info) int { return a.Index - b.Index })
	return infos, nil
}

// inspect reads what sysfs has of one clock.
func inspect(root string, index int) Info {
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
	i.Serial = serial(root, index)
	i.VirtualClocks, _ = readInt(root, ptpAttr(index, "n_vclocks"))
	i.MaxVirtualClocks, _ = readInt(root, ptpAttr(index, "max_vclocks"))
	return i
}

// serial returns the serial number that the driver shows, empty if it shows none.
func serial(root string, index int) string {
	for _, pattern := range []string{"device/serialnum", "device/serial_number", "device/timecard/*/serialnum"} {
		found, _ := filepath.Glob(filepath.Join(root, ptpDir(index), pattern))
		for _, path := range found {
			if s, err := readString("/", path); err == nil && s != "" {
				return s
			}
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

// Resolve returns the number of the clock whose device name stands for: "/dev/ptpN", a link to it or a node of that device,
// "ptpN" or "N". It fails with [ErrNotPHC].
func Resolve(name string) (int, error) { return resolve(sysRoot, name) }

// resolve is Resolve on a tree of its own.
func resolve(root, name string) (int, error) {
	if index, ok := deviceNumber(name); ok {
		return index, nil
	}
	if strings.HasPrefix(name, "/") {
		return ofPath(root, name)
	}
	return 0, fmt.Errorf("%q: %w: want /dev/ptpN, ptpN, N or the path of such a device", name, ErrNotPHC)
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
