// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
)

// Config is how a NIC timestamps: the kernel's struct hwtstamp_config.
type Config struct {
	TxType   TxType
	RxFilter RxFilter
}

// String returns "tx on, rx ptpv2-event".
func (h Config) String() string { return fmt.Sprintf("tx %v, rx %v", h.TxType, h.RxFilter) }

// ReadConfig returns how the interface's NIC timestamps now (SIOCGHWTSTAMP). It needs no privilege. It fails with
// clock.ErrNotSupported where the driver cannot timestamp or cannot say, and with hwts.ErrNoInterface.
func ReadConfig(ifname string) (Config, error) {
	fd, err := ioctlSocket()
	if err != nil {
		return Config{}, fmt.Errorf("read timestamping configuration of %s: %w", ifname, err)
	}
	defer unix.Close(fd)
	raw, err := unix.IoctlGetHwTstamp(fd, ifname)
	if err != nil {
		return Config{}, fmt.Errorf("read timestamping configuration of %s: %w", ifname, ioctlError(err))
	}
	return Config{TxType(raw.Tx_type), RxFilter(raw.Rx_filter)}, nil
}

// SetConfig has the interface's NIC timestamp as wanted (SIOCSHWTSTAMP) and returns what the driver granted, which may be
// more. It needs CAP_NET_ADMIN (EPERM). It fails with clock.ErrNotSupported where the NIC cannot timestamp at all or not
// so, and with hwts.ErrNoInterface. Some drivers reset the NIC for it.
func SetConfig(ifname string, want Config) (granted Config, err error) {
	fd, err := ioctlSocket()
	if err != nil {
		return Config{}, fmt.Errorf("set timestamping of %s: %w", ifname, err)
	}
	defer unix.Close(fd)
	raw := unix.HwTstampConfig{Tx_type: int32(want.TxType), Rx_filter: int32(want.RxFilter)}
	if err := unix.IoctlSetHwTstamp(fd, ifname, &raw); err != nil {
		return Config{}, fmt.Errorf("set timestamping of %s to %v: %w", ifname, want, ioctlError(err))
	}
	return Config{TxType(raw.Tx_type), RxFilter(raw.Rx_filter)}, nil
}

func ioctlSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	return fd, nil
}

// ioctlError adds to the kernel's error the one that callers match.
func ioctlError(err error) error {
	switch {
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("%w (%w)", hwts.ErrNoInterface, err)
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ERANGE), errors.Is(err, unix.ENOTTY),
		errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w (%w)", clock.ErrNotSupported, err)
	}
	return err
}
