// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/sysclock"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/test/peers"
)

// options of a demonstration.
type options struct {
	bin      string        // folder of lockstepd and lockstepctl
	duration time.Duration // of the whole
	fast     bool          // go on as soon as what was promised has been seen
	out      io.Writer
}

// settle is how long a promise has to hold before a fast story goes on.
const settle = 3 * time.Second

// chapter of the story: something is done to the client, and it has to do something about it.
type chapter struct {
	name   string
	doing  string
	begin  func(*story) error
	next   string // what comes after it
	kind   string // of the source that has to be followed
	within time.Duration
	share  float64 // of the duration
	steps  bool    // the clock may be stepped
}

var (
	errBroken      = errors.New("not all was as promised")
	errInterrupted = errors.New("interrupted")
)

// chapters of the story, in order.
func chapters() []chapter {
	return []chapter{
		{name: "grandmaster and NTP server", doing: "A grandmaster and an NTP server start; the clock is 80 ms and 40 ppm wrong.",
			next: "the grandmaster stops", begin: (*story).startSources, kind: "ptp", within: 15 * time.Second, share: 0.25,
			steps: true},
		{name: "without the grandmaster", doing: "The grandmaster has stopped: NTP has to take over.",
			next: "the grandmaster returns", begin: (*story).stopGrandmaster, kind: "ntp", within: 10 * time.Second, share: 0.35},
		{name: "the grandmaster is back", doing: "The grandmaster is back: it has to be followed again.",
			next: "all ends", begin: (*story).startGrandmaster, kind: "ptp", within: 15 * time.Second, share: 0.4},
	}
}

// story is a demonstration under way.
type story struct {
	opt    options
	ports  ports
	client *client
	view   view
	master *peers.Grandmaster
	ntp    *peers.NTPServer

	snapshots chan *status.Snapshot
	truth     truth
	last      *status.Snapshot
	report    report
}

// tell tells the whole story and reports what was seen. The error says what was not as promised.
func tell(ctx context.Context, opt options) (*report, error) {
	dir, err := os.MkdirTemp("", "lockstep-demo-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s := &story{opt: opt, snapshots: make(chan *status.Snapshot)}
	if s.ports, err = freePorts(); err != nil {
		return nil, err
	}
	if s.client, err = startClient(opt.bin, dir, s.ports); err != nil {
		return nil, err
	}
	s.view = newView(opt.out, opt.bin, s.client)
	s.report.began = time.Now()
	watching, stopWatching := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		s.client.watch(watching, s.snapshots)
		close(watched)
	}()
	err = s.run(ctx)
	stopWatching()
	<-watched
	err = errors.Join(err, s.view.close(), s.stopSources(), s.client.Stop())
	s.report.write(opt.out)
	return &s.report, err
}

func (s *story) run(ctx context.Context) error {
	s.say("lockstepd starts; see also " + strings.Join(s.client.doors(s.opt.bin), " and "))
	host, err := sysclock.NewRealtime().Frequency()
	if err != nil {
		return err
	}
	for range readings {
		first, err := s.next(ctx, time.After(5*time.Second))
		if err != nil {
			return err
		}
		if first == nil {
			return errors.New("lockstepd has not shown anything for 5 s")
		}
		if err := s.truth.calibrate(first, s.client.cfg.Steering.Virtual, host); err != nil {
			return err
		}
		s.saw(first)
	}
	for _, c := range chapters() {
		if err := s.play(ctx, c); err != nil {
			return err
		}
	}
	if s.report.broken {
		return errBroken
	}
	return nil
}

// next waits for a snapshot; it is nil when the time is up.
func (s *story) next(ctx context.Context, up <-chan time.Time) (*status.Snapshot, error) {
	select {
	case <-ctx.Done():
		return nil, errInterrupted
	case <-s.client.exited:
		return nil, errOver
	case <-up:
		return nil, nil
	case snapshot := <-s.snapshots:
		return snapshot, nil
	}
}

// play does what a chapter does, and watches what comes of it.
func (s *story) play(ctx context.Context, c chapter) error {
	if err := c.begin(s); err != nil {
		return err
	}
	s.say(c.doing)
	began, steps := time.Now(), s.last.Steps
	length := clock.Nanoseconds(c.share * float64(s.opt.duration))
	end := time.NewTimer(max(length, c.within))
	if !s.opt.fast {
		end.Reset(length)
	}
	defer end.Stop()
	figures, kept := s.report.chapter(c.name), time.Duration(-1)
	for {
		now, err := s.next(ctx, end.C)
		if err != nil {
			return err
		}
		if now == nil {
			break
		}
		s.saw(now)
		off := s.truth.read(now)
		good := now.State == status.Locked && strings.HasPrefix(string(now.Selected), c.kind+":")
		if good && kept < 0 {
			kept = time.Since(began)
			left := length - kept
			if s.opt.fast {
				left = settle
				end.Reset(settle)
			}
			s.say(fmt.Sprintf("Locked to %s after %.1f s. In %.0f s %s.", now.Selected, kept.Seconds(), left.Seconds(), c.next))
		}
		if good {
			figures.add(off, now)
		}
	}
	s.judge(c, kept, s.last.Steps-steps, figures)
	return nil
}

// judge enters how a chapter went.
func (s *story) judge(c chapter, kept time.Duration, steps uint64, f *figures) {
	what := fmt.Sprintf("%s: locked by %s within %v", c.name, c.kind, c.within)
	switch {
	case kept < 0:
		s.report.promise(false, what+": never")
	case kept > c.within:
		s.report.promise(false, fmt.Sprintf("%s: after %.1f s", what, kept.Seconds()))
	default:
		s.report.promise(true, fmt.Sprintf("%s: after %.1f s", what, kept.Seconds()))
	}
	good := s.last.State == status.Locked && strings.HasPrefix(string(s.last.Selected), c.kind+":")
	s.report.promise(good, fmt.Sprintf("%s: still so at its end", c.name))
	s.report.promise(f.covered == len(f.errors),
		fmt.Sprintf("%s: no further off than the bound it stated, in %d of %d readings", c.name, f.covered, len(f.errors)))
	if !c.steps {
		s.report.promise(steps == 0, fmt.Sprintf("%s: no step of the clock, and there were %d", c.name, steps))
	}
}

// saw notes and shows a snapshot.
func (s *story) saw(now *status.Snapshot) {
	if s.last == nil || s.last.State != now.State || s.last.Selected != now.Selected {
		s.report.event(fmt.Sprintf("%-14s %s", now.State, now.Selected))
	}
	s.last = now
	s.view.show(now)
}

func (s *story) say(text string) {
	s.report.event("== " + text)
	s.view.banner(text)
}

func (s *story) startSources() error {
	if err := s.startGrandmaster(); err != nil {
		return err
	}
	var err error
	s.ntp, err = newNTPServer(s.ports)
	return err
}

func (s *story) startGrandmaster() (err error) {
	s.master, err = newGrandmaster(s.ports)
	return err
}

func (s *story) stopGrandmaster() error {
	err := s.master.Close()
	s.master = nil
	return err
}

func (s *story) stopSources() (err error) {
	if s.master != nil {
		err = s.stopGrandmaster()
	}
	if s.ntp != nil {
		err = errors.Join(err, s.ntp.Close())
	}
	return err
}
