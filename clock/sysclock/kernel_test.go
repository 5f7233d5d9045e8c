// SPDX-License-Identifier: Apache-2.0

package sysclock

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lockstep-time/lockstep/clock"
	"golang.org/x/sys/unix"
)

var locked = clock.Status{
	Synchronized: true, MaxError: 1500 * time.Nanosecond, EstError: 20 * time.Nanosecond,
	TAIOffset: 37, TAIOffsetValid: true,
}

func setStatus(t *testing.T, r *Realtime, s clock.Status) {
	t.Helper()
	if err := r.SetStatus(s); err != nil {
		t.Fatal(err)
	}
}

func TestSetStatusTakesOneCallUnlessFlagsChange(t *testing.T) {
	r, k := fakeRealtime()
	setStatus(t, r, locked)
	first := unix.Timex{Modes: unix.ADJ_MAXERROR | unix.ADJ_ESTERROR | unix.ADJ_TAI}
	set(&first.Maxerror, 2)
	set(&first.Esterror, 1)
	set(&first.Constant, 37)
	second := unix.Timex{Modes: unix.ADJ_STATUS}
	if diff := cmp.Diff([]unix.Timex{first, second}, k.calls, cmp.AllowUnexported(unix.Timex{})); diff != "" {
		t.Fatalf("system calls (-want +got):\n%s", diff)
	}
	setStatus(t, r, locked)
	if got := lastCall(t, k, 3); got != first {
		t.Errorf("the same status again wrote %+v", got)
	}
}

func TestSetStatusIsWhatReadKernelReads(t *testing.T) {
	r, k := fakeRealtime()
	k.tick, k.freq = 10_001, 1<<16
	got, err := r.ReadKernel()
	if err != nil {
		t.Fatal(err)
	}
	boot := KernelState{Status: clock.Status{MaxError: 16 * time.Second, EstError: 16 * time.Second}, Frequency: 101_000,
		Flags: unix.STA_UNSYNC}
	if diff := cmp.Diff(boot, got); diff != "" {
		t.Errorf("after boot (-want +got):\n%s", diff)
	}
	s := locked
	s.MaxError, s.EstError, s.Leap = 3*time.Microsecond, time.Microsecond, clock.LeapDelete
	setStatus(t, r, s)
	got, err = r.ReadKernel()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(KernelState{Status: s, Frequency: 101_000, Flags: unix.STA_DEL}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSetStatusKeepsAnUnknownTAIOffset(t *testing.T) {
	r, k := fakeRealtime()
	k.tai = 36
	setStatus(t, r, clock.Status{Synchronized: true, TAIOffset: 5})
	if k.tai != 36 {
		t.Errorf("TAI offset %d", k.tai)
	}
	for _, offset := range []int{-1, 100_001} {
		n := len(k.calls)
		if err := r.SetStatus(clock.Status{TAIOffset: offset, TAIOffsetValid: true}); !errors.Is(err, clock.ErrRange) ||
			len(k.calls) != n {
			t.Errorf("offset %d: %v", offset, err)
		}
	}
}

func TestSetStatusOfUnsynchronisedClockSaysSo(t *testing.T) {
	r, k := fakeRealtime()
	setStatus(t, r, locked)
	setStatus(t, r, clock.Status{MaxError: time.Hour})
	if k.status&unix.STA_UNSYNC == 0 || k.maxError != 16_000_000 {
		t.Errorf("flags %#x, maximum error %d µs", k.status, k.maxError)
	}
}

func TestSetStatusAfterAStepSynchronisesAgain(t *testing.T) {
	r, k := fakeRealtime()
	setStatus(t, r, locked)
	if err := r.Step(time.Second); err != nil {
		t.Fatal(err)
	}
	if k.status&unix.STA_UNSYNC == 0 {
		t.Fatal("the model of the kernel does not do what the kernel does")
	}
	setStatus(t, r, locked)
	if k.status&unix.STA_UNSYNC != 0 || k.maxError != 2 {
		t.Errorf("flags %#x, maximum error %d µs", k.status, k.maxError)
	}
}

func TestSetStatusSwitchesTheKernelsLoopsOffAndKeepsOtherFlags(t *testing.T) {
	const others = unix.STA_FREQHOLD | unix.STA_INS
	r, k := fakeRealtime()
	k.status = unix.STA_UNSYNC | unix.STA_PLL | unix.STA_FLL | unix.STA_PPSFREQ | unix.STA_PPSTIME | unix.STA_NANO | others
	setStatus(t, r, locked)
	if k.status != others|unix.STA_NANO {
		t.Errorf("flags %#x, want %#x", k.status, others|unix.STA_NANO)
	}
	setStatus(t, r, clock.Status{})
	if k.status != others|unix.STA_NANO|unix.STA_UNSYNC {
		t.Errorf("flags %#x when unsynchronised", k.status)
	}
}

func TestSetStatusArmsAndDisarmsItsOwnLeapSecond(t *testing.T) {
	r, k := fakeRealtime()
	s := locked
	s.Leap = clock.LeapInsert
	setStatus(t, r, s)
	if k.status != unix.STA_INS {
		t.Fatalf("flags %#x", k.status)
	}
	s.Leap = clock.LeapDelete
	setStatus(t, r, s)
	if k.status != unix.STA_DEL {
		t.Fatalf("flags %#x after a change of mind", k.status)
	}
	setStatus(t, r, locked)
	if k.status != 0 {
		t.Fatalf("flags %#x after it was taken back", k.status)
	}
}

func TestSetStatusLeavesALeapSecondOfOthersUntilItHasHappened(t *testing.T) {
	r, k := fakeRealtime()
	k.tai = 37
	k.status |= unix.STA_INS
	s := locked
	s.TAIOffsetValid = false
	setStatus(t, r, s)
	if k.status != unix.STA_INS {
		t.Fatalf("flags %#x before midnight", k.status)
	}
	k.midnight()
	setStatus(t, r, s)
	k.second()
	if k.status != 0 || k.state != unix.TIME_OK || k.tai != 38 {
		t.Errorf("flags %#x, state %d, TAI offset %d after midnight", k.status, k.state, k.tai)
	}
}

// TestReadKernelAfterALeapSecond reads what a daemon finds that was not there when the leap second came: its flag is still
// set, but none is to come.
func TestReadKernelAfterALeapSecond(t *testing.T) {
	r, k := fakeRealtime()
	k.status, k.maxError = unix.STA_INS, 0 // synchronised: else the kernel does not tell
	leap := func() clock.Leap {
		got, err := r.ReadKernel()
		if err != nil {
			t.Fatal(err)
		}
		return got.Leap
	}
	if leap() != clock.LeapInsert {
		t.Error("nothing is armed before midnight")
	}
	k.midnight()
	k.second()
	if k.status&unix.STA_INS == 0 || leap() != clock.NoLeap {
		t.Errorf("flags %#x: another one is armed after midnight", k.status)
	}
}

func TestSetStatusRemembersAnArmedLeapSecondOnlyIfItWasArmed(t *testing.T) {
	r, k := fakeRealtime()
	s := locked
	s.Leap = clock.LeapInsert
	k.err = unix.EPERM
	if err := r.SetStatus(s); err == nil {
		t.Fatal("no error")
	}
	k.err = nil
	k.status |= unix.STA_INS
	setStatus(t, r, locked)
	if k.status != unix.STA_INS {
		t.Errorf("flags %#x: took back what another program armed", k.status)
	}
}
