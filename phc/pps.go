// SPDX-License-Identifier: Apache-2.0

package phc

import (
	"path/filepath"
	"strconv"
	"strings"
)

// PPSSource is the kernel's PPS source of a clock.
type PPSSource struct {
	// Device is "/dev/ppsN".
	Device string `json:"device"`
	// Pulses is how many it has had since it was registered.
	Pulses uint64 `json:"pulses"`
}

// PPS returns the PPS source of the clock /dev/ptpN; not ok if it has none, or sysfs does not tell.
func PPS(index int) (s PPSSource, ok bool) { return ppsSource(sysRoot, index) }

func ppsSource(root string, index int) (s PPSSource, ok bool) {
	found, _ := filepath.Glob(filepath.Join(root, "sys/class/pps/pps*/name"))
	for _, path := range found {
		name, err := readString("/", path)
		if err != nil || name != "ptp"+strconv.Itoa(index) {
			continue
		}
		dir := filepath.Dir(path)
		s.Device = "/dev/" + filepath.Base(dir)
		// "1700000000.000000123#42", empty before the first pulse.
		if assert, err := readString(dir, "assert"); err == nil {
			_, count, _ := strings.Cut(assert, "#")
			s.Pulses, _ = strconv.ParseUint(count, 10, 64)
		}
		return s, true
	}
	return PPSSource{}, false
}
