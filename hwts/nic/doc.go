// SPDX-License-Identifier: Apache-2.0

// Package nic says which network interfaces there are and what their NICs can timestamp, keeps the timestamping
// configuration of a NIC, and watches interfaces come and go. It asks the kernel by rtnetlink, ethtool's netlink and
// ioctls.
//
// Errors name the operation and the interface, and wrap the kernel's error, ErrConfig, hwts.ErrNoInterface or
// clock.ErrNotSupported.
package nic

import "errors"

// ErrConfig: there is no transmit type or receive filter of this name; the error's text says which there are.
var ErrConfig = errors.New("invalid configuration")
