// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/platform"
)

func TestNeeds(t *testing.T) {
	const virtual = "[steering]\nsystem_clock = \"virtual\"\n"
	for _, c := range []struct{ name, text, want string }{
		{"NTP, real clock", "[[ntp.server]]\naddress = \"192.0.2.1\"\n", "CAP_SYS_TIME"},
		{"NTP, virtual clock", virtual + "[[ntp.server]]\naddress = \"192.0.2.1\"\n", ""},
		{"PTP over UDP", virtual + "[[ptp.port]]\ninterface = \"eth0\"\n", "CAP_NET_BIND_SERVICE"},
		{"PTP by the NIC's stamps", virtual + "[[ptp.port]]\ninterface = \"eth0\"\ntimestamping = \"hardware\"\n", "CAP_NET_BIND_SERVICE CAP_NET_ADMIN"},
		{"PTP by the kernel's stamps", virtual + "[[ptp.port]]\ninterface = \"eth0\"\ntimestamping = \"kernel\"\n", "CAP_NET_BIND_SERVICE"},
		{"PTP on high ports", virtual + "[[ptp.port]]\ninterface = \"eth0\"\ntimestamping = \"kernel\"\nevent_port = 3190\ngeneral_port = 3200\n", ""},
		{"PTP over Ethernet", virtual + "[[ptp.port]]\ninterface = \"eth0\"\ntransport = \"l2\"\n", "CAP_NET_RAW"},
	} {
		cfg, err := configs.Parse("test.toml", []byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, n := range needs(cfg, 1024) {
			names = append(names, n.name)
			if n.why == "" {
				t.Errorf("%s: %s without a reason", c.name, n.name)
			}
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestFreePorts needs no capability for ports that this host leaves to everybody.
func TestFreePorts(t *testing.T) {
	cfg, err := configs.Parse("test.toml", []byte("[steering]\nsystem_clock = \"virtual\"\n[[ptp.port]]\ninterface = \"eth0\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	for first, want := range map[int]int{0: 0, 319: 0, 320: 1, 1024: 1} {
		if got := needs(cfg, first); len(got) != want {
			t.Errorf("%d: %v, want %d capabilities", first, got, want)
		}
	}
}

func TestMissing(t *testing.T) {
	all := []need{{unix.CAP_SYS_TIME, "CAP_SYS_TIME", ""}, {63, "CAP_OF_THE_FUTURE", "for nothing"}}
	if lack := missing(all, platform.Privileges{Effective: 1 << unix.CAP_SYS_TIME}); len(lack) != 1 || lack[0].capability != 63 {
		t.Errorf("%v", lack)
	}
	if lack := missing(nil, platform.Privileges{}); len(lack) != 0 {
		t.Errorf("%v", lack)
	}
}
