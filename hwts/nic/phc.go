// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/internal/plain"
)

// netClass is where sysfs has the network interfaces; tests have trees of their own.
const netClass = "/sys/class/net"

// PHC returns the N of the /dev/ptpN that an interface stands for: the clock that stamps its packets, as in Capabilities;
// where the kernel tells of none, the clock of the interface's device, or of an interface below it, such as a member of a
// bridge. It is -1 if there is none. It fails with hwts.ErrNoInterface, and with the kernel's error if that is why none was
// found.
func PHC(ifname string) (int, error) {
	index, err := stampedBy(ifname)
	if index >= 0 || errors.Is(err, hwts.ErrNoInterface) {
		return index, err
	}
	if index := deviceClock(netClass, ifname); index >= 0 {
		return index, nil
	}
	return -1, err
}

// stampedBy asks the kernel; -1 if that tells of no clock.
func stampedBy(ifname string) (int, error) {
	p, l, err := proberOf(ifname)
	if err != nil {
		return -1, fmt.Errorf("clock of interface %s: %w", ifname, err)
	}
	defer p.close()
	info, err := p.timestamping(l, p.nic(l))
	return info.phc, err
}

// deviceClock looks into sysfs for the clock of an interface's device, and of the devices of the interfaces right below it.
// It returns -1 if there is none.
func deviceClock(class, ifname string) int {
	if strings.ContainsRune(ifname, filepath.Separator) {
		return -1
	}
	names := []string{ifname}
	entries, _ := os.ReadDir(filepath.Join(class, ifname)) // without them there is nothing below it
	for _, e := range entries {
		if name, ok := strings.CutPrefix(e.Name(), "lower_"); ok {
			names = append(names, name)
		}
	}
	for _, name := range names {
		clocks, _ := os.ReadDir(filepath.Join(class, name, "device/ptp"))
		for _, e := range clocks {
			number, ok := strings.CutPrefix(e.Name(), "ptp")
			if n, err := strconv.ParseInt(number, 10, 32); ok && err == nil && phcIndex(int32(n)) >= 0 {
				return int(n)
			}
		}
	}
	return -1
}

// PermanentAddress returns the hardware address that an interface was made with, which stays the same when a bond or a
// bridge gives the interface another, such as "52:54:00:12:34:56". It is the present address where the kernel does not tell
// the permanent one, as before Linux 5.6, and empty if there is no such interface.
func PermanentAddress(ifname string) string {
	links, _ := listLinks() // without them it is the present address
	return permanentAddress(links, netClass, ifname)
}

func permanentAddress(links []link, class, ifname string) string {
	for i := range links {
		if links[i].name == ifname && links[i].permanent != "" {
			return links[i].permanent
		}
	}
	b, err := os.ReadFile(filepath.Join(class, ifname, "address"))
	if err != nil {
		return ""
	}
	return plain.Short(strings.TrimSpace(string(b)))
}
