// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"math"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
)

func TestMarginsAddToTheMaximumError(t *testing.T) {
	r := newRig(t, nil).locked()
	bound := func(id clock.ID) time.Duration {
		d, _ := r.graph.MaxError(r.now, id)
		return d
	}
	tai, utc := bound(phc), bound(clock.System)
	r.graph.SetMargins(Margins{Jump: time.Millisecond, Contradiction: 10 * time.Millisecond, UTC: second})
	if d := bound(phc) - tai; d != 11*time.Millisecond {
		t.Errorf("%v more for a clock on TAI, want 11 ms", d)
	}
	if d := bound(clock.System) - utc; d != second+11*time.Millisecond {
		t.Errorf("%v more for a clock on UTC, want 1.011 s", d)
	}
	r.graph.SetMargins(Margins{Jump: math.MaxInt64, Contradiction: math.MaxInt64, UTC: math.MaxInt64})
	if d := bound(clock.System); d < 3*(Unlimited/1024*1023) || d > 3*(Unlimited/1024*1025) {
		t.Errorf("maximum error %v of unlimited margins", d)
	}
	r.graph.SetMargins(Margins{})
	if bound(phc) != tai || bound(clock.System) != utc {
		t.Error("margins stay")
	}
}

// TestSlowMarginSlowsTheSlew follows a source that has jumped by 180 µs: within three minutes where others may contradict it.
func TestSlowMarginSlowsTheSlew(t *testing.T) {
	const jump = 180e3 // ns
	for _, slow := range []bool{false, true} {
		r := newRig(t, nil).locked()
		r.run(30 * second)
		r.lie = jump
		r.graph.Accept(r.now, r.measurement())
		r.graph.SetMargins(Margins{Jump: jump, Slow: slow})
		before := r.error(phc)
		r.run(30 * second)
		moved := before - r.error(phc)
		if slow && math.Abs(moved-30e3) > 3e3 || !slow && math.Abs(moved-jump) > 1e3 {
			t.Errorf("slow %t: moved by %.0f ns within 30 s", slow, moved)
		}
	}
}
