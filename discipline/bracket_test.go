// SPDX-License-Identifier: Apache-2.0

package discipline

import "testing"

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
