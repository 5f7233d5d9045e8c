// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockstep-time/lockstep/clock"
)

func TestLine(t *testing.T) {
	l := Line{Clock: clock.System, At: clock.At(clock.System, 5e9), Offset: -400, Rate: 100, MaxError: 700, Growth: 30}
	for _, c := range []struct {
		at            int64
		offset, bound time.Duration
	}{{5e9, -400, 700}, {6e9, -300, 730}, {9e9, 0, 820}, {4e9, -500, 730}} {
		off, bound, ok := l.Error(clock.At(clock.System, c.at))
		if !ok || off != c.offset || bound != c.bound {
			t.Errorf("at %d: %v, %v, %v", c.at, off, bound, ok)
		}
		if ns, ok := l.True(clock.At(clock.System, c.at)); !ok || ns != c.at-int64(c.offset) {
			t.Errorf("at %d: true time is %d", c.at, ns)
		}
	}
	if _, _, ok := l.Error(clock.At(clock.PHC(0), 5e9)); ok {
		t.Error("the reading of another clock is on the line")
	}
	if _, ok := l.True(clock.Timestamp{}); ok {
		t.Error("no reading is on the line")
	}
}

func TestValid(t *testing.T) {
	var none *Offer
	if _, ok := none.Line(clock.System); ok || none.Valid(0) {
		t.Error("no offer is one")
	}
	o := &Offer{Made: 10, Until: 20, Lines: []Line{{Clock: clock.PHC(1)}}}
	for now, want := range map[clock.Mono]bool{9: false, 10: true, 19: true, 20: false} {
		if o.Valid(now) != want {
			t.Errorf("at %d valid: %v", now, !want)
		}
	}
	if _, ok := o.Line(clock.System); ok {
		t.Error("there is a line of a clock of which nothing is known")
	}
}

// TestNothingWraps: whatever the numbers, the bound is not smaller than it was when the offer was made.
func TestNothingWraps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Line{At: clock.At(clock.System, rapid.Int64().Draw(t, "at")), Offset: rapid.Float64().Draw(t, "offset"),
			Rate: rapid.Float64().Draw(t, "rate"), MaxError: time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "bound")),
			Growth: rapid.Float64Min(0).Draw(t, "growth")}
		if _, bound, ok := l.Error(clock.At(clock.System, rapid.Int64().Draw(t, "reading"))); !ok || bound < l.MaxError {
			t.Errorf("bound %d of %d", bound, l.MaxError)
		}
	})
}
