// SPDX-License-Identifier: Apache-2.0

// Package netns has tests of the real lockstepd in network namespaces: against peers of other projects, bad input, and
// everything that an administrator and a kernel do to a daemon. No clock of the machine is touched: the daemons steer
// virtual clocks, by the kernel's timestamps.
package netns
