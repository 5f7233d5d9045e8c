// SPDX-License-Identifier: Apache-2.0

package phc

import (
	"bytes"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// phcOfInterface asks by ETHTOOL_GET_TS_INFO.
func phcOfInterface(name string) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	info, err := unix.IoctlGetEthtoolTsInfo(fd, name)
	if err != nil {
		return -1, fmt.Errorf("ETHTOOL_GET_TS_INFO: %w", err)
	}
	return int(info.Phc_index), nil
}

// permanentAddress returns the hardware address that an interface was made with (IFLA_PERM_ADDRESS, since Linux 5.6), empty if
// the kernel does not tell.
func permanentAddress(name string) string {
	answer, err := syscall.NetlinkRIB(unix.RTM_GETLINK, unix.AF_UNSPEC)
	if err != nil {
		return ""
	}
	messages, err := syscall.ParseNetlinkMessage(answer)
	if err != nil {
		return ""
	}
	for i := range messages {
		if messages[i].Header.Type == unix.RTM_NEWLINK {
			if found, address := linkAddress(&messages[i], name); found {
				return address
			}
		}
	}
	return ""
}

// linkAddress returns the permanent address in a message, if that is about the interface of this name.
func linkAddress(m *syscall.NetlinkMessage, name string) (found bool, address string) {
	attributes, err := syscall.ParseNetlinkRouteAttr(m)
	if err != nil {
		return false, ""
	}
	for _, a := range attributes {
		switch a.Attr.Type {
		case unix.IFLA_IFNAME:
			found = string(bytes.TrimRight(a.Value, "\x00")) == name
		case unix.IFLA_PERM_ADDRESS:
			address = net.HardwareAddr(a.Value).String()
		}
	}
	return found, address
}
