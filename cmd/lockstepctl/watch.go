// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-time/lockstep/internal/plain"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/control"
	"github.com/lockstep-time/lockstep/status/text"
)

const reconnectPeriod = 500 * time.Millisecond

const aboutWatch = `Shows the status again and again until Ctrl-C: on a terminal as a screen that is
redrawn, else as one line per snapshot and one per event. Changes show at once,
everything else once per interval. If the daemon restarts, it goes on.`

func (a *app) watch() *cobra.Command {
	var interval time.Duration
	c := &cobra.Command{Use: "watch", Short: "Show the status live", Long: aboutWatch, Args: noArgs}
	c.Flags().DurationVarP(&interval, "interval", "n", time.Second, "time between two looks; 0 for changes only")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if interval != 0 && (interval < control.MinInterval || interval > control.MaxInterval) {
			return usage(fmt.Sprintf("--interval is neither 0 nor from %v to %v", control.MinInterval, control.MaxInterval))
		}
		client := a.client()
		defer client.Close()
		return watch(c.Context(), client, interval, a.view())
	}
	return c
}

// view is a way of showing what is watched.
type view interface {
	begin() error
	show(*status.Snapshot) error
	lost(error) error // the daemon is gone, and may come back
	end() error
}

func (a *app) view() view {
	switch {
	case a.json:
		return &jsonView{app: a, encoder: json.NewEncoder(plain.Writer(a.out))}
	case a.terminal != nil:
		return &screenView{terminal: a.terminal, out: a.out, style: a.style()}
	}
	return &lineView{out: a.out}
}

// watch shows snapshots until ctx is cancelled, which is no error. A daemon that does not answer at first is one.
func watch(ctx context.Context, client *control.Client, interval time.Duration, v view) (err error) {
	begun := false
	defer func() {
		if begun {
			err = errors.Join(err, v.end())
		}
	}()
	for {
		for s, failure := range client.Watch(ctx, interval) {
			switch {
			case ctx.Err() != nil:
				return nil
			case failure != nil && !begun:
				return failure
			case failure != nil:
				err = v.lost(failure)
			case !begun:
				begun = true
				err = errors.Join(v.begin(), v.show(s))
			default:
				err = v.show(s)
			}
			if err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(reconnectPeriod):
		}
	}
}

// jsonView prints one JSON document per line.
type jsonView struct {
	app     *app
	encoder *json.Encoder
}

func (v *jsonView) begin() error                  { v.app.printed = true; return nil }
func (v *jsonView) show(s *status.Snapshot) error { return v.encoder.Encode(s) }
func (*jsonView) lost(error) error                { return nil }
func (*jsonView) end() error                      { return nil }

// lineView prints one line per snapshot, after those of the events that are new.
type lineView struct {
	out     io.Writer
	seen    status.PastEvent // the latest event of the last snapshot
	another bool
	gone    bool
}

func (v *lineView) begin() error { return nil }
func (v *lineView) end() error   { return nil }

func (v *lineView) show(s *status.Snapshot) error {
	lines := ""
	if v.another {
		for _, e := range news(v.seen, s.Events) {
			lines += text.EventLine(e) + "\n"
		}
	}
	v.another, v.gone = true, false
	if n := len(s.Events); n > 0 {
		v.seen = s.Events[n-1]
	}
	_, err := io.WriteString(v.out, lines+text.Line(s)+"\n")
	return err
}

// news returns the events after the one that was seen last. A daemon that has been started since counts its own anew, and
// then they are all new: the event with the number seen is another one, or is yet to come.
func news(seen status.PastEvent, now []status.PastEvent) []status.PastEvent {
	for i, e := range now {
		if e.Number == seen.Number && e.Kind == seen.Kind && e.Subject == seen.Subject {
			return now[i+1:]
		}
	}
	return now
}

func (v *lineView) lost(failure error) error {
	if v.gone {
		return nil
	}
	v.gone = true
	_, err := fmt.Fprintln(v.out, plain.Text(failure.Error()))
	return err
}

// screenView redraws a screen, and leaves the last one behind.
type screenView struct {
	terminal *terminal
	out      io.Writer
	style    text.Style
	last     string
}

func (v *screenView) begin() error { return v.terminal.begin() }

func (v *screenView) show(s *status.Snapshot) error {
	v.last = text.Status(s, v.style)
	return v.terminal.draw(v.last)
}

func (v *screenView) lost(failure error) error {
	return v.terminal.draw("The daemon does not answer. Waiting for it; this is the last that was heard:\n" +
		plain.Text(failure.Error()) + "\n\n" + v.last)
}

func (v *screenView) end() error {
	if err := v.terminal.end(); err != nil {
		return err
	}
	_, err := io.WriteString(v.out, v.last)
	return err
}
