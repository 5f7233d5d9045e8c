// SPDX-License-Identifier: Apache-2.0

package configs

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParseSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"20us": 20 * time.Microsecond, "20µs": 20 * time.Microsecond, "1.5s": 1500 * time.Millisecond, "24h": day,
		"7d": 7 * day, "1d12h": 36 * time.Hour, "-1d12h": -36 * time.Hour, "+1d": day, "0.5d": 12 * time.Hour, "0": 0,
		"106751d23h47m16.854775807s": math.MaxInt64,
	} {
		if got, err := parseSpan(text); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "1", "1y", "d", "-d", "1d-1h", "1d+1h", "1d1", "1h1d", "--1d", "-+1d", "1 d", "106752d", "-106752d", "106751d24h",
		"1dd",
	} {
		if got, err := parseSpan(text); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

func TestFormatSpan(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "20us": 20 * time.Microsecond, "1024s": 1024 * time.Second, "24h": day, "7d": 7 * day,
		"62.5ms": 62500 * time.Microsecond, "1.5s": 1500 * time.Millisecond, "-50ns": -50, "90s": 90 * time.Second,
		"-36500d": -36500 * day,
	} {
		if got := formatSpan(d); got != want {
			t.Errorf("%v is written %q, want %q", d, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64().Draw(t, "d"))
		if got, err := parseSpan(formatSpan(d)); err != nil || got != d {
			t.Errorf("%v is written %q and read %v, %v", d, formatSpan(d), got, err)
		}
	})
}

func TestLog2(t *testing.T) {
	for n := -9; n <= 33; n++ {
		d := time.Duration(math.Ldexp(1e9, n))
		if !isPow2(d) || Log2(d) != int8(n) {
			t.Errorf("2^%d s: isPow2 %v, Log2 %d", n, isPow2(d), Log2(d))
		}
		if isPow2(d+1) || Log2(d-1) != int8(n) {
			t.Errorf("beside 2^%d s: isPow2 %v, Log2 %d", n, isPow2(d+1), Log2(d-1))
		}
	}
	if isPow2(0) || isPow2(-time.Second) || isPow2(3*time.Second) || isPow2(time.Second/5) {
		t.Error("isPow2 takes what is none")
	}
}

func TestTextForms(t *testing.T) {
	for form, texts := range map[string]struct{ good, bad []string }{
		"interface": {[]string{"eth0", "enp3s0f0np0", "eth0.100", "br-0"},
			[]string{"", ".", "..", "a b", "a/b", "a:b", "sixteen-letters-", "a\tb", "\xff"}},
		"address": {
			[]string{"192.0.2.1", "2001:db8::1", "fe80::1%eth0", "time.example.com", "ntp", "a_b.example."},
			[]string{"", "0.0.0.0", "::", "224.0.1.1", "ff02::1", "255.255.255.255", "256.1.1.1", "1.2.3", "a..b", "-a", "a-", "a b",
				"a:123", strings.Repeat("a", 64)},
		},
		"name":   {[]string{"pool.ntp.org"}, []string{"192.0.2.1", "::1", "ä.example", strings.Repeat("a.", 128)}},
		"path":   {[]string{"/", "/var/lib/x"}, []string{"", "x", "./x", "/a\x00b", "/" + strings.Repeat("a", 4095)}},
		"socket": {[]string{"/run/lockstep/lockstep.sock"}, []string{"@abstract", "/" + strings.Repeat("a", 107)}},
		"listen": {[]string{":9975", "127.0.0.1:0", "[::1]:9975", "[fe80::1%eth0]:1"},
			[]string{"", "9975", "::1:9975", "localhost:9975", ":65536", ":-1", "224.0.0.1:1", ":http"}},
	} {
		for _, s := range texts.good {
			if !textForms()[form].ok(s) {
				t.Errorf("%q is no %s", s, form)
			}
		}
		for _, s := range texts.bad {
			if textForms()[form].ok(s) {
				t.Errorf("%q is taken for %s", s, form)
			}
		}
	}
}

func TestEdits(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"domian", "domain", 1}, {"stepp", "step", 1}, {"kitten", "sitting", 3}} {
		if got := edits(c.a, c.b); got != c.want {
			t.Errorf("%q to %q takes %d edits, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestDiscover(t *testing.T) {
	c := Default()
	c.discover([]string{"eth0", "eth1"}, "NAME=x\nID=debian\nID_LIKE=y\n")
	want := defaults()
	want.Discovered = true
	want.PTP.Ports = []Port{defaultPort("eth0"), defaultPort("eth1")}
	want.NTP.Pools = []Pool{{"2.debian.pool.ntp.org", 4, defaultAssociation()}}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c.Discover([]string{"eth2"})
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("sources were added to those that there were:\n%s", diff)
	}
	if err := Discovered(make([]string, 0)).Validate(); err != nil {
		t.Errorf("a host without a PHC: %v", err)
	}
	many := Default()
	many.discover(make([]string, 100), "")
	if len(many.PTP.Ports) != 64 {
		t.Errorf("%d ports on 100 interfaces", len(many.PTP.Ports))
	}
	for release, want := range map[string]string{
		"": "pool.ntp.org", "ID=\"rhel\"\n": "2.rhel.pool.ntp.org", "ID=opensuse-leap": "2.opensuse.pool.ntp.org",
		"ID=evil.example\n": "pool.ntp.org", "VERSION_ID=debian": "pool.ntp.org", "ID='amzn'": "2.amazon.pool.ntp.org",
	} {
		if got := vendorPool(release); got != want {
			t.Errorf("%q has pool %s, want %s", release, got, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	const another = "\n[[ptp.port]]\ninterface = \"eth1\"\ntransport = \"l2\"\negress_latency = \"300ns\"\nnoselect = true\n"
	c, err := Parse("client.toml", []byte(Example("client.toml")+another))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := c.Describe(&b); err != nil {
		t.Fatal(err)
	}
	summary, values, _ := strings.Cut(b.String(), "\nEffective values:\n\n")
	//nolint:lll // what it prints, to the letter
	want := `Sources    PTP port eth0, UDP/IPv4, domain 0, hardware timestamps if the NIC has them, else the kernel's, asks for the delay every 1s
           PTP port eth1, Ethernet, domain 0, hardware timestamps if the NIC has them, else the kernel's, asks for the delay every 1s, egress latency 300ns, only watched
           NTP server ntp1.example.com, asked every 1s to 16s, quickly at first
           NTP server ntp2.example.com, asked every 1s to 16s, quickly at first
           NTP server ntp3.example.com, asked every 1s to 16s, quickly at first
Selection  follows ptp before pps before ntp, among sources that tell the truth (at least 1) and may be wrong by at most 1.5s
Steering   the system clock and the hardware clocks of the NICs in use, by the adaptive servo
           steps a clock that is off by more than 20us, until it is locked for the first time, slews by at most 500us per second
           stops if a clock that was locked is off by more than 1000s
Holdover   unsynchronised when the maximum error passes 100ms, or after 24h without a source
UTC        from the sources, else from /usr/share/zoneinfo/leap-seconds.list
Services   control socket /run/lockstep/lockstep.sock (0660), metrics on http://127.0.0.1:9975/metrics
           logs info and above as text, state file /var/lib/lockstep/state.json
`
	if diff := cmp.Diff(want, summary); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err := Parse("values", []byte(values)); err != nil || !cmp.Equal(c, got) {
		t.Errorf("the effective values are another configuration: %v\n%s", err, cmp.Diff(c, got))
	}
	if err := c.Describe(failingWriter{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a failed write: %v", err)
	}
}

// TestDescribeDiscovered tells where sources come from that no file has.
func TestDescribeDiscovered(t *testing.T) {
	for want, interfaces := range map[string][]string{
		"those that this host has:\n           PTP port eth7, ":                                         {"eth7"},
		"\n           " + Unconfigured + "\n":                                                           {"eth7"},
		"no PTP port, since no interface has a hardware clock\n           NTP pool 2.arch.pool.ntp.org": nil,
	} {
		c := Default()
		c.discover(interfaces, "ID=arch\n")
		var b strings.Builder
		if err := c.Describe(&b); err != nil || !strings.Contains(b.String(), want) {
			t.Errorf("%v; it does not say %q:\n%s", err, want, b.String())
		}
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
