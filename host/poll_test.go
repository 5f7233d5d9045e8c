// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"testing"
	"time"
)

// TestPollFollowsNeed asks servers less often while they do as expected, and often when they are all that is left.
func TestPollFollowsNeed(t *testing.T) {
	interval := func(s *site) time.Duration { return s.source("ntp:192.0.2.1").Interval }

	alone := newSite(t, threeServers, 3600*second)
	alone.world.Run(3600 * second)
	if got := interval(alone); got <= 16*second {
		t.Errorf("an hour alone with NTP it is asked every %v, want less often than at first", got)
	}

	s := newSite(t, onePort+threeServers, 4000*second)
	defer s.story()
	s.at(3000*second, func() { s.ptp.Cut(true) })
	s.at(3650*second, func() { s.ptp.Cut(false) })
	s.world.Run(2990 * second)
	if got := interval(s); got != 64*second {
		t.Errorf("beside PTP it is asked every %v, want 64 s", got)
	}
	s.world.Run(3020 * second)
	if got := interval(s); got != second {
		t.Errorf("without PTP it is asked every %v, want 1 s", got)
	}
	s.world.Run(3600 * second)
	if got := interval(s); got != second {
		t.Errorf("a while without PTP it is asked every %v, want 1 s", got)
	}
	s.world.Run(3700 * second)
	if got := interval(s); got < 16*second {
		t.Errorf("with PTP again it is asked every %v, want 16 s at least", got)
	}
}
