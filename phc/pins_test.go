// SPDX-License-Identifier: Apache-2.0

package phc_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/phc"
	"github.com/lockstep-time/lockstep/phc/phctest"
)

func equipped(fault func(phctest.Call) error) (*phctest.Clock, *world) {
	w := newWorld()
	return phctest.New(phctest.Config{Now: w.Now, Caps: phc.Caps{Pins: 2, ExtTS: 2, PerOut: 1, PPS: true}, MaxVirtualClocks: 4,
		Fault: fault}), w
}

func TestPins(t *testing.T) {
	f, _ := equipped(nil)
	if err := f.SetPin(0, phc.PinExtTS, 1); err != nil {
		t.Fatal(err)
	}
	if err := f.SetPin(1, phc.PinExtTS, 1); err != nil { // takes the channel from pin 0
		t.Fatal(err)
	}
	got, err := f.Pins()
	want := []phc.Pin{{0, "SDP0", phc.PinNone, 0}, {1, "SDP1", phc.PinExtTS, 1}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	for _, err := range []error{f.SetPin(2, phc.PinNone, 0), f.SetPin(-1, phc.PinNone, 0), f.SetPin(0, phc.PinPerOut, 1),
		f.SetPin(0, phc.PinExtTS, 2)} {
		if !errors.Is(err, clock.ErrRange) {
			t.Errorf("out of range: %v", err)
		}
	}
	bare := phctest.New(phctest.Config{Now: newWorld().Now})
	if _, err := bare.Pin(0); !errors.Is(err, clock.ErrNotSupported) {
		t.Errorf("no pins: %v", err)
	}
}

func TestParsePinFunction(t *testing.T) {
	for f := phc.PinNone; f <= phc.PinPhySync; f++ {
		if got, err := phc.ParsePinFunction(f.String()); got != f || err != nil {
			t.Errorf("%v: %v, %v", f, got, err)
		}
	}
	if _, err := phc.ParsePinFunction("clock"); err == nil {
		t.Error("accepted")
	}
}

func TestEvents(t *testing.T) {
	f, w := equipped(nil)
	if f.Edge(0, phc.Rising) {
		t.Error("stamped before it was asked to")
	}
	if strict, err := f.RequestExtTS(0, phc.Rising); !strict || err != nil {
		t.Fatalf("%v, %v", strict, err)
	}
	var want []phc.Event
	for range 3 {
		w.advance(time.Second)
		want = append(want, phc.Event{Channel: 0, At: clock.At(f.ID(), w.now)})
		if !f.Edge(0, phc.Rising) || f.Edge(0, phc.Falling) || f.Edge(1, phc.Rising) || f.Measure(0, 1) {
			t.Error("the edge was not stamped, or what was not asked for")
		}
	}
	events := make([]phc.Event, 8)
	n, err := f.ReadEvents(context.Background(), events)
	if d := cmp.Diff(want, events[:n], cmp.AllowUnexported(clock.Timestamp{})); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.ReadEvents(ctx, events); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := f.StopExtTS(0); err != nil || f.Edge(0, phc.Rising) || f.Stamping(0) {
		t.Errorf("stamped after the end: %v", err)
	}
	if _, err := f.RequestExtTS(2, phc.Rising); !errors.Is(err, clock.ErrRange) {
		t.Errorf("channel 2: %v", err)
	}
}

// What is not selected is not read, by this reader.
func TestSelectChannels(t *testing.T) {
	f, _ := equipped(nil)
	for channel := range 2 {
		if _, err := f.RequestExtTS(channel, phc.Both); err != nil {
			t.Fatal(err)
		}
	}
	for _, selected := range [][]int{{1}, {0, 1}, {}, {0}} {
		if err := f.SelectChannels(selected...); err != nil {
			t.Fatal(err)
		}
		for channel := range 2 {
			if got := f.Edge(channel, phc.Falling); got != slices.Contains(selected, channel) {
				t.Errorf("selected %v: an event of channel %d: %v", selected, channel, got)
			}
		}
	}
	if err := f.SelectChannels(2); !errors.Is(err, clock.ErrRange) {
		t.Errorf("channel 2: %v", err)
	}
	if !f.Edge(0, phc.Rising) {
		t.Error("a channel that there is not changed what is selected")
	}
	old, _ := equipped(func(c phctest.Call) error {
		if c == phctest.CallMask {
			return unix.ENOTTY
		}
		return nil
	})
	if err := old.SelectChannels(1); !errors.Is(err, clock.ErrNotSupported) || !strings.Contains(err.Error(), "6.7") {
		t.Errorf("a kernel that does not know it: %v", err)
	}
}

func TestExtOffset(t *testing.T) {
	f, _ := equipped(nil)
	if err := f.RequestExtOffset(1); err != nil {
		t.Fatal(err)
	}
	if !f.Measure(1, -1500*time.Millisecond) || f.Measure(0, 1) || f.Edge(1, phc.Rising) {
		t.Error("the offset of channel 1 was not taken, or that of channel 0 or an edge was")
	}
	events := make([]phc.Event, 2)
	if n, err := f.ReadEvents(context.Background(), events); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if e := events[0]; !e.IsOffset() || e.Offset != -1500*time.Millisecond || e.At != (clock.Timestamp{}) || e.Channel != 1 {
		t.Errorf("%+v", e)
	}
}

// Whether the kernel is too old or the values are wrong, it says the same; both are told.
func TestInvalid(t *testing.T) {
	refuse := func(c phctest.Call) error {
		if c == phctest.CallExtTS || c == phctest.CallPerOut {
			return unix.EINVAL
		}
		return nil
	}
	pins, _ := equipped(refuse)
	bare := phctest.New(phctest.Config{Now: newWorld().Now, Caps: phc.Caps{ExtTS: 1, PerOut: 1}, Fault: refuse})
	phased := phc.Output{Period: time.Second, UsePhase: true}
	for want, err := range map[string]error{
		"needs Linux ≥ 6.9; is a pin set to extts channel 0?":  pins.RequestExtOffset(0),
		"needs Linux ≥ 5.9; is a pin set to perout channel 0?": pins.SetOutput(0, phased),
		"argument; is a pin set to perout channel 0?":          pins.SetOutput(0, phc.Output{Period: time.Second}),
		"needs Linux ≥ 6.9; the driver":                        bare.RequestExtOffset(0),
		"needs Linux ≥ 5.9; the driver":                        bare.SetOutput(0, phased),
		"argument; the driver":                                 bare.SetOutput(0, phc.Output{Period: time.Second}),
	} {
		if !errors.Is(err, unix.EINVAL) || errors.Is(err, clock.ErrNotSupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	lacking, _ := equipped(func(phctest.Call) error { return unix.EOPNOTSUPP })
	if err := lacking.RequestExtOffset(0); !errors.Is(err, clock.ErrNotSupported) || !strings.Contains(err.Error(), "6.9") {
		t.Errorf("a driver that cannot: %v", err)
	}
}

// What is busy, and what can be done about it, differs.
func TestBusy(t *testing.T) {
	f, _ := equipped(nil)
	if err := f.SetVirtualClocks(2); err != nil {
		t.Fatal(err)
	}
	if err := f.Step(1); !errors.Is(err, phc.ErrBusy) || !strings.Contains(err.Error(), "2 virtual clocks") {
		t.Errorf("%v", err)
	}
	busy, _ := equipped(func(c phctest.Call) error {
		if c == phctest.CallExtTS || c == phctest.CallPerOut || c == phctest.CallAdjust {
			return unix.EBUSY
		}
		return nil
	})
	_, extts := busy.RequestExtTS(1, phc.Rising)
	for what, err := range map[string]error{"extts channel 1": extts,
		"perout channel 0": busy.SetOutput(0, phc.Output{Period: 1}), "try again": busy.Step(1)} {
		if !errors.Is(err, phc.ErrBusy) || !strings.Contains(err.Error(), what) || strings.Contains(err.Error(), "virtual") {
			t.Errorf("%v; want %q", err, what)
		}
	}
}

func TestNotSupported(t *testing.T) {
	f := phctest.New(phctest.Config{Now: newWorld().Now, Fault: func(phctest.Call) error { return unix.EOPNOTSUPP }})
	if err := f.Step(1); err.Error() != "step: /dev/ptp0 (fake): not supported by fake" || !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("%v", err)
	}
	if err := f.Phase(1); err.Error() != "adjust phase: /dev/ptp0 (fake): not supported by fake (or needs Linux ≥ 5.8)" {
		t.Errorf("%v", err)
	}
}

func TestEventsOfVanishedDevice(t *testing.T) {
	gone := false
	f, _ := equipped(func(phctest.Call) error {
		if gone {
			return unix.ENODEV
		}
		return nil
	})
	gone = true
	if _, err := f.ReadEvents(context.Background(), make([]phc.Event, 1)); !errors.Is(err, clock.ErrGone) {
		t.Errorf("%v", err)
	}
}

// A driver that does not promise the edges, or knows no strict flags, is asked all the same, and the caller told.
func TestExtTSFallback(t *testing.T) {
	for _, errno := range []error{unix.ENOTTY, unix.EINVAL, unix.EOPNOTSUPP} {
		for _, edges := range []phc.Edge{phc.Rising, phc.Falling, phc.Both} {
			f, _ := equipped(failing(phctest.CallExtTS, 1, errno))
			if strict, err := f.RequestExtTS(1, edges); strict || err != nil {
				t.Errorf("%v, edges %v: strict %v, %v", errno, edges, strict, err)
			}
			for _, e := range []phc.Edge{phc.Rising, phc.Falling} {
				if got := f.Edge(1, e); got != (edges&e != 0) {
					t.Errorf("%v, edges %v: an event of %v: %v", errno, edges, e, got)
				}
			}
		}
	}
	both := phctest.New(phctest.Config{Now: newWorld().Now, Caps: phc.Caps{ExtTS: 1}, Stamps: phc.Both}) // as igb
	if strict, err := both.RequestExtTS(0, phc.Rising); strict || err != nil || !both.Edge(0, phc.Falling) {
		t.Errorf("strict %v, %v; or falling edges were not stamped", strict, err)
	}
	if strict, err := both.RequestExtTS(0, phc.Both); !strict || err != nil {
		t.Errorf("strict %v, %v", strict, err)
	}
	f, _ := equipped(failing(phctest.CallExtTS, 1, unix.EIO))
	if _, err := f.RequestExtTS(0, phc.Rising); !errors.Is(err, unix.EIO) || f.Stamping(0) {
		t.Errorf("a failure was taken for a refusal: %v", err)
	}
}

func TestOutputs(t *testing.T) {
	second, high := unix.PtpClockTime{Sec: 1}, unix.PtpClockTime{Nsec: 1e8}
	for _, c := range []struct {
		o    phc.Output
		want unix.PtpPeroutRequest
	}{
		{phc.Output{Period: time.Second, Start: 1_700_000_000_000_000_007},
			unix.PtpPeroutRequest{Period: second, StartOrPhase: unix.PtpClockTime{Sec: 1_700_000_000, Nsec: 7}}},
		{phc.Output{Period: 1500 * time.Millisecond, UsePhase: true, Phase: 1_000_000_005},
			unix.PtpPeroutRequest{Period: unix.PtpClockTime{Sec: 1, Nsec: 5e8}, StartOrPhase: unix.PtpClockTime{Sec: 1, Nsec: 5},
				Flags: unix.PTP_PEROUT_PHASE}},
		{phc.Output{Period: time.Second, Start: 2e9, On: 100 * time.Millisecond},
			unix.PtpPeroutRequest{Period: second, StartOrPhase: unix.PtpClockTime{Sec: 2}, On: high,
				Flags: unix.PTP_PEROUT_DUTY_CYCLE}},
		{phc.Output{Period: time.Second, UsePhase: true, On: 100 * time.Millisecond, OneShot: true},
			unix.PtpPeroutRequest{Period: second, On: high,
				Flags: unix.PTP_PEROUT_PHASE | unix.PTP_PEROUT_DUTY_CYCLE | unix.PTP_PEROUT_ONE_SHOT}},
	} {
		f, _ := equipped(nil)
		if err := f.SetOutput(0, c.o); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(map[int]unix.PtpPeroutRequest{0: c.want}, f.Outputs(),
			cmp.AllowUnexported(unix.PtpClockTime{})); d != "" {
			t.Errorf("%+v: %s", c.o, d)
		}
		if err := f.StopOutput(0); err != nil || len(f.Outputs()) != 0 {
			t.Errorf("%v, %v", err, f.Outputs())
		}
	}
	f, _ := equipped(nil)
	for _, o := range []phc.Output{{}, {Period: -1}, {Period: 5, On: 5}, {Period: 5, Phase: 5}, {Period: 5, On: -1}} {
		if err := f.SetOutput(0, o); !errors.Is(err, clock.ErrRange) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	refusing, _ := equipped(failing(phctest.CallPerOut, 1, unix.EOPNOTSUPP))
	if err := refusing.SetOutput(0, phc.Output{Period: time.Second, OneShot: true}); !errors.Is(err, clock.ErrNotSupported) {
		t.Errorf("%v", err)
	}
}

func TestPPS(t *testing.T) {
	f, _ := equipped(failing(phctest.CallPPS, 1, unix.EPERM))
	if err := f.EnablePPS(true); !errors.Is(err, unix.EPERM) {
		t.Errorf("%v", err)
	}
	if err := f.EnablePPS(false); err != nil {
		t.Error(err)
	}
	if err := phctest.New(phctest.Config{Now: newWorld().Now}).EnablePPS(true); !errors.Is(err, clock.ErrNotSupported) {
		t.Errorf("%v", err)
	}
}

func TestVirtualClocks(t *testing.T) {
	f, _ := equipped(nil)
	if err := f.SetVirtualClocks(2); err != nil {
		t.Fatal(err)
	}
	if n, limit, err := f.VirtualClocks(); n != 2 || limit != 4 || err != nil {
		t.Errorf("%d of %d, %v", n, limit, err)
	}
	if err := f.Step(1); !errors.Is(err, phc.ErrBusy) {
		t.Errorf("step under virtual clocks: %v", err)
	}
	if err := f.SetVirtualClocks(5); !errors.Is(err, clock.ErrRange) {
		t.Errorf("%v", err)
	}
	if _, _, err := phctest.New(phctest.Config{Now: newWorld().Now}).VirtualClocks(); !errors.Is(err, clock.ErrNotSupported) {
		t.Errorf("%v", err)
	}
}
