// SPDX-License-Identifier: Apache-2.0

// Package peers has what lockstepd talks to in the demonstration and in the tests with real sockets: a PTP grandmaster and
// an NTP server. Both serve this machine's time, CLOCK_REALTIME, by kernel timestamps; what they say is decided by packages
// ptptest and ntptest.
package peers
