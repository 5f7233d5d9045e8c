// SPDX-License-Identifier: Apache-2.0

package configs

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-time/lockstep/internal/plain"
)

// problemCases are files with what is said of them.
var problemCases = []struct {
	name, text string
	want       []string
}{
	{"unknown keys", `
foo = 1
[[ptp.port]]
interface = "eth0"
domian = 3
max_slew = "1us"
[ptp.prot]
x = 1
[steering]
Step = "never"
"serv o" = 1
`, []string{
		`x.toml:2: foo: unknown key; allowed: state_file, ptp, ntp, steering, selection, holdover, utc, control, metrics, log`,
		`x.toml:5: ptp.port[0].domian: unknown key (did you mean "domain"?)`,
		`x.toml:6: ptp.port[0].max_slew: unknown key, it belongs to [steering]; allowed: interface, transport, timestamping, domain, sdo_id, masters, announce_receipt_timeout, delay_request_interval, delay_asymmetry, max_asymmetry, ingress_latency, egress_latency, delay_filter, ttl, dscp, event_port, general_port, prefer, trust, noselect`,
		`x.toml:7: ptp.prot: unknown key (did you mean "port"?)`,
		`x.toml:10: steering.Step: unknown key (did you mean "step"?)`,
		`x.toml:11: steering."serv o": unknown key; allowed: system_clock, phc, step, step_threshold, panic_threshold, max_slew, servo, crossings, virtual`,
	}},
	{"wrong types", `
state_file = 1
log = "debug"
[[ptp.port]]
interface = 7
domain = 1.0
prefer = "yes"
delay_asymmetry = 5
[[steering]]
phc = false
[ntp.server]
address = "192.0.2.1"
[selection]
prefer_kinds = "ptp"
[holdover]
wander = true
max_age = 2026-01-01
[control]
mode = 660
[metrics]
listen = ["127.0.0.1:9975"]
`, []string{
		`x.toml:2: state_file: 1 is an integer; allowed: an absolute path, or ""`,
		`x.toml:3: log: "debug" is a string; allowed: a section [log]`,
		`x.toml:5: ptp.port[0].interface: 7 is an integer; allowed: the name of a network interface, 1 to 15 characters without spaces, '/' and ':'`,
		`x.toml:6: ptp.port[0].domain: 1 is a float; allowed: an integer from 0 to 127`,
		`x.toml:7: ptp.port[0].prefer: "yes" is a string; allowed: true or false`,
		`x.toml:8: ptp.port[0].delay_asymmetry: 5 is an integer; allowed: a duration from "-1s" to "1s"`,
		`x.toml:9: steering: this is an array; allowed: a section [steering]`,
		`x.toml:11: ntp.server: this is a table; allowed: sections [[ntp.server]]`,
		`x.toml:14: selection.prefer_kinds: "ptp" is a string; allowed: a list of "ptp", "pps" and "ntp", each at most once`,
		`x.toml:16: holdover.wander: true is a boolean; allowed: a number from 0 to 1000000`,
		`x.toml:17: holdover.max_age: 2026-01-01 is a date or time; allowed: a duration from "1s" to "366d"`,
		`x.toml:19: control.mode: 660 is an integer; allowed: permissions in octal from "0000" to "0777"`,
		`x.toml:21: metrics.listen: this is an array; allowed: "address:port" or ":port", with an IP address and a port from 0 to 65535, or ""`,
	}},
	{"impossible values", `
state_file = "state.json"
[[ptp.port]]
interface = "a/b"
transport = "udp"
domain = 128
delay_request_interval = "100ms"
ttl = -1
noselect = true
trust = true
event_port = 320
[[ntp.server]]
address = "224.0.1.1"
min_poll = "32s"
max_poll = "8s"
[[ntp.pool]]
name = "192.0.2.1"
[steering]
step_threshold = "2s"
panic_threshold = "1s"
virtual.offset = "1s"
[selection]
prefer_kinds = ["ntp", "pps", "ntp"]
[holdover]
wander = nan
max_age = "2 days"
[control]
mode = "1777"
`, []string{
		`x.toml:2: state_file: "state.json" is not valid; allowed: an absolute path, or ""`,
		`x.toml:3: ptp.port[0].general_port: 320 is event_port as well; allowed: another port than event_port`,
		`x.toml:4: ptp.port[0].interface: "a/b" is not valid; allowed: the name of a network interface, 1 to 15 characters without spaces, '/' and ':'`,
		`x.toml:5: ptp.port[0].transport: "udp" is unknown (did you mean "udp4"?); allowed: "udp4", "udp6" or "l2"`,
		`x.toml:6: ptp.port[0].domain: 128 is out of range; allowed: an integer from 0 to 127`,
		`x.toml:7: ptp.port[0].delay_request_interval: 100ms is not a power of two seconds, the nearest is 125ms; allowed: a power of two seconds from "7.8125ms" to "32s"`,
		`x.toml:8: ptp.port[0].ttl: -1 is out of range; allowed: an integer from 1 to 255`,
		`x.toml:9: ptp.port[0].noselect: a source that is never followed is to be preferred or trusted; allowed: noselect alone, or prefer and trust`,
		`x.toml:13: ntp.server[0].address: "224.0.1.1" is not valid; allowed: a unicast IP address or a host name`,
		`x.toml:15: ntp.server[0].max_poll: 8s is shorter than min_poll; allowed: at least "32s"`,
		`x.toml:17: ntp.pool[0].name: "192.0.2.1" is not valid; allowed: a host name`,
		`x.toml:20: steering.panic_threshold: 1s is not above step_threshold; allowed: more than "2s"`,
		`x.toml:21: steering.virtual: there is no virtual clock; allowed: only with steering.system_clock = "virtual"`,
		`x.toml:23: selection.prefer_kinds: "ntp" is given twice; allowed: a list of "ptp", "pps" and "ntp", each at most once`,
		`x.toml:25: holdover.wander: NaN is out of range; allowed: a number from 0 to 1000000`,
		`x.toml:26: holdover.max_age: "2 days" is not a duration; allowed: a duration from "1s" to "366d"`,
		`x.toml:28: control.mode: 1777 is out of range; allowed: permissions in octal from "0000" to "0777"`,
	}},
	{"duplicates", `
[[ptp.port]]
interface = "eth0"
[[ptp.port]]
interface = "eth0"
transport = "l2"
[[ptp.port]]
interface = "eth0"
transport = "udp4"
[ntp]
server = [{address = "::ffff:192.0.2.1"}, {address = "ntp.example.com"},
  {address = "192.0.2.1"},
  {address = "NTP.example.com."}, {address = "192.0.2.1", port = 1123}]
`, []string{
		`x.toml:7: ptp.port[2]: the same port as ptp.port[0]: interface eth0, transport udp4, domain 0, sdo_id 0; allowed: one port for each interface, transport, domain and sdo_id`,
		`x.toml:11: ntp.server[2]: the same as ntp.server[0]: 192.0.2.1 port 123; allowed: one section for each address and port`,
		`x.toml:11: ntp.server[3]: the same as ntp.server[1]: ntp.example.com port 123; allowed: one section for each address and port`,
	}},
	{"missing keys", "[[ptp.port]]\n[[ntp.server]]\nport = 123\n[[ntp.pool]]\n", []string{
		`x.toml:1: ptp.port[0].interface: missing; allowed: the name of a network interface, 1 to 15 characters without spaces, '/' and ':'`,
		`x.toml:2: ntp.server[0].address: missing; allowed: a unicast IP address or a host name`,
		`x.toml:4: ntp.pool[0].name: missing; allowed: a host name`,
	}},
	{"masters", `[[ptp.port]]
interface = "eth0"
masters = ["x"]
[[ptp.port]]
interface = "eth1"
masters = "192.0.2.1"
[[ptp.port]]
interface = "eth2"
masters = ["192.0.2.1", 7]
[[ptp.port]]
interface = "eth3"
masters = ["224.0.1.129"]
[[ptp.port]]
interface = "eth4"
masters = ["001122.fffe.334455", "00:11:22:33:44:55"]
[[ptp.port]]
interface = "eth5"
transport = "l2"
masters = ["192.0.2.1"]
[[ptp.port]]
interface = "eth6"
transport = "udp6"
masters = ["192.0.2.1"]
`, []string{
		`x.toml:3: ptp.port[0].masters: "x" is not valid; allowed: ` + allowedMasters,
		`x.toml:6: ptp.port[1].masters: "192.0.2.1" is a string; allowed: ` + allowedMasters,
		`x.toml:9: ptp.port[2].masters: 7 is an integer; allowed: ` + allowedMasters,
		`x.toml:12: ptp.port[3].masters: "224.0.1.129" is not valid; allowed: ` + allowedMasters,
		`x.toml:15: ptp.port[4].masters: "00:11:22:33:44:55" is no IPv4 address; allowed: clock identities and IPv4 addresses with transport = "udp4"`,
		`x.toml:19: ptp.port[5].masters: "192.0.2.1" is an IP address, and Ethernet has none; allowed: clock identities and MACs with transport = "l2"`,
		`x.toml:23: ptp.port[6].masters: "192.0.2.1" is no IPv6 address; allowed: clock identities and IPv6 addresses with transport = "udp6"`,
	}},
	{"too few sources",
		"[selection]\nmin_sources = 3\n[[ptp.port]]\ninterface = \"eth0\"\n[[ntp.server]]\naddress = \"a\"\nnoselect = true\n",
		[]string{
			`x.toml:2: selection.min_sources: 3 sources are needed, 1 may be followed; allowed: at most 1`,
		}},
	{"syntax", "[log]\nlevel = debug\n", []string{`x.toml:2: not TOML: unexpected character U+0064 'd' at start of value`}},
	{"key twice", "[log]\nlevel = \"info\"\nlevel = \"warn\"\n", []string{`x.toml:3: not TOML: key level is already defined`}},
}

const allowedMasters = "" +
	`a list of at most 32, each a clock identity like "001122.fffe.334455", a unicast IP address or a unicast MAC`

func TestProblems(t *testing.T) {
	for _, c := range problemCases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("x.toml", []byte(c.text))
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(c.want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestProblemsAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, "unknown%d = 1\n", i)
	}
	_, err := Parse("x.toml", []byte(b.String()))
	var problems *Problems
	if !errors.As(err, &problems) || len(problems.List) != MaxProblems || problems.More != 10 {
		t.Fatalf("got %v", err)
	}
	if !strings.HasSuffix(err.Error(), "\nand 10 more") {
		t.Errorf("the text does not say how many more: %s", err)
	}
	var first *Problem
	if !errors.As(err, &first) || first.Line != 1 || first.Key != "unknown0" {
		t.Errorf("the first problem is %v", first)
	}

	many := strings.Repeat("[[ptp.port]]\ninterface = \"eth0\"\n", 65)
	_, err = Parse("x.toml", []byte(many))
	if err == nil || !strings.HasPrefix(err.Error(), "x.toml:1: ptp.port: 65 sections; allowed: at most 64\n") {
		t.Errorf("65 ports: %v", err)
	}
}

// Nothing that a large file may consist of breaks the reader or makes a long message.
func TestHostileFiles(t *testing.T) {
	for name, text := range map[string]string{
		"open arrays":   "x = " + strings.Repeat("[", MaxSize-8),
		"arrays":        "x = " + strings.Repeat("[", MaxSize/2-8) + strings.Repeat("]", MaxSize/2-8),
		"flat array":    "x = [" + strings.Repeat("{},", MaxSize/3-8) + "]",
		"long section":  "[" + strings.Repeat("a", MaxSize/2) + "]\n" + strings.Repeat("b.c.d.e", 20) + " = 1",
		"inline tables": "x = " + strings.Repeat("{a=", (MaxSize-8)/3),
		"long key":      strings.Repeat("a", MaxSize-8) + " = 1",
		"dotted key":    strings.Repeat("a.", MaxSize/16) + "a = 1",
		"many sections": strings.Repeat("[[ntp.server]]\n", MaxSize/15),
		"long word":     "[log]\nlevel = \"" + strings.Repeat("i", MaxSize-20) + "\"",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("x.toml", []byte(text))
			if err == nil || len(err.Error()) > 10000 {
				t.Errorf("got %.200v", err)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	c := Default()
	c.PTP.Ports = []Port{defaultPort("eth0"), defaultPort("eth0"), defaultPort("")}
	c.PTP.Ports[0].DelayRequestInterval = 0
	c.NTP.Pools = []Pool{{Name: "pool.ntp.org", Count: 17, Association: defaultAssociation()}}
	c.Steering.Servo = "pid"
	c.Selection.PreferKinds = []string{"gps"}
	want := []string{
		`ptp.port[0].delay_request_interval: 0s is out of range; allowed: a power of two seconds from "7.8125ms" to "32s"`,
		`ptp.port[2].interface: "" is not valid; allowed: the name of a network interface, 1 to 15 characters without spaces, '/' and ':'`,
		`ntp.pool[0].count: 17 is out of range; allowed: an integer from 1 to 16`,
		`steering.servo: "pid" is unknown (did you mean "pi"?); allowed: "pi" or "adaptive"`,
		`selection.prefer_kinds: "gps" is unknown (did you mean "pps"?); allowed: a list of "ptp", "pps" and "ntp", each at most once`,
		`ptp.port[1]: the same port as ptp.port[0]: interface eth0, transport udp4, domain 0, sdo_id 0; allowed: one port for each interface, transport, domain and sdo_id`,
	}
	if diff := cmp.Diff(want, strings.Split(c.Validate().Error(), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestProblemsCannotSpeakToTheTerminal: a configuration may come from a stranger, to be checked.
func TestProblemsCannotSpeakToTheTerminal(t *testing.T) {
	const escaped = `\u001b]0;x\u0007\u009b31m\u007f`
	for name, text := range map[string]string{
		"key":         `"` + escaped + `" = 1`,
		"table":       `["` + escaped + `"]`,
		"key of ours": "[log]\n\"" + escaped + "\" = 1",
		"value":       "[log]\nlevel = \"" + escaped + "\"",
		"list":        "[selection]\nprefer_kinds = [\"" + escaped + "\"]",
		"raw C1":      "[log]\nlevel = \"\u009b31m\"",
		"raw key":     "[log]\n\u009b31m = 1",
		"raw":         "\x1b]0;x\a",
		"no UTF-8":    "[log]\nlevel = \"\xff\"",
	} {
		_, err := Parse("x.toml", []byte(text))
		if err == nil {
			t.Errorf("%s: no problem", name)
			continue
		}
		if got := err.Error(); plain.Lines(got) != got {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestDescriptionCannotSpeakToTheTerminal: and what is right in it is shown.
func TestDescriptionCannotSpeakToTheTerminal(t *testing.T) {
	if got, want := quote("a\x1b\u009b\x7f\u202e\U000e0001é\""), `"a\u001B\u009B\u007F\u202E\U000E0001é\""`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
