// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/ptp/wire"
	"github.com/lockstep-time/lockstep/status"
)

// documentedRules returns the rules for nftables that docs/guide/firewall.md has: for UDP, and for Ethernet.
func documentedRules(t *testing.T) (udp, ethernet string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/guide/firewall.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```nft\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of rules, want 2", len(blocks))
	}
	return blocks[0][1], blocks[1][1]
}

// filter loads rules into the namespace.
func (n *namespace) filter(t *testing.T, rules string) {
	t.Helper()
	nft := installed(t, "nft", "nftables")
	cmd := exec.Command(nft, "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	p := n.start(t, cmd)
	if code := p.end(t); code != 0 {
		if strings.Contains(p.log.String(), "not supported") {
			t.Skipf("this kernel has no such filter: %s", p.log.String())
		}
		t.Fatalf("nft: exit status %d: %s", code, p.log.String())
	}
}

// TestFirewall loads the documented rules: the master that they name is followed, hybrid or not, and others are not heard.
func TestFirewall(t *testing.T) {
	udp, _ := documentedRules(t)
	w := newCable(t)
	w.host.filter(t, udp)
	newGrandmaster(t, w).AnswerByUnicast()
	newNTPServer(t, w)
	w.peers.address(t, "eth1", anotherPeer)
	d := newDaemon(t, w.host, ptpPort, ntpAssociation)
	before := d.await(t, "both sources are heard",
		func(s *status.Snapshot) bool { return settled(s) && s.Sources[1].Samples > 0 })
	f := newForger(stranger(), stranger())
	f.attack(t, datagrams(t, w.peers, anyPort(attacker), hwts.UDP4.Primary(hwts.EventPort).UDP),
		datagrams(t, w.peers, anyPort(attacker), hwts.UDP4.Primary(hwts.GeneralPort).UDP))
	after := undisturbed(t, d, before)
	if n := after.Ports[0].Received[wire.MessageAnnounce.String()]; n > 200 {
		t.Errorf("%d Announce messages were heard", n)
	}
}

func TestFirewallOfFrames(t *testing.T) {
	_, ethernet := documentedRules(t)
	w := newCable(t)
	mac := regexp.MustCompile(`([0-9a-f]{2}:){5}[0-9a-f]{2}`)
	w.host.filter(t, mac.ReplaceAllString(ethernet, w.peers.mac(t, "eth1").String()))
	newGrandmasterOver(t, w, hwts.Ethernet)
	d := newDaemon(t, w.host, l2Port)
	before := d.awaitSettled(t)
	f := newForger(stranger(), stranger())
	send := frames(t, w, otherMAC, hwts.Ethernet.Primary(0).MAC)
	f.attack(t, send, send)
	undisturbed(t, d, before)
}
