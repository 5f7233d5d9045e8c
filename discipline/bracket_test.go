// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/estimate"
)

func TestBracketKeepsWhatMeasurementsHaveInCommon(t *testing.T) {
	var b bracket
	b.narrow(10, 100) // -90 to 110
	b.narrow(-50, 60) // -110 to 10
	if b.low != -90 || b.high != 10 {
		t.Errorf("%+v, want -90 to 10", b)
	}
	if got := b.most(0); got != 90 {
		t.Errorf("off by %g at most, want 90", got)
	}
	if got := b.most(50); got != 60 {
		t.Errorf("off by %g at most when 50 ahead, want 60", got)
	}
}

func TestBracketHoldsBothSidesOfAContradiction(t *testing.T) {
	var b bracket
	b.narrow(0, 10)
	b.narrow(100, 10)
	if b.low != -10 || b.high != 110 {
		t.Errorf("%+v, want -10 to 110", b)
	}
	b.narrow(100, 10) // the second one is confirmed
	if b.low != 90 || b.high != 110 {
		t.Errorf("%+v, want 90 to 110", b)
	}
}

func TestBracketFollowsTheEstimate(t *testing.T) {
	var b bracket
	b.narrow(0, 10)
	b.moved(30) // what is estimated is 30 more than before: the truth lies so much lower beside it
	if b.low != -40 || b.high != -20 {
		t.Errorf("%+v, want -40 to -20", b)
	}
	b.widen(5)
	b.admit(1)
	if b.low != -45 || b.high != 1 || b.half() != 23 {
		t.Errorf("%+v, half %g, want -45 to 1, 23", b, b.half())
	}
}

// TestBracketsRelyOnAnEvenPath measures an offset of 0 by a path of which 100 ns stay open, 75 of them only if it is uneven.
func TestBracketsRelyOnAnEvenPath(t *testing.T) {
	const bound, even = 100, 75
	var p brackets
	e := estimate.New()
	e.SetFrequency(0, 1)
	at := int64(0)
	for range 50 {
		at += int64(time.Second)
		p.observe(e, estimate.Observation{Time: at, Variance: 1}, bound, even, 0)
	}
	if p.full.half() < 99 || p.stated.half() > 40 || p.stated.half() < 25 {
		t.Errorf("half width %g and %g, want 100 and not much more than 25", p.full.half(), p.stated.half())
	}
}
