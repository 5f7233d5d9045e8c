// SPDX-License-Identifier: Apache-2.0

// Package sysclock has the clocks that the kernel keeps: CLOCK_REALTIME, which it steers and whose status it tells the
// kernel; CLOCK_MONOTONIC; and a virtual clock over CLOCK_MONOTONIC_RAW that needs no privilege and stands for the system
// clock where that is not to be touched.
package sysclock
