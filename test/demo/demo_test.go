// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/status"
)

// build makes the programs that the demonstration runs.
func build(t *testing.T) (bin string) {
	t.Helper()
	bin = t.TempDir()
	for _, program := range []string{"lockstepd", "lockstepctl"} {
		cmd := exec.Command("go", "build", "-o", bin+"/", "github.com/lockstep-time/lockstep/cmd/"+program)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, out)
		}
	}
	return bin
}

// needSockets skips the test where a grandmaster and an NTP server cannot be had.
func needSockets(t *testing.T) {
	t.Helper()
	p, err := freePorts()
	if err != nil {
		t.Skip("no sockets on loopback: ", err)
	}
	g, err := newGrandmaster(p)
	if err != nil {
		t.Skip("no multicast or timestamps on loopback: ", err)
	}
	s, err := newNTPServer(p)
	if err := errors.Join(err, g.Close()); err != nil {
		t.Skip("no timestamps on loopback: ", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDemo has the real daemon lock, fail over and come back, and looks from outside at how right its clock was.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes 20 s of real time")
	}
	needSockets(t)
	bin := build(t)
	defer goleak.VerifyNone(t)
	var out bytes.Buffer
	r, err := tell(t.Context(), options{bin: bin, duration: time.Minute, fast: true, out: &out})
	if errors.Is(err, errBroken) { // a machine that is busy with something else: kernel timestamps come late
		t.Logf("once more: %v\n%s", err, &out)
		out.Reset()
		r, err = tell(t.Context(), options{bin: bin, duration: time.Minute, fast: true, out: &out})
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, c := range r.chapters {
		if median := c.quantile(0.5); len(c.errors) == 0 || median > time.Millisecond {
			t.Errorf("%s: off by %v in the median of %d samples", c.name, median, len(c.errors))
		}
	}
	for _, want := range []string{"== The grandmaster has stopped", "locked ntp:127.0.0.1 offset", "* following ptp:lo"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the output", want)
		}
	}
	if t.Failed() {
		t.Logf("\n%s", &out)
	}
}

func TestInterrupted(t *testing.T) {
	needSockets(t)
	bin := build(t)
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if _, err := tell(ctx, options{bin: bin, duration: time.Minute, out: &out}); !errors.Is(err, errInterrupted) {
		t.Errorf("%v\n%s", err, &out)
	}
}

func TestNoPrograms(t *testing.T) {
	var out bytes.Buffer
	_, err := tell(t.Context(), options{bin: t.TempDir(), duration: time.Minute, out: &out})
	if err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("got %v, want what to do", err)
	}
}

// TestTruth gives snapshots of a clock that starts 80 ms and 40 ppm wrong, some of them late, and is then stepped.
func TestTruth(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	v := configs.Virtual{Offset: 80 * time.Millisecond, Frequency: 40_000}
	snapshot := func(up, off time.Duration) *status.Snapshot {
		return &status.Snapshot{Time: start.Add(up + off), Started: start.Add(off), Clocks: []status.Clock{{}}}
	}
	var tr truth
	for i, late := range []time.Duration{70 * time.Microsecond, 0, 900 * time.Microsecond} {
		up := time.Duration(i+1) * 200 * time.Millisecond
		off := v.Offset + time.Duration(35e-6*float64(up)) // the host's own clock is 5 ppm fast against its oscillator
		if err := tr.calibrate(snapshot(up, off+late), v, 5000); err != nil {
			t.Fatal(err)
		}
	}
	off := 3 * time.Microsecond
	if got := tr.read(snapshot(10*time.Second, off)); (got - off).Abs() > 50*time.Nanosecond {
		t.Errorf("%v, want %v", got, off)
	}
	steered := snapshot(time.Second, 0)
	steered.Clocks[0].Steps = 1
	if err := tr.calibrate(steered, v, 0); !errors.Is(err, errSteered) {
		t.Errorf("a stepped clock: %v", err)
	}
}

func TestFigures(t *testing.T) {
	var f figures
	if f.quantile(0.5) != 0 {
		t.Error("a quantile of nothing")
	}
	for _, off := range []time.Duration{-5, 1, -2, 3, 4} {
		f.add(off*time.Microsecond, &status.Snapshot{MaxError: 3 * time.Microsecond})
	}
	if f.quantile(0.5) != 3*time.Microsecond || f.quantile(1) != 5*time.Microsecond || f.quantile(0) != time.Microsecond ||
		f.covered != 4 || f.bound != 3*time.Microsecond {
		t.Errorf("got %v %v %v, %d covered, bound %v", f.quantile(0), f.quantile(0.5), f.quantile(1), f.covered, f.bound)
	}
}
