// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/source"
)

// TestNextGrandmaster loses a grandmaster that had jumped. Its successor, heard at once or after a while without any, is
// followed as soon as it is measured: it has not jumped.
func TestNextGrandmaster(t *testing.T) {
	for _, gap := range []time.Duration{0, 5 * second, 10 * second, 30 * second, 90 * second} {
		s := newSite(t, onePort+threeServers, 1100*second)
		id := grandmaster()
		id.Clock[7]++
		near := delay(t, "(+ 1e-7 (* 1e-7 (exponential)))")
		next := s.host.Connect(0, s.world.NewMaster("next", ptptest.Config{Identity: id}), near, near)
		next.Cut(true)
		s.at(300*second, func() { s.master.Shift(5 * time.Millisecond) })
		s.at(310*second, func() { // the servers' error now excludes neither this host nor the grandmaster
			for _, l := range s.ntp {
				l.Extend(300_000, 0)
			}
		})
		s.at(900*second, func() { s.ptp.Cut(true) })
		s.at(900*second+gap, func() { next.Cut(false) })
		s.world.Run(899 * second)
		if got := s.source("ptp:eth0"); got.State != source.Falseticker.String() {
			t.Errorf("the first grandmaster is %s: %s", got.State, got.Reason)
		}
		s.world.Run(1100 * second)
		if when, ok := s.logged(900*second, "following ptp:"); !ok || when > 900*second+gap+20*second {
			t.Errorf("gap %v: the new grandmaster is followed only at %v", gap, when)
		}
		s.within(clock.System, 1080, 1100, 5*time.Microsecond)
		s.story()
	}
}
