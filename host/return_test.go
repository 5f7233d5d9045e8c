// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/status"
)

// TestReturnAfterAPoorerSource loses the grandmaster, and while NTP is followed the way to the server becomes longer in one
// direction. What the grandmaster then differs by from the host is what NTP could not know better: it has not jumped.
func TestReturnAfterAPoorerSource(t *testing.T) {
	s := newSite(t, onePort+"[[ntp.server]]\naddress = \"192.0.2.1\"\nmin_poll = \"1s\"\nmax_poll = \"1s\"\n", 700*second)
	defer s.story()
	s.at(200*second, func() { s.ptp.Cut(true) })
	s.at(220*second, func() { s.ntp[0].Extend(80_000, 0) })
	s.at(500*second, func() { s.ptp.Cut(false) })
	s.world.Run(700 * second)
	s.follows(499, status.Locked, "ntp:")
	if off := s.worst(phc0, 495, 499); off < 20*time.Microsecond {
		t.Errorf("only %v off before the grandmaster is back", off)
	}
	for second := 515; second < 700 && !t.Failed(); second++ {
		s.follows(second, status.Locked, "ptp:eth0")
	}
	if at, jumped := s.logged(500*second, "has jumped"); jumped {
		t.Errorf("a jump is told of at %v", at)
	}
	s.within(phc0, 560, 700, 300*time.Nanosecond)
	s.unstepped(20, 700)
	s.covered(20, 700)
}
