// SPDX-License-Identifier: Apache-2.0

package phc

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// node is the number of a character device, by which it can be told under any name.
type node struct{ major, minor uint32 }

// nodeOf returns the number of the character device at the end of a path. It fails if something else is there.
func nodeOf(path string) (node, error) {
	var s unix.Statx_t
	// Without asking for news, a network file system whose server is away does not hold this up.
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE, &s); err != nil {
		return node{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if s.Mode&unix.S_IFMT != unix.S_IFCHR {
		return node{}, fmt.Errorf("%s is no character device", path)
	}
	return node{s.Rdev_major, s.Rdev_minor}, nil
}

// clockNode returns the number of /dev/ptpN, from sysfs, else from the device itself.
func clockNode(root string, index int) (n node, err error) {
	if s, err := readString(root, ptpAttr(index, "dev")); err == nil {
		if _, err := fmt.Sscanf(s, "%d:%d", &n.major, &n.minor); err == nil {
			return n, nil
		}
	}
	return nodeOf(filepath.Join(root, "dev/ptp"+strconv.Itoa(index)))
}
