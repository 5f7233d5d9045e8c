// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"math"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/host"
	"github.com/lockstep-time/lockstep/offer"
)

// line checks that the host offers a time of the clock that is no more than most off, and a bound that covers what the clock
// is off.
func (s *site) line(id clock.ID, most time.Duration) (l offer.Line) {
	s.Helper()
	s.host.Tell(func(h *host.Host, now clock.Mono) {
		o := h.Offer()
		l, _ = o.Line(id)
		reading := s.host.ClockInfo(id).Reading
		off, bound, ok := l.Error(reading)
		if !o.Valid(now) || !ok {
			s.Errorf("%v: no offer of %v: %+v", s.world.Now(), id, o)
			return
		}
		scale := s.world.UTC
		if id != clock.System {
			scale = s.world.TAI
		}
		truth := time.Duration(reading.Nanoseconds() - scale(int64(s.world.Now())))
		if (off - truth).Abs() > most {
			s.Errorf("%v: %v is said to be %v off, and is %v off", s.world.Now(), id, off, truth)
		}
		if truth.Abs() > bound {
			s.Errorf("%v: %v is %v off, with a bound of %v", s.world.Now(), id, truth, bound)
		}
	})
	return l
}

// TestOffer follows a grandmaster, holds over and follows it again: at any time the offer tells how far the clocks are off,
// and a bound that covers it.
func TestOffer(t *testing.T) {
	s := newSite(t, onePort, 900*second)
	defer s.story()
	s.at(300*second, func() { s.ptp.Cut(true) })
	s.at(600*second, func() { s.ptp.Cut(false) })
	none := true
	s.host.Tell(func(h *host.Host, _ clock.Mono) { none = h.Offer() == nil })
	if !none {
		t.Error("there is an offer before anything is known")
	}
	for at := 30 * second; at < 900*second; at += 1370 * time.Millisecond { // at all times between two offers
		s.world.Run(at)
		most := 500 * time.Nanosecond
		if at > 300*second && at < 610*second {
			most = 30 * time.Microsecond
		}
		s.line(clock.System, most)
		s.line(phc0, most)
	}
}

// TestOfferAfterAStep: readings from before a step are told from those after, and a new offer is made at once.
func TestOfferAfterAStep(t *testing.T) {
	s := newSite(t, onePort+"[steering]\nstep = \"always\"\n", 200*second)
	defer s.story()
	s.world.Run(100 * second)
	before := s.line(clock.System, time.Microsecond)
	s.host.Clock(clock.System).Step(100*second, time.Second)
	steps := s.host.States()[99].Steps
	moved := time.Duration(math.MaxInt64)
	for at := 100 * second; at < 110*second; at += 10 * time.Millisecond {
		s.world.Run(at)
		if s.snapshot().Steps > steps {
			moved = at
			break
		}
	}
	after := s.line(clock.System, 10*time.Microsecond)
	if moved > 105*second || after.Epoch < before.Epoch+2 { // set by somebody else, and set back
		t.Errorf("stepped back at %v; epoch %d, then %d", moved, before.Epoch, after.Epoch)
	}
}
