// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"testing"
	"time"
)

func took(p *Pace, n int, d time.Duration) {
	for range n {
		p.Took(d)
	}
}

func TestPace(t *testing.T) {
	var p Pace
	if took(&p, enough-1, time.Microsecond); p.AtOnce() {
		t.Error("too few calls were done at once")
	}
	if p.Took(atOnce); !p.AtOnce() {
		t.Errorf("%d calls were done at once", enough)
	}
	took(&p, 100, time.Microsecond)
	for range 100 { // a busy machine
		took(&p, 5, time.Microsecond)
		if p.Took(2 * atOnce); !p.AtOnce() {
			t.Fatal("one call in six was interrupted")
		}
	}
	if took(&p, most/penalty, 2*atOnce); p.AtOnce() {
		t.Error("the driver has become slow")
	}
	took(&p, 100, time.Microsecond)
	if p.Took(2 * hung); p.AtOnce() {
		t.Error("a call hung")
	}
	took(&p, enough, time.Microsecond)
	if p.Reset(); p.AtOnce() {
		t.Error("all was forgotten")
	}
}
