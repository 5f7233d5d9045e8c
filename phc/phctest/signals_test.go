// SPDX-License-Identifier: Apache-2.0

package phctest

import (
	"errors"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/phc"
)

// The simulated kernel refuses what the kernel does, whatever asks.
func TestKernelChecksExtTS(t *testing.T) {
	const on, rising, offset = unix.PTP_ENABLE_FEATURE, unix.PTP_RISING_EDGE, unix.PTP_EXT_OFFSET
	for _, c := range []struct {
		req  uint
		r    unix.PtpExttsRequest
		want error
	}{
		{unix.PTP_EXTTS_REQUEST2, unix.PtpExttsRequest{Flags: on | rising}, nil},
		{unix.PTP_EXTTS_REQUEST2, unix.PtpExttsRequest{Flags: on}, unix.EINVAL},
		{unix.PTP_EXTTS_REQUEST2, unix.PtpExttsRequest{Flags: on | offset}, unix.EINVAL},
		{unix.PTP_EXTTS_REQUEST2, unix.PtpExttsRequest{Flags: on | rising | 1<<5}, unix.EINVAL},
		{unix.PTP_EXTTS_REQUEST2, unix.PtpExttsRequest{Flags: on | rising, Rsv: [2]uint32{0, 1}}, unix.EINVAL},
		{unix.PTP_EXTTS_REQUEST2, unix.PtpExttsRequest{}, nil},
		{unix.PTP_EXTTS_REQUEST2, unix.PtpExttsRequest{Index: 2}, unix.EINVAL},
		{unix.PTP_EXTTS_REQUEST, unix.PtpExttsRequest{Flags: on | 1<<5}, nil},
		{unix.PTP_EXTTS_REQUEST, unix.PtpExttsRequest{Index: 2}, unix.EINVAL},
	} {
		f := New(Config{Now: func() int64 { return 0 }, Caps: phc.Caps{ExtTS: 2, PerOut: 1}})
		if err := f.kernel.Ioctl(c.req, unsafe.Pointer(&c.r)); !errors.Is(err, c.want) {
			t.Errorf("%#x %+v: %v, want %v", c.req, c.r, err, c.want)
		}
	}
}

func TestKernelChecksPerOut(t *testing.T) {
	second, half := unix.PtpClockTime{Sec: 1}, unix.PtpClockTime{Nsec: 5e8}
	for _, c := range []struct {
		req  uint
		r    unix.PtpPeroutRequest
		want error
	}{
		{unix.PTP_PEROUT_REQUEST2, unix.PtpPeroutRequest{Period: second, On: half, Flags: unix.PTP_PEROUT_DUTY_CYCLE}, nil},
		{unix.PTP_PEROUT_REQUEST2, unix.PtpPeroutRequest{Period: half, On: second, Flags: unix.PTP_PEROUT_DUTY_CYCLE},
			unix.ERANGE},
		{unix.PTP_PEROUT_REQUEST2, unix.PtpPeroutRequest{Period: second, On: half}, unix.EINVAL},
		{unix.PTP_PEROUT_REQUEST2, unix.PtpPeroutRequest{Period: second, StartOrPhase: second, Flags: unix.PTP_PEROUT_PHASE},
			unix.ERANGE},
		{unix.PTP_PEROUT_REQUEST2, unix.PtpPeroutRequest{Period: second, StartOrPhase: second}, nil},
		{unix.PTP_PEROUT_REQUEST2, unix.PtpPeroutRequest{Period: second, Flags: 1 << 3}, unix.EINVAL},
		{unix.PTP_PEROUT_REQUEST, unix.PtpPeroutRequest{Period: second, Flags: 1 << 3}, nil},
		{unix.PTP_PEROUT_REQUEST, unix.PtpPeroutRequest{Period: second, Index: 1}, unix.EINVAL},
	} {
		f := New(Config{Now: func() int64 { return 0 }, Caps: phc.Caps{ExtTS: 2, PerOut: 1}})
		if err := f.kernel.Ioctl(c.req, unsafe.Pointer(&c.r)); !errors.Is(err, c.want) {
			t.Errorf("%#x %+v: %v, want %v", c.req, c.r, err, c.want)
		}
	}
}
