// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/sysclock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/internal/plain"
	"github.com/lockstep-time/lockstep/phc"
)

// The exit status; exitStatuses says of each what it means.
const (
	exitOK          = 0
	exitIO          = 1 // the device or the system failed, or the device is gone
	exitUsage       = 2 // wrong arguments, a value out of range, a set that was not confirmed
	exitPermission  = 3
	exitUnsupported = 4 // by the driver or the kernel
	exitNoClock     = 5 // no such clock or interface, or the name is ambiguous
	exitHeld        = 6 // another process may be steering the clock, and --force was not given

	exitInterrupted = 130 // as shells have it
)

// exitStatus is an exit status and its meaning.
type exitStatus struct {
	code    int
	meaning string
}

func exitStatuses() []exitStatus {
	return []exitStatus{
		{exitOK, "done; also list on a host without clocks"},
		{exitIO, "the device or the system failed, the clock vanished, or the driver is busy"},
		{exitUsage, "wrong arguments, a value out of range, a set that was not confirmed"},
		{exitPermission, "no permission"},
		{exitUnsupported, "not supported by the driver or the kernel"},
		{exitNoClock, "no such clock or interface, or an ambiguous name"},
		{exitHeld, "another process may be steering the clock"},
		{exitInterrupted, "interrupted before there was a result"},
	}
}

// errUsage marks errors in the arguments, errRefused a change that nobody confirmed.
var (
	errUsage   = errors.New("usage")
	errRefused = errors.New("nothing was changed")
)

// usagef returns an error in the arguments.
func usagef(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errUsage, fmt.Errorf(format, args...))
}

// exitCode returns the exit status for the error that a command ended with.
func exitCode(err error) int {
	var held *heldError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &held):
		return exitHeld
	case errors.Is(err, fs.ErrPermission):
		return exitPermission
	case errors.Is(err, clock.ErrGone):
		return exitIO
	case errors.Is(err, clock.ErrNotSupported):
		return exitUnsupported
	case errors.Is(err, phc.ErrNotPHC), errors.Is(err, errAmbiguous), errors.Is(err, hwts.ErrNoInterface):
		return exitNoClock
	case errors.Is(err, errUsage), errors.Is(err, errRefused), errors.Is(err, clock.ErrRange), errors.Is(err, nic.ErrConfig):
		return exitUsage
	}
	return exitIO
}

// app is what the commands have in common: where they write, and the host that they look at.
type app struct {
	in       io.Reader
	out, err io.Writer
	// terminal tells whether a person is at in and err.
	terminal bool

	json  bool
	force bool
	// taiSeconds is TAI − UTC as given on the command line, if it was.
	taiSeconds int
	taiGiven   bool

	// open is for changing a clock, openRead for looking at it, which others see from the open file.
	open, openRead func(name string) (*phc.Device, error)
	list           func() ([]phc.Info, error)
	holders        func(index int) (found []phc.Holder, complete bool, err error)
	pps            func(index int) (phc.PPSSource, bool)
	discover       func() ([]nic.Capabilities, error)
	nic            nicDriver
	// system reads the system clock in ns, kernelTAI the kernel's TAI − UTC, leapTAI that of the leap-seconds list.
	system    func() (int64, error)
	kernelTAI func() (seconds int, ok bool)
	leapTAI   func(utc int64) (seconds int, ok bool)
	// monotonic is the time since some start, without steps. sleep waits, or returns early with the context's error.
	monotonic func() time.Duration
	sleep     func(context.Context, time.Duration) error
}

// newApp returns the app of this host.
func newApp() *app {
	realtime, start, names := sysclock.NewRealtime(), time.Now(), kernelNaming()
	return &app{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, terminal: isTerminal(os.Stdin) && isTerminal(os.Stderr),
		open:     func(name string) (*phc.Device, error) { return names.open(name, phc.Open) },
		openRead: func(name string) (*phc.Device, error) { return names.open(name, phc.OpenRead) },
		list:     names.clocks, holders: phc.Holders, pps: phc.PPS, discover: nic.Discover,
		nic: nicDriver{probe: nic.Probe, read: nic.ReadConfig, set: nic.SetConfig},
		system: func() (int64, error) {
			t, err := realtime.Now()
			return t.Nanoseconds(), err
		},
		kernelTAI: func() (int, bool) {
			s, err := realtime.ReadKernel()
			return s.TAIOffset, err == nil && s.TAIOffsetValid
		},
		leapTAI: func(utc int64) (int, bool) {
			table, err := sysclock.LoadLeapSeconds(sysclock.DefaultLeapSeconds)
			if err != nil {
				return 0, false
			}
			return table.TAIOffset(clock.Instant{Nanoseconds: utc, Scale: clock.UTC})
		},
		monotonic: func() time.Duration { return time.Since(start) },
		sleep:     sleep,
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// result is what an operation found out or did. It marshals to JSON.
type result interface {
	// text writes it for people.
	text(w io.Writer)
}

// print writes a result in the form that was asked for.
func (a *app) print(r result) error {
	if a.json {
		return a.printJSON(r)
	}
	var b bytes.Buffer
	r.text(&b)
	if _, err := io.WriteString(a.out, plain.Lines(b.String())); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// printJSON writes one line.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(plain.Writer(a.out))
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// tai returns TAI − UTC in seconds: as given, as the kernel has it, or of the leap-seconds list. Not ok if nobody knows.
func (a *app) tai() (seconds int, ok bool) {
	if a.taiGiven {
		return a.taiSeconds, true
	}
	if s, ok := a.kernelTAI(); ok {
		return s, true
	}
	now, err := a.system()
	if err != nil {
		return 0, false
	}
	return a.leapTAI(now)
}

// confirm asks a person; without one, the answer is no. It fails when the context ends before there is an answer.
func (a *app) confirm(ctx context.Context, question string) (bool, error) {
	if a.force || !a.terminal {
		return a.force, nil
	}
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	answers := make(chan string, 1)
	go func() { // a terminal cannot be told to give up reading
		var answer string
		fmt.Fscanln(a.in, &answer)
		answers <- answer
	}()
	select {
	case answer := <-answers:
		return strings.HasPrefix(strings.ToLower(answer), "y"), ctx.Err()
	case <-ctx.Done():
		fmt.Fprintln(a.err)
		return false, ctx.Err()
	}
}

// ask has a person confirm a change. Where there is nobody, or the answer is no, the error says what may have been meant.
func (a *app) ask(ctx context.Context, question, hint string) error {
	yes, err := a.confirm(ctx, question+". Do it?")
	if err != nil || yes {
		return err
	}
	return fmt.Errorf("%w: %s; %s, or --force", errRefused, question, hint)
}
