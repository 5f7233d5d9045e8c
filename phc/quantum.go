// SPDX-License-Identifier: Apache-2.0

package phc

import "math"

// quantum82576 is the smallest change of the Intel 82576's frequency: its increment register counts 2^-23 of the
// nominal rate. The kernel takes any frequency and cuts it off towards 0 without saying so.
const quantum82576 = 1e9 / (1 << 23)

// max82576 is the maximum adjustment by which that chip is told from the others of its driver, ppb.
const max82576 = 999_999_881

// FrequencyQuantum returns the smallest change of frequency, in ppb, of a PHC whose driver and maximum adjustment are
// given, if it is coarse enough to matter; 0 if it is not, or nothing is known about it.
func FrequencyQuantum(driver string, maxFrequency float64) float64 {
	if driver == "igb" && maxFrequency == max82576 {
		return quantum82576
	}
	return 0
}

// Quantize returns the multiple of quantum nearest to ppb, applied, and what has to be set for a driver that cuts off
// towards 0 to take it. The quantum is positive.
func Quantize(ppb, quantum float64) (set, applied float64) {
	n := math.Round(ppb / quantum)
	switch {
	case n > 0:
		set = (n + 0.5) * quantum
	case n < 0:
		set = (n - 0.5) * quantum
	}
	return set, n * quantum
}
