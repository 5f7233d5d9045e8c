// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// turns has what is done again and again begin at whole intervals from the start, so that lateness does not add up.
type turns struct {
	app             *app
	start, interval time.Duration
	// turn is the number of the one that it is now, from 0.
	turn int
	// idle is called at least once a second of waiting, if not nil.
	idle func()
}

func (a *app) every(interval time.Duration) *turns {
	return &turns{app: a, start: a.monotonic(), interval: interval}
}

// next waits for the next turn. Turns that are past by more than an eighth of the interval are left out. It returns the
// context's error if that ends first.
func (t *turns) next(ctx context.Context) error {
	late := t.app.monotonic() - t.start - t.interval/8
	t.turn = max(t.turn+1, int((late+t.interval-1)/t.interval))
	due := t.start + time.Duration(t.turn)*t.interval
	for {
		left := due - t.app.monotonic()
		if left <= 0 {
			return ctx.Err()
		}
		if err := t.app.sleep(ctx, min(left, time.Second)); err != nil {
			return err
		}
		if t.idle != nil {
			t.idle()
		}
	}
}

// progress is a bar for a person to look at.
type progress struct {
	w        io.Writer
	total    int
	interval time.Duration
	shown    bool
	now      func() time.Duration
	drawn    time.Duration // when
}

// redraw is how often the bar is drawn at most.
const redraw = 100 * time.Millisecond

// show draws that n turns of the total are done.
func (p *progress) show(n int) {
	const width = 40
	now := p.now()
	if !p.shown || n > 1 && n < p.total && now-p.drawn < redraw {
		return
	}
	p.drawn = now
	n = min(n, p.total)
	filled := width * n / p.total
	left := (time.Duration(p.total-n) * p.interval).Round(time.Second)
	fmt.Fprintf(p.w, "\r[%s%s] %d of %d, %v left\033[K",
		strings.Repeat("#", filled), strings.Repeat(".", width-filled), n, p.total, left)
}

func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.w, "\r\033[K")
	}
}
