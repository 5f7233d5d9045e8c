// SPDX-License-Identifier: Apache-2.0

package phc_test

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/phc"
	"github.com/lockstep-time/lockstep/phc/phctest"
)

// world is virtual time, starting late enough that float64 seconds would lose nanoseconds.
type world struct{ now int64 }

func (w *world) Now() int64              { return w.now }
func (w *world) advance(d time.Duration) { w.now += int64(d) }
func newWorld() *world                   { return &world{now: 1_700_000_000_123_456_789} }
func seeded() *rand.Rand                 { return rand.New(rand.NewPCG(1, 2)) }

func mustNow(t *testing.T, c clock.Clock) int64 {
	t.Helper()
	ts, err := c.Now()
	if err != nil {
		t.Fatal(err)
	}
	return ts.Nanoseconds()
}

func TestIdentity(t *testing.T) {
	f := phctest.New(phctest.Config{Index: 7, Now: newWorld().Now})
	if f.ID() != clock.PHC(7) || f.Name() != "/dev/ptp7" || f.Scale() != clock.TAI || f.Driver() != "fake" || f.Index() != 7 {
		t.Errorf("%v %s %v %s", f.ID(), f.Name(), f.Scale(), f.Driver())
	}
	if r, err := f.Resolution(); r != 1 || err != nil {
		t.Errorf("resolution %v, %v", r, err)
	}
}

func TestStepIsExact(t *testing.T) {
	for _, d := range []time.Duration{1, -1, 999_999_999, -999_999_999, 1e9, -1e9, 1_700_000_000_000_000_001,
		-1_600_000_000_000_000_001} {
		w := newWorld()
		f := phctest.New(phctest.Config{Now: w.Now})
		before := mustNow(t, f)
		if err := f.Step(d); err != nil {
			t.Fatalf("step %d: %v", d, err)
		}
		if got := mustNow(t, f) - before; got != int64(d) {
			t.Errorf("step %d moved the clock by %d", d, got)
		}
	}
}

// On a machine of 32 bits the same calls fail that work on one of 64.
func TestValuesOf64Bits(t *testing.T) {
	f := phctest.New(phctest.Config{Now: newWorld().Now, Caps: phc.Caps{MaxAdjust: 62_499_999}})
	narrow := unsafe.Sizeof(unix.Timex{}.Freq) == 4
	want, most := error(nil), 62_499_999.
	if narrow {
		want, most = clock.ErrRange, 32_767_999
	}
	if got := f.MaxFrequency(); got != most {
		t.Errorf("the maximum frequency is %.0f ppb, want %.0f", got, most)
	}
	for name, err := range map[string]error{
		"step": f.Step(1 << 31 * time.Second), "frequency": f.SetFrequency(50_000_000), "set": f.Set(1 << 31 * 1e9),
	} {
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if err := f.SetFrequency(-most); err != nil {
		t.Error(err)
	}
}

func TestSet(t *testing.T) {
	f := phctest.New(phctest.Config{Now: newWorld().Now})
	if err := f.Set(1_234_567_890_987_654_321); err != nil {
		t.Fatal(err)
	}
	if got := mustNow(t, f); got != 1_234_567_890_987_654_321 {
		t.Errorf("reads %d", got)
	}
	if err := f.Set(-1); !errors.Is(err, clock.ErrRange) {
		t.Errorf("negative time: %v", err)
	}
}

func TestFrequency(t *testing.T) {
	w := newWorld()
	f := phctest.New(phctest.Config{Now: w.Now, Caps: phc.Caps{MaxAdjust: 100000}})
	if err := f.SetFrequency(50000); err != nil {
		t.Fatal(err)
	}
	w.advance(10 * time.Second)
	if e := f.Error(); (e - 500*time.Microsecond).Abs() > 100 { // the kernel's unit is 1/65.536 ppb
		t.Errorf("after 10 s at 50 ppm the clock is %v ahead", e)
	}
	if ppb, err := f.Frequency(); err != nil || math.Abs(ppb-50000) > 0.01 {
		t.Errorf("frequency %v, %v", ppb, err)
	}
	for _, ppb := range []float64{100001, -100001, math.NaN(), math.Inf(1)} {
		err := f.SetFrequency(ppb)
		if !errors.Is(err, clock.ErrRange) || !strings.Contains(err.Error(), "±100000 ppb") {
			t.Errorf("%v ppb: %v", ppb, err)
		}
	}
	for _, ppb := range []float64{100000, -100000} {
		if err := f.SetFrequency(ppb); err != nil {
			t.Errorf("%v ppb: %v", ppb, err)
		}
	}
}

func TestPhase(t *testing.T) {
	w := newWorld()
	without := phctest.New(phctest.Config{Now: w.Now})
	if err := without.Phase(5); !errors.Is(err, clock.ErrNotSupported) || !strings.Contains(err.Error(), "fake") {
		t.Errorf("without: %v", err)
	}
	with := phctest.New(phctest.Config{Now: w.Now, Caps: phc.Caps{AdjustPhase: true, MaxPhase: 1000}})
	if err := with.Phase(-999); err != nil || with.Error() != -999 {
		t.Errorf("%v, %v", with.Error(), err)
	}
	if err := with.Phase(1001); !errors.Is(err, clock.ErrRange) {
		t.Errorf("beyond the maximum: %v", err)
	}
}

// failing returns a fault that fails a call n times with err, and then no more.
func failing(c phctest.Call, n int, err error) func(phctest.Call) error {
	return func(called phctest.Call) error {
		if called == c && n > 0 {
			n--
			return err
		}
		return nil
	}
}

func TestRetries(t *testing.T) {
	for _, err := range []error{unix.EINTR, unix.EBUSY, unix.EAGAIN} {
		f := phctest.New(phctest.Config{Now: newWorld().Now, Fault: failing(phctest.CallRead, phc.Attempts-1, err)})
		if _, got := f.Now(); got != nil {
			t.Errorf("%v a few times: %v", err, got)
		}
	}
	f := phctest.New(phctest.Config{Now: newWorld().Now, Fault: failing(phctest.CallAdjust, 1000, unix.EBUSY)})
	if err := f.Step(1); !errors.Is(err, phc.ErrBusy) || !errors.Is(err, unix.EBUSY) {
		t.Errorf("busy for ever: %v", err)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ errno, want error }{
		{unix.ENODEV, clock.ErrGone}, {unix.ENXIO, clock.ErrGone}, {unix.EOPNOTSUPP, clock.ErrNotSupported},
		{unix.ERANGE, clock.ErrRange}, {unix.EACCES, fs.ErrPermission}, {unix.EPERM, fs.ErrPermission},
	} {
		f := phctest.New(phctest.Config{Now: newWorld().Now, Fault: func(phctest.Call) error { return c.errno }})
		_, nowErr := f.Now()
		_, freqErr := f.Frequency()
		_, cmpErr := f.Compare(5)
		for _, err := range []error{nowErr, freqErr, f.Step(1), f.Set(1), f.SetFrequency(1), cmpErr} {
			if !errors.Is(err, c.want) || !errors.Is(err, c.errno) || !strings.Contains(err.Error(), "/dev/ptp0 (fake)") {
				t.Errorf("%v: %v", c.errno, err)
			}
		}
	}
}

func TestClosed(t *testing.T) {
	f := phctest.New(phctest.Config{Now: newWorld().Now, Caps: phc.Caps{ExtTS: 1}})
	done := make(chan error)
	go func() {
		_, err := f.ReadEvents(context.Background(), make([]phc.Event, 1))
		done <- err
	}()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("read ended with %v", err)
	}
	if _, err := f.Now(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("read of a closed clock: %v", err)
	}
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second close: %v", err)
	}
}

// stranger is a device that answers no request of a PHC.
type stranger struct{ phc.Kernel }

func (stranger) Ioctl(uint, unsafe.Pointer) error { return unix.ENOTTY }

func TestNotAPHC(t *testing.T) {
	if _, err := phc.NewDevice(stranger{}, 3, ""); !errors.Is(err, phc.ErrNotPHC) ||
		!strings.Contains(err.Error(), "/dev/ptp3") {
		t.Errorf("%v", err)
	}
}

func TestNoAllocations(t *testing.T) {
	w := newWorld()
	for _, m := range []clock.Method{clock.Precise, clock.Extended, clock.Basic} {
		f := phctest.New(phctest.Config{Now: w.Now, Rand: seeded(), Window: 400, Latency: 50, WhitePhase: 3,
			Methods: []clock.Method{m}})
		n := testing.AllocsPerRun(100, func() {
			w.advance(time.Second)
			if _, err := f.Compare(phc.MaxReadings); err != nil {
				t.Fatal(err)
			}
			f.Now()
			f.SetFrequency(12.5)
			f.Frequency()
			f.Step(3)
		})
		if n != 0 {
			t.Errorf("%v: %v allocations", m, n)
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	w := newWorld()
	f := phctest.New(phctest.Config{Now: w.Now, Rand: seeded(), Window: 400, Latency: 50})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Compare(phc.MaxReadings); err != nil {
			b.Fatal(err)
		}
	}
}
