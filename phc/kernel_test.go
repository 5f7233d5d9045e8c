// SPDX-License-Identifier: Apache-2.0

package phc

import (
	"context"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// What a field of the kernel's has no room for is refused, and not cut off.
func TestWidths(t *testing.T) {
	var narrow int32
	var wide int64
	for _, c := range []struct {
		v  int64
		ok bool
	}{{math.MaxInt32, true}, {math.MinInt32, true}, {math.MaxInt32 + 1, false}, {math.MinInt32 - 1, false}, {1 << 32, false}} {
		if ok := assign(&narrow, c.v); ok != c.ok {
			t.Errorf("%d in 32 bits: %v", c.v, ok)
		}
		if !assign(&wide, c.v) || wide != c.v {
			t.Errorf("%d in 64 bits became %d", c.v, wide)
		}
	}
	if got := widest(narrow); got != 32_767_999 {
		t.Errorf("32 bits have room for %.0f ppb", got)
	}
	if got := widest(wide); got < 1e14 {
		t.Errorf("64 bits have room for %.0f ppb", got)
	}
}

func TestOpenAbsent(t *testing.T) {
	_, err := OpenIndex(maxIndex)
	if !errors.Is(err, ErrNotPHC) || !strings.Contains(err.Error(), "/dev/ptp65533") {
		t.Errorf("%v", err)
	}
}

// A character device that is no PHC goes through the real system calls.
func TestOpenOtherDevice(t *testing.T) {
	k, err := openDevice("/dev/null", 0, os.O_RDWR)
	if err != nil {
		t.Skipf("/dev/null: %v", err)
	}
	defer k.Close()
	if _, err := NewDevice(k, 0, ""); !errors.Is(err, ErrNotPHC) {
		t.Errorf("%v", err)
	}
	if err := k.GetTime(new(unix.Timespec)); err == nil {
		t.Error("/dev/null has a clock")
	}
}

// A pipe has the same poller as a device: events come as they are, cancelling ends the wait, and so does closing.
func TestEventsOfDescriptor(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	raw, err := r.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	d := &device{file: r, raw: raw}
	want := []unix.PtpExttsEvent{{T: unix.PtpClockTime{Sec: 5, Nsec: 6}, Index: 1}, {T: unix.PtpClockTime{Sec: 7}, Index: 2}}
	if _, err := w.Write(unsafe.Slice((*byte)(unsafe.Pointer(&want[0])), 64)); err != nil {
		t.Fatal(err)
	}
	events := make([]unix.PtpExttsEvent, 8)
	n, err := d.Read(context.Background(), events)
	if diff := cmp.Diff(want, events[:n]); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for range 50 {
		ctx, cancel := context.WithCancel(context.Background())
		go cancel()
		if _, err := d.Read(ctx, events); !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled: %v", err)
		}
	}
	done := make(chan error)
	go func() {
		_, err := d.Read(context.Background(), events)
		done <- err
	}()
	r.Close()
	if err := <-done; err == nil {
		t.Error("a closed device gave events")
	}
}
