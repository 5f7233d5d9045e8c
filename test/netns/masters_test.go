// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/ptp/wire"
	"github.com/lockstep-time/lockstep/status"
)

// TestAllowedMasters has a better master beside the one that the configuration names.
func TestAllowedMasters(t *testing.T) {
	w := newCable(t)
	newGrandmaster(t, w)
	w.peers.address(t, "eth1", anotherPeer)
	d := newDaemon(t, w.host, ptpPort, fmt.Sprintf("masters = [%q]\n", masterIdentity().Clock))
	before := d.awaitSettled(t)
	f := newForger(stranger(), stranger())
	f.attack(t, datagrams(t, w.peers, anyPort(attacker), hwts.UDP4.Primary(hwts.EventPort).UDP),
		datagrams(t, w.peers, anyPort(attacker), hwts.UDP4.Primary(hwts.GeneralPort).UDP))
	after := undisturbed(t, d, before)
	if n := after.Ports[0].Dropped["not_allowed"]; n < 50 {
		t.Errorf("%d Announce messages were refused", n)
	}
	d.configure(t, configuration(d.dir, ptpPort, "masters = [\"192.0.2.1\"]\n"))
	d.signal(t, syscall.SIGHUP)
	d.await(t, "nobody is followed, and the source says why", func(s *status.Snapshot) bool {
		return s.Sources[0].State == "unreachable" && strings.Contains(s.Sources[0].Reason, "no master that its port allows")
	})
}

// TestHybridMaster answers Delay_Req messages by unicast.
func TestHybridMaster(t *testing.T) {
	w := newCable(t)
	g := newGrandmaster(t, w)
	g.AnswerByUnicast()
	d := newDaemon(t, w.host, ptpPort)
	s := d.awaitSettled(t)
	if p := s.Ports[0]; p.State != "slave" || p.Received[wire.MessageDelayResp.String()] == 0 || p.Conflict != "" {
		t.Errorf("the port is:\n%s", show(p))
	}
	// Beside it a port of another domain, whose socket for unicast is the latest.
	d.configure(t, configuration(d.dir, ptpPort, ptpPort+"domain = 1\n"))
	d.signal(t, syscall.SIGHUP)
	d.await(t, "the master's answers reach its port", func(s *status.Snapshot) bool {
		return len(s.Ports) == 2 && s.Ports[1].State == "listening" && s.Ports[0].State == "slave" &&
			s.Ports[0].Received[wire.MessageDelayResp.String()] > 16
	})
}

// TestGroupThatCannotBeJoined has the kernel allow no more memberships.
func TestGroupThatCannotBeJoined(t *testing.T) {
	w := newCable(t)
	w.host.sysctl(t, "ipv4/igmp_max_memberships", "0")
	d := newDaemon(t, w.host, ptpPort)
	d.await(t, "the source says why", func(s *status.Snapshot) bool {
		return strings.Contains(s.Sources[0].Reason, "join 224.0.1.129") &&
			strings.Contains(s.Sources[0].Reason, "igmp_max_memberships")
	})
	if code, out := d.ctl(t, "sources"); code != 0 ||
		!strings.Contains(strings.Join(strings.Fields(out), " "), "join 224.0.1.129") {
		t.Errorf("lockstepctl sources: exit status %d:\n%s", code, out)
	}
	w.host.sysctl(t, "ipv4/igmp_max_memberships", "20")
	d.await(t, "the port opens", func(s *status.Snapshot) bool { return s.Ports[0].State == "listening" })
}
