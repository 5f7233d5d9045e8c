// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/configs"
)

func TestEffectiveCapabilities(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       uint64
		ok         bool
	}{
		{"root", "Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n", 0x1ffffffffff, true},
		{"none", "CapEff:\t0000000000000000\n", 0, true},
		{"time only", "CapEff:\t0000000002000000", 1 << unix.CAP_SYS_TIME, true},
		{"no line", "Name:\tx\n", 0, false},
		{"nothing", "", 0, false},
		{"not a number", "CapEff:\tall of them\n", 0, false},
		{"too many", "CapEff:\t1ffffffffffffffff\n", 0, false},
	} {
		got, err := effectiveCapabilities(strings.NewReader(c.text))
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%s: %x, %v", c.name, got, err)
		}
	}
}

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
	for text, want := range map[string]int{"319\n": 0, "0\n": 0, "320\n": 1, "1024\n": 1, "many\n": 1} {
		file := filepath.Join(t.TempDir(), "port")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := needs(cfg, firstFreePort(file)); len(got) != want {
			t.Errorf("%q: %v, want %d capabilities", text, got, want)
		}
	}
	if got := firstFreePort(filepath.Join(t.TempDir(), "none")); got != 1024 {
		t.Errorf("by default ports are free from %d on", got)
	}
}

func TestMissing(t *testing.T) {
	lack, err := missing([]need{{63, "CAP_OF_THE_FUTURE", "for nothing"}})
	if err != nil || len(lack) != 1 {
		t.Errorf("%v, %v", lack, err)
	}
	if lack, err := missing(nil); err != nil || len(lack) != 0 {
		t.Errorf("%v, %v", lack, err)
	}
}
