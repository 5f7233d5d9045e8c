// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/status"
)

// TestForgedKisses has somebody on the way answer all requests to all servers before these do: with a kiss-o'-death that
// denies the service, or asks for longer intervals.
func TestForgedKisses(t *testing.T) {
	for _, code := range []string{"DENY", "RATE"} {
		t.Run(code, func(t *testing.T) {
			w := newCable(t)
			sections := []string{}
			for last := range byte(3) {
				address := peerAddress
				for range last {
					address = address.Next()
				}
				if last > 0 {
					w.peers.address(t, "eth1", netip.PrefixFrom(address, 24))
				}
				newNTPServerAt(t, w, address).Forge(code)
				sections = append(sections, fmt.Sprintf("\n[[ntp.server]]\naddress = %q\nmin_poll = \"250ms\"\nmax_poll = \"500ms\"\n",
					address))
			}
			d := newDaemon(t, w.host, sections...)
			before := d.awaitSettled(t)
			heard := map[string]time.Time{}
			throughout(t, d, func(s *status.Snapshot) {
				if s.State != status.Locked || s.Steps != before.Steps || s.Offset.Abs() > 20*time.Millisecond {
					t.Fatalf("the kisses have disturbed the daemon:\n%s", show(s))
				}
				for _, src := range s.Sources {
					if last := heard[string(src.ID)]; !last.IsZero() && src.LastSample.Sub(last) > 5*time.Second {
						t.Errorf("%s was lost for %v", src.ID, src.LastSample.Sub(last))
					}
					heard[string(src.ID)] = src.LastSample
				}
			})
			for _, src := range d.status().Sources {
				if src.Kiss != "" || src.State == "unreachable" || src.Interval > 500*time.Millisecond || src.Samples < 8 {
					t.Errorf("%s", show(src))
				}
			}
			if log := d.log.String(); strings.Count(log, "kiss-o'-death "+code+" is ignored") != 3 {
				t.Errorf("it is not told of once for each server:\n%s", log)
			}
		})
	}
}
