// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/phc"
	"github.com/lockstep-time/lockstep/phc/phctest"
)

func TestCompare(t *testing.T) {
	b := newBench(t, phctest.Config{Frequency: 1000, Window: 100})
	got := b.must("cmp", "ptp0", "--count", "5", "--interval", "2s")
	if len(got) != 5 || got[4]["offset_ns"] != 8000.0 || math.Abs(got[4]["rate_ppb"].(float64)-1000) > 0.1 ||
		got[0]["b"] != "system" {
		t.Errorf("%v", got)
	}
	b = newBench(t, phctest.Config{Frequency: 1000, Window: 100})
	b.now += 5e9
	if got := b.must("cmp", "ptp0", "ptp1")[0]; got["offset_ns"] != 10000.0 || got["uncertainty_ns"] != 100.0 {
		t.Errorf("%v", got)
	}
	b = newBench(t, phctest.Config{})
	b.want(exitUsage, "same clock", "cmp", "ptp0", "/dev/ptp0")
	b.want(exitUsage, "second", "cmp", "system", "ptp0")
	b.want(exitUsage, "1 to 25", "cmp", "ptp1", "--samples", "26")
}

// A clock that vanishes while it is watched ends that with one clear line, and what was collected is there.
func TestWatchVanish(t *testing.T) {
	n := 0
	b := newBench(t, phctest.Config{Fault: func(phctest.Call) error {
		if n++; n > 3 {
			return unix.ENODEV
		}
		return nil
	}})
	dir := t.TempDir()
	csv, svg := filepath.Join(dir, "x.csv"), filepath.Join(dir, "x.svg")
	b.want(exitIO, clock.ErrGone.Error(), "cmp", "ptp0", "--watch", "--csv", csv, "--plot", svg)
	if lines, err := os.ReadFile(csv); err != nil || strings.Count(string(lines), "\n") != 4 {
		t.Errorf("%v: %s", err, lines)
	}
	if picture, err := os.ReadFile(svg); err != nil || !strings.Contains(string(picture), "<svg") {
		t.Errorf("%v: no picture", err)
	}
}

func TestWatchInterrupted(t *testing.T) {
	b := newBench(t, phctest.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	b.app.sleep = func(ctx context.Context, d time.Duration) error {
		if b.now += int64(d); n == 2 {
			cancel()
		}
		n++
		return ctx.Err()
	}
	if code := run(ctx, b.app, []string{"cmp", "ptp0", "--watch", "--csv", "-"}); code != 0 ||
		strings.Count(b.out.String(), "\n") != 4 {
		t.Errorf("status %d: %s%s", code, b.out.String(), b.err.String())
	}
}

func TestPlotName(t *testing.T) {
	b := newBench(t, phctest.Config{})
	b.want(exitUsage, ".svg", "cmp", "ptp0", "--plot", "x.gif")
	b.want(exitUsage, ".svg", "stability", "ptp1", "--plot", "x")
	b = newBench(t, phctest.Config{})
	b.want(exitIO, "no such file", "cmp", "ptp0", "--csv", "/nonexistent/x.csv")
}

// White phase noise of 50 ns, against a perfect clock: ADEV at 1 s is √3 · 50e-9, TDEV at 16 s 50/√16 ns.
func TestStability(t *testing.T) {
	b := newBench(t, phctest.Config{WhitePhase: 50, Frequency: 5000})
	png := filepath.Join(t.TempDir(), "s.png")
	got := b.must("stability", "ptp0", "--for", "2h", "--samples", "1", "--plot", png)[0]
	points := got["points"].([]any)
	adev, tdev := points[0].(map[string]any)["adev"].(float64), points[4].(map[string]any)["tdev_ns"].(float64)
	if math.Abs(adev/(math.Sqrt(3)*50e-9)-1) > 0.1 || math.Abs(tdev/12.5-1) > 0.1 {
		t.Errorf("ADEV %g, TDEV %g", adev, tdev)
	}
	if rate := got["rate_ppb"].(float64); math.Abs(rate-5000) > 1 || got["samples"] != 7201.0 {
		t.Errorf("%v ppb of %v samples", rate, got["samples"])
	}
	if mtie := points[0].(map[string]any)["mtie_ns"].(float64); mtie > 500 {
		t.Errorf("MTIE %g ns contains the rate", mtie)
	}
	if info, err := os.Stat(png); err != nil || info.Size() < 1000 {
		t.Errorf("no picture: %v", err)
	}
	b = newBench(t, phctest.Config{})
	b.want(exitUsage, "four intervals", "stability", "ptp0", "--for", "2s")
	b = newBench(t, phctest.Config{WhitePhase: 5})
	if b.app.terminal = true; b.run("stability", "ptp0", "--for", "1m") != 0 || !strings.Contains(b.err.String(), "61 of 61") {
		t.Errorf("no progress: %s", b.err.String())
	}
	if !strings.Contains(b.out.String(), "TAU") {
		t.Error(b.out.String())
	}
}

// A table that cannot be written ends the watch and the collection at once.
func TestCSVThatFails(t *testing.T) {
	for _, args := range [][]string{{"cmp", "ptp0", "--watch"}, {"stability", "ptp0"}} {
		b := newBench(t, phctest.Config{})
		b.want(exitIO, "--csv: write /dev/full: no space left", append(args, "--csv", "/dev/full")...)
		if b.now != epoch || strings.Count(b.err.String(), "no space") != 1 {
			t.Errorf("%v went on for %v: %s", args, time.Duration(b.now-epoch), b.err.String())
		}
	}
	b := newBench(t, phctest.Config{})
	b.app.out = &filling{lines: 3}
	if b.want(exitIO, "--csv: no space left", "cmp", "ptp0", "--watch", "--csv", "-"); b.now != epoch+2e9 {
		t.Errorf("the watch went on for %v", time.Duration(b.now-epoch))
	}
	b = newBench(t, phctest.Config{})
	b.app.out = &filling{lines: 3}
	p, err := b.app.openPair("ptp0", "")
	if err != nil {
		t.Fatal(err)
	}
	samples, err := b.app.collect(context.Background(), p,
		stabilityOptions{readings: 1, duration: time.Minute, interval: time.Second, csv: "-"})
	if !errors.Is(err, unix.ENOSPC) || len(samples) != 3 || b.now != epoch+2e9 {
		t.Errorf("%v after %d samples and %v", err, len(samples), time.Duration(b.now-epoch))
	}
}

// filling is an output that takes some lines and then no more, such as a disk that fills up.
type filling struct{ lines int }

func (f *filling) Write(b []byte) (int, error) {
	if f.lines == 0 {
		return 0, unix.ENOSPC
	}
	f.lines--
	return len(b), nil
}

// What a statistic is too short for is left out, and a zero is a zero.
func TestStabilityUnknown(t *testing.T) {
	points := newBench(t, phctest.Config{}).must("stability", "ptp0", "--for", "4s")[0]["points"].([]any)
	first, last := points[0].(map[string]any), points[1].(map[string]any)
	if _, told := last["tdev_ns"]; len(points) != 2 || first["tdev_ns"] != 0.0 || told {
		t.Errorf("%v", points)
	}
}

// By precise there is no window, and so no bound.
func TestPreciseUncertainty(t *testing.T) {
	for method, want := range map[clock.Method]string{clock.Precise: "± 1 ns or more (precise)",
		clock.Extended: "± 5 ns (extended)"} {
		b := newBench(t, phctest.Config{Window: 10, Methods: []clock.Method{method}})
		if b.run("get", "ptp0"); !strings.Contains(b.out.String(), want) {
			t.Errorf("no %q in %s", want, b.out.String())
		}
	}
}

func TestPins(t *testing.T) {
	c := phctest.Config{Caps: phc.Caps{Pins: 2, ExtTS: 2, PerOut: 1, PPS: true}, MaxVirtualClocks: 3}
	got := newBench(t, c).must("pins", "ptp0", "set", "SDP1", "extts", "1")[0]
	if pin := got["pins"].([]any)[1].(map[string]any); pin["function"] != "extts" || pin["channel"] != 1.0 {
		t.Errorf("%v", pin)
	}
	if before := got["before"].(map[string]any); before["function"] != "none" || before["index"] != 1.0 {
		t.Errorf("before: %v", before)
	}
	b := newBench(t, c)
	b.want(exitUsage, "", "pins", "ptp0", "set", "1")
	b.want(exitUsage, "none, extts", "pins", "ptp1", "set", "1", "clock")
	b = newBench(t, c)
	b.want(exitUsage, "0 to 1", "pins", "ptp0", "set", "5", "extts", "0")
	b = newBench(t, c)
	if b.run("pins", "ptp0"); !strings.Contains(b.out.String(), "SDP0") {
		t.Error(b.out.String())
	}
	b = newBench(t, phctest.Config{})
	if b.run("pins", "ptp0"); !strings.Contains(b.out.String(), "no programmable pins") {
		t.Error(b.out.String())
	}
	b = newBench(t, c)
	got = b.must("perout", "ptp0", "0", "--period", "1s", "--duty", "25%", "--phase", "-1ms", "--pin", "0")[0]
	request := unix.PtpPeroutRequest{
		Period: unix.PtpClockTime{Sec: 1}, StartOrPhase: unix.PtpClockTime{Nsec: 999e6}, On: unix.PtpClockTime{Nsec: 250e6},
		Flags: unix.PTP_PEROUT_PHASE | unix.PTP_PEROUT_DUTY_CYCLE,
	}
	if got["high_ns"] != 250e6 || got["phase_ns"] != 999e6 ||
		fmt.Sprint(got["pin_before"]) != "map[channel:0 function:none index:0 name:SDP0]" ||
		fmt.Sprint(got["pin"]) != "map[channel:0 function:perout index:0 name:SDP0]" ||
		b.clocks["/dev/ptp0"].Outputs()[0] != request {
		t.Errorf("%v", got)
	}
	b = newBench(t, c)
	if got := b.must("perout", "ptp0", "0", "--period", "1ms")[0]; got["start_ns"] != epoch+2e9 || got["phase_ns"] != 0.0 ||
		b.clocks["/dev/ptp0"].Outputs()[0] != (unix.PtpPeroutRequest{Period: unix.PtpClockTime{Nsec: 1e6},
			StartOrPhase: unix.PtpClockTime{Sec: epoch/1e9 + 2}}) {
		t.Errorf("%v", got)
	}
	for _, args := range [][]string{{"--period", "0s"}, {}, {"--period", "1s", "--duty", "2"},
		{"--period", "10ns", "--duty", "1%"}, {"--off", "--period", "1s"}} {
		b = newBench(t, c)
		b.want(exitUsage, "", append([]string{"perout", "ptp0", "0"}, args...)...)
	}
	newBench(t, c).must("perout", "ptp0", "0", "--off")
	if got := newBench(t, c).must("pps", "ptp0", "on")[0]; got["pps"] != true ||
		fmt.Sprint(got["source"]) != "map[device:/dev/pps0 pulses:7]" {
		t.Errorf("%v", got)
	}
	newBench(t, c).want(exitUsage, "neither", "pps", "ptp0", "yes")
	if got := newBench(t, c).must("vclocks", "ptp0", "2")[0]; got["before"] != 0.0 || got["count"] != 2.0 || got["max"] != 3.0 {
		t.Errorf("%v", got)
	}
	newBench(t, phctest.Config{}).want(exitUnsupported, "5.14", "vclocks", "ptp0")
}

// What was collected before the clock vanished is analysed all the same.
func TestStabilityVanish(t *testing.T) {
	for calls, want := range map[int]bool{20: true, 2: false} {
		n := 0
		b := newBench(t, phctest.Config{WhitePhase: 5, Fault: func(phctest.Call) error {
			if n++; n > calls {
				return unix.ENODEV
			}
			return nil
		}})
		b.want(exitIO, clock.ErrGone.Error(), "stability", "ptp0", "--for", "1m")
		if got := strings.Contains(b.out.String(), "TAU"); got != want {
			t.Errorf("vanished after %d calls: %q", calls, b.out.String())
		}
	}
}

// An interrupt ends the collection: after some samples that is a result, before there are enough it is none.
func TestStabilityInterrupted(t *testing.T) {
	for sleeps, want := range map[int]int{10: exitOK, 2: exitInterrupted} {
		b := newBench(t, phctest.Config{WhitePhase: 5})
		ctx, cancel := context.WithCancel(context.Background())
		n := 0
		b.app.sleep = func(ctx context.Context, d time.Duration) error {
			if b.now += int64(d); n == sleeps {
				cancel()
			}
			n++
			return ctx.Err()
		}
		if code := run(ctx, b.app, []string{"stability", "ptp0"}); code != want ||
			strings.Contains(b.out.String(), "TAU") != (want == exitOK) {
			t.Errorf("after %d: status %d: %s%s", sleeps, code, b.out.String(), b.err.String())
		}
		cancel()
	}
}

// A timer that is late by as much each time, and late comparisons, leave the noise what it is.
func TestStabilityLateTimer(t *testing.T) {
	for _, late := range []time.Duration{300 * time.Microsecond, time.Millisecond, 10 * time.Millisecond} {
		b := newBench(t, phctest.Config{WhitePhase: 50, Frequency: 20000})
		b.app.sleep = func(ctx context.Context, d time.Duration) error {
			b.now += int64(d + late)
			return ctx.Err()
		}
		got := b.must("stability", "ptp0", "--for", "10m", "--interval", "100ms", "--samples", "1")[0]
		points := got["points"].([]any)
		for _, m := range []int{0, 1, 2, 3} { // at 1, 2, 4, 8 intervals
			p := points[m].(map[string]any)
			n := float64(int(1) << m)
			adev, tdev := p["adev"].(float64), p["tdev_ns"].(float64)
			if math.Abs(adev/(math.Sqrt(3)*50e-9/(n*0.1))-1) > 0.1 || math.Abs(tdev/(50/math.Sqrt(n))-1) > 0.1 {
				t.Errorf("late by %v, %v intervals: ADEV %g, TDEV %g", late, n, adev, tdev)
			}
		}
		if got["samples"] != 6001.0 || got["interpolated"] != 0.0 {
			t.Errorf("late by %v: %v samples, %v interpolated", late, got["samples"], got["interpolated"])
		}
	}
}

// Turns that are missed are left out, not made up for.
func TestTurns(t *testing.T) {
	b := newBench(t, phctest.Config{})
	turns := b.app.every(time.Second)
	var at []int64
	for _, busy := range []int64{0, 100e6, 1050e6, 2500e6, 0} {
		b.now += busy
		if err := turns.next(context.Background()); err != nil {
			t.Fatal(err)
		}
		at = append(at, (b.now-epoch)/1e6)
	}
	if fmt.Sprint(at) != "[1000 2000 3050 6000 7000]" || turns.turn != 7 {
		t.Errorf("%v, %d", at, turns.turn)
	}
}

// The bar moves at least once a second, however rarely the clocks are compared, and tells how long it takes.
func TestProgressMoves(t *testing.T) {
	b := newBench(t, phctest.Config{})
	b.app.terminal = true
	if b.run("stability", "ptp0", "--for", "2m", "--interval", "30s") != 0 || strings.Count(b.err.String(), "\r[") < 120 ||
		!strings.Contains(b.err.String(), "2 of 5, 1m30s left") {
		t.Errorf("%s", b.err.String())
	}
}

func TestThinned(t *testing.T) {
	var d thinned
	const n = 5*mostDrawn + 3
	for i := range int64(n) {
		d.add(comparison{At: i})
	}
	if len(d.kept) > mostDrawn || len(d.kept) < mostDrawn/2 {
		t.Fatalf("%d are kept", len(d.kept))
	}
	for i, c := range d.kept {
		if c.At != int64(i*d.stride) {
			t.Fatalf("number %d is of %d, the stride %d", i, c.At, d.stride)
		}
	}
}

// A plot that cannot be written is told before anything is measured, and clocks that do not part are no failure.
func TestPlotPath(t *testing.T) {
	for _, command := range [][]string{{"cmp", "ptp0", "--count", "3"}, {"stability", "ptp0", "--for", "10s"}} {
		b := newBench(t, phctest.Config{})
		b.want(exitIO, "--plot", append(command, "--plot", "/nonexistent/x.svg")...)
		if b.out.Len() > 0 || b.now != epoch {
			t.Errorf("%v measured first", command)
		}
		name := filepath.Join(t.TempDir(), "same.svg")
		b.must(append(command, "--plot", name)...)
		if info, err := os.Stat(name); err != nil || info.Size() < 1000 {
			t.Errorf("%v: no picture: %v", command, err)
		}
	}
}

func TestNIC(t *testing.T) {
	config := nic.Config{TxType: nic.TxOff, RxFilter: nic.RxNone}
	driver := nicDriver{
		probe: func(name string) (nic.Capabilities, error) {
			if name != "eth0" {
				return nic.Capabilities{}, fmt.Errorf("probe %s: %w", name, hwts.ErrNoInterface)
			}
			return fakeNIC(), nil
		},
		read: func(string) (nic.Config, error) { return config, nil },
		set: func(_ string, h nic.Config) (nic.Config, error) {
			if h.RxFilter == nic.RxAll {
				return h, clock.ErrNotSupported
			}
			if h.RxFilter == nic.RxPTPv2L4Event {
				h.RxFilter = nic.RxPTPv2Event // more than asked for
			}
			config = h
			return h, nil
		},
	}
	b := newBench(t, phctest.Config{})
	b.app.nic = driver
	got := b.must("nic", "eth0")[0]["interfaces"].([]any)[0].(map[string]any)
	if got["phc"] != 0.0 || fmt.Sprint(got["tx_types"]) != "[off on]" || fmt.Sprint(got["rx_filters"]) != "[none ptpv2-event]" {
		t.Errorf("%v", got)
	}
	change := b.must("nic", "set", "eth0", "--tx", "on", "--rx", "ptp-v2-l4-event")[0]
	if fmt.Sprint(change["granted"]) != "map[rx:ptpv2-event tx:on]" || fmt.Sprint(change["before"]) != "map[rx:none tx:off]" {
		t.Errorf("%v", change)
	}
	if b.must("nic", "set", "eth0", "--tx", "off"); config.RxFilter != nic.RxPTPv2Event || config.TxType != nic.TxOff {
		t.Errorf("%v", config)
	}
	b.holders = []phc.Holder{{PID: 42, Command: "ptp4l", Writable: true}}
	b.want(exitHeld, "eth0 has the clock /dev/ptp0, which may be steered by ptp4l", "nic", "set", "eth0", "--tx", "on")
	if config.TxType != nic.TxOff {
		t.Error("the stamps of a NIC in use were changed")
	}
	b.must("--force", "nic", "set", "eth0", "--tx", "off")
	b.holders = nil
	b.want(exitUnsupported, "the driver igb has tx off, on and rx none, ptpv2-event", "nic", "set", "eth0", "--rx", "all")
	b.want(exitUsage, "--tx", "nic", "set", "eth0")
	b.want(exitUsage, "bogus", "nic", "set", "eth0", "--rx", "bogus")
	b.want(exitNoClock, "eth7", "nic", "eth7")
	if b.run("nic"); !strings.Contains(b.out.String(), "/dev/ptp0") || strings.Contains(b.out.String(), "stamped by") {
		t.Error(b.out.String())
	}
}

// What kernel and driver tell of providers and statistics is shown, and no row where they do not.
func TestNICProvider(t *testing.T) {
	lost, taken := uint64(2), uint64(1<<40)
	c := fakeNIC()
	c.Provider = &nic.Provider{PHC: 3, Qualifier: nic.Approximate, Source: nic.SourcePHY, PHY: 1}
	c.Statistics = &nic.Statistics{Packets: &taken, Lost: &lost}
	c.MAC = hwts.MAC{2, 0, 0, 0, 0, 9}
	b := newBench(t, phctest.Config{})
	b.app.discover = func() ([]nic.Capabilities, error) { return []nic.Capabilities{c}, nil }
	b.app.nic.read = func(string) (nic.Config, error) { return nic.Config{}, clock.ErrNotSupported }
	if code := b.run("nic"); code != 0 {
		t.Fatal(b.err.String())
	}
	for _, row := range []string{"stamped by       /dev/ptp3, approximate, by phy 1\n",
		"transmit stamps  1099511627776 taken, 2 lost\n"} {
		if !strings.Contains(b.out.String(), row) {
			t.Errorf("no %q in\n%s", row, b.out.String())
		}
	}
	got := b.must("nic")[0]["interfaces"].([]any)[0].(map[string]any)
	if fmt.Sprintf("%v %v %v", got["provider"], got["statistics"], got["mac"]) !=
		"map[phc:3 phy:1 qualifier:approximate source:phy] map[tx_lost:2 tx_packets:1.099511627776e+12] 02:00:00:00:00:09" {
		t.Errorf("%v", got)
	}
}

// A driver that can be configured but not read: what it granted is what its answer says, and half of it cannot be kept.
func TestNICUnreadable(t *testing.T) {
	b := newBench(t, phctest.Config{})
	var setErr error
	b.app.nic = nicDriver{
		probe: func(string) (nic.Capabilities, error) { return fakeNIC(), nil },
		read:  func(string) (nic.Config, error) { return nic.Config{}, clock.ErrNotSupported },
		set: func(_ string, h nic.Config) (nic.Config, error) {
			h.RxFilter = nic.RxAll
			return h, setErr
		},
	}
	got := b.must("nic", "set", "eth0", "--tx", "on", "--rx", "ntp")[0]
	if fmt.Sprint(got["granted"]) != "map[rx:all tx:on]" || got["before"] != nil {
		t.Errorf("%v", got)
	}
	b.want(exitUnsupported, "both", "nic", "set", "eth0", "--tx", "on")
	setErr = unix.EPERM
	b.want(exitPermission, "CAP_NET_ADMIN", "nic", "set", "eth0", "--tx", "on", "--rx", "ntp")
}

// TestWritesIntoNoOtherFile has other names for the files that are to be written: those keep what they have.
func TestWritesIntoNoOtherFile(t *testing.T) {
	dir := t.TempDir()
	csv, plot, other := filepath.Join(dir, "a.csv"), filepath.Join(dir, "a.PNG"), filepath.Join(dir, "other")
	if err := errors.Join(os.WriteFile(other, []byte("other"), 0o600), os.Link(other, csv), os.Link(other, plot)); err != nil {
		t.Fatal(err)
	}
	newBench(t, phctest.Config{Window: 100}).must("cmp", "ptp0", "--count", "3", "--csv", csv, "--plot", plot)
	for path, want := range map[string]string{other: "other", csv: "at_ns,offset_ns", plot: "\x89PNG"} {
		if b, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(b), want) || path == other && len(b) != len(want) {
			t.Errorf("%s: %v, want %q in %.80q", path, err, want, b)
		}
	}
}
