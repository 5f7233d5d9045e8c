// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"strings"
	"testing"
	"time"
)

// TestNameless is about a server whose name nobody knows: what people are told of it, and that it is asked for again.
func TestNameless(t *testing.T) {
	s := newSite(t, "[[ntp.server]]\naddress = \"no-such-host.example\"\n", time.Hour)
	var reasons []string
	for at := second + time.Millisecond; at <= 600*second; at += second / 4 {
		s.at(at, func() {
			if r := s.source("ntp:no-such-host.example").Reason; len(reasons) == 0 || reasons[len(reasons)-1] != r {
				reasons = append(reasons, r)
			}
		})
	}
	s.world.Run(600 * second)
	told := strings.Join(reasons, "\n")
	if !strings.HasPrefix(reasons[0], "its name is being resolved") {
		t.Errorf("at first: %q", reasons[0])
	}
	if want := "its name cannot be resolved: no such host; next try in 2s"; !strings.Contains(told, want) {
		t.Errorf("never %q in\n%s", want, told)
	}
	// it backs off: some of the waits are of minutes
	if want := "next try in 2m"; !strings.Contains(told, want) {
		t.Errorf("never %q in\n%s", want, told)
	}
}
