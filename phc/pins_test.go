// SPDX-License-Identifier: Apache-2.0

package phc

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
)

func equipped(fault func(Call) error) (*Fake, *world) {
	w := newWorld()
	return NewFake(FakeConfig{Now: w.Now, Caps: Caps{Pins: 2, ExtTS: 2, PerOut: 1, PPS: true}, MaxVirtualClocks: 4, Fault: fault}), w
}

func TestPins(t *testing.T) {
	f, _ := equipped(nil)
	if err := f.SetPin(0, PinExtTS, 1); err != nil {
		t.Fatal(err)
	}
	if err := f.SetPin(1, PinExtTS, 1); err != nil { // takes the channel from pin 0
		t.Fatal(err)
	}
	got, err := f.Pins()
	want := []Pin{{0, "SDP0", PinNone, 0}, {1, "SDP1", PinExtTS, 1}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	for _, err := range []error{f.SetPin(2, PinNone, 0), f.SetPin(-1, PinNone, 0), f.SetPin(0, PinPerOut, 1), f.SetPin(0, PinExtTS, 2)} {
		if !errors.Is(err, clock.ErrRange) {
			t.Errorf("out of range: %v", err)
		}
	}
	bare := NewFake(FakeConfig{Now: newWorld().Now})
	if _, err := bare.Pin(0); !errors.Is(err, clock.ErrNotSupported) {
		t.Errorf("no pins: %v", err)
	}
}

func TestParsePinFunction(t *testing.T) {
	for f := PinNone; f <= PinPhySync; f++ {
		if got, err := ParsePinFunction(f.String()); got != f || err != nil {
			t.Errorf("%v: %v, %v", f, got, err)
		}
	}
	if _, err := ParsePinFunction("clock"); err == nil {
		t.Error("accepted")
	}
}

func TestEvents(t *testing.T) {
	f, w := equipped(nil)
	if f.Edge(0) {
		t.Error("stamped before it was asked to")
	}
	if strict, err := f.RequestExtTS(0, Rising); !strict || err != nil {
		t.Fatalf("%v, %v", strict, err)
	}
	var want []Event
	for range 3 {
		w.advance(time.Second)
		want = append(want, Event{Channel: 0, At: clock.At(f.ID(), w.now)})
		if !f.Edge(0) || f.Edge(1) {
			t.Error("edge of channel 0 was not stamped, or that of channel 1 was")
		}
	}
	events := make([]Event, 8)
	n, err := f.ReadEvents(context.Background(), events)
	if d := cmp.Diff(want, events[:n], cmp.AllowUnexported(clock.Timestamp{})); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.ReadEvents(ctx, events); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := f.StopExtTS(0); err != nil || f.Edge(0) {
		t.Errorf("stamped after the end: %v", err)
	}
	if _, err := f.RequestExtTS(2, Rising); !errors.Is(err, clock.ErrRange) {
		t.Errorf("channel 2: %v", err)
	}
	if err := f.SelectChannels(1); err != nil {
		t.Error(err)
	}
}

func TestExtOffset(t *testing.T) {
	f, _ := equipped(nil)
	if err := f.RequestExtOffset(1); err != nil {
		t.Fatal(err)
	}
	if !f.Measure(1, -1500*time.Millisecond) || f.Measure(0, 1) {
		t.Error("the offset of channel 1 was not taken, or that of channel 0 was")
	}
	events := make([]Event, 2)
	if n, err := f.ReadEvents(context.Background(), events); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if e := events[0]; !e.IsOffset() || e.Offset != -1500*time.Millisecond || e.At != (clock.Timestamp{}) || e.Channel != 1 {
		t.Errorf("%+v", e)
	}
	old, _ := equipped(func(c Call) error {
		if c == CallExtTS {
			return unix.EINVAL
		}
		return nil
	})
	if err := old.RequestExtOffset(0); !errors.Is(err, clock.ErrNotSupported) || !strings.Contains(err.Error(), "6.9") {
		t.Errorf("a kernel that does not know it: %v", err)
	}
}

// What is busy, and what can be done about it, differs.
func TestBusy(t *testing.T) {
	f, _ := equipped(nil)
	if err := f.SetVirtualClocks(2); err != nil {
		t.Fatal(err)
	}
	if err := f.Step(1); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "2 virtual clocks") {
		t.Errorf("%v", err)
	}
	busy, _ := equipped(func(c Call) error {
		if c == CallExtTS || c == CallPerOut || c == CallAdjust {
			return unix.EBUSY
		}
		return nil
	})
	_, extts := busy.RequestExtTS(1, Rising)
	for what, err := range map[string]error{"extts channel 1": extts, "perout channel 0": busy.SetOutput(0, Output{Period: 1}), "try again": busy.Step(1)} {
		if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), what) || strings.Contains(err.Error(), "virtual") {
			t.Errorf("%v; want %q", err, what)
		}
	}
}

func TestNotSupported(t *testing.T) {
	f := NewFake(FakeConfig{Now: newWorld().Now, Fault: func(Call) error { return unix.EOPNOTSUPP }})
	if err := f.Step(1); err.Error() != "step: /dev/ptp0 (fake): not supported by fake" || !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("%v", err)
	}
	if err := f.Phase(1); err.Error() != "adjust phase: /dev/ptp0 (fake): not supported by fake (or needs Linux ≥ 5.8)" {
		t.Errorf("%v", err)
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
	n, err := d.read(context.Background(), events)
	if diff := cmp.Diff(want, events[:n]); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for range 50 {
		ctx, cancel := context.WithCancel(context.Background())
		go cancel()
		if _, err := d.read(ctx, events); !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled: %v", err)
		}
	}
	done := make(chan error)
	go func() {
		_, err := d.read(context.Background(), events)
		done <- err
	}()
	r.Close()
	if err := <-done; err == nil {
		t.Error("a closed device gave events")
	}
}

func TestEventsOfVanishedDevice(t *testing.T) {
	gone := false
	f, _ := equipped(func(Call) error {
		if gone {
			return unix.ENODEV
		}
		return nil
	})
	gone = true
	if _, err := f.ReadEvents(context.Background(), make([]Event, 1)); !errors.Is(err, clock.ErrGone) {
		t.Errorf("%v", err)
	}
}

// An older driver that knows no strict flags stamps rising edges by the older request, but falling ones are not guessed.
func TestExtTSFallback(t *testing.T) {
	for edge, want := range map[Edge]error{Rising: nil, Falling: clock.ErrNotSupported, Both: clock.ErrNotSupported} {
		f, _ := equipped(failing(CallExtTS, 1, unix.EOPNOTSUPP))
		if strict, err := f.RequestExtTS(0, edge); !errors.Is(err, want) || err == nil && strict {
			t.Errorf("%v: %v, %v", edge, strict, err)
		}
	}
}

func TestOutputs(t *testing.T) {
	f, _ := equipped(nil)
	if err := f.SetOutput(0, Output{Period: time.Second, UsePhase: true, Phase: 5, On: 100 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[int]time.Duration{0: time.Second}, f.Outputs()); d != "" {
		t.Error(d)
	}
	if err := f.StopOutput(0); err != nil || len(f.Outputs()) != 0 {
		t.Errorf("%v, %v", err, f.Outputs())
	}
	for _, o := range []Output{{}, {Period: -1}, {Period: 5, On: 5}, {Period: 5, Phase: 5}, {Period: 5, On: -1}} {
		if err := f.SetOutput(0, o); !errors.Is(err, clock.ErrRange) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	refusing, _ := equipped(failing(CallPerOut, 1, unix.EOPNOTSUPP))
	if err := refusing.SetOutput(0, Output{Period: time.Second, OneShot: true}); !errors.Is(err, clock.ErrNotSupported) {
		t.Errorf("%v", err)
	}
}

func TestPPS(t *testing.T) {
	f, _ := equipped(failing(CallPPS, 1, unix.EPERM))
	if err := f.EnablePPS(true); !errors.Is(err, unix.EPERM) {
		t.Errorf("%v", err)
	}
	if err := f.EnablePPS(false); err != nil {
		t.Error(err)
	}
	if err := NewFake(FakeConfig{Now: newWorld().Now}).EnablePPS(true); !errors.Is(err, clock.ErrNotSupported) {
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
	if err := f.Step(1); !errors.Is(err, ErrBusy) {
		t.Errorf("step under virtual clocks: %v", err)
	}
	if err := f.SetVirtualClocks(5); !errors.Is(err, clock.ErrRange) {
		t.Errorf("%v", err)
	}
	if _, _, err := NewFake(FakeConfig{Now: newWorld().Now}).VirtualClocks(); !errors.Is(err, clock.ErrNotSupported) {
		t.Errorf("%v", err)
	}
}
