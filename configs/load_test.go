// SPDX-License-Identifier: Apache-2.0

package configs

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// defaults is the schema's default configuration, written out.
func defaults() *Config {
	return &Config{
		StateFile: "/var/lib/lockstep/state.json",
		PTP:       PTP{Ports: []Port{}},
		NTP:       NTP{Servers: []Server{}, Pools: []Pool{}},
		Steering: Steering{
			SystemClock: RealSystemClock, PHC: true, Step: StepFirst, StepThreshold: 20 * time.Microsecond,
			PanicThreshold: 1000 * time.Second, MaxSlew: 500 * time.Microsecond, Servo: ServoAdaptive, Crossings: 25,
		},
		Selection: Selection{MinSources: 1, MaxDistance: 1500 * time.Millisecond, PreferKinds: []string{"ptp", "pps", "ntp"}},
		Holdover:  Holdover{Limit: 100 * time.Millisecond, MaxAge: 24 * time.Hour, Wander: 1},
		UTC:       UTC{LeapSecondsList: "/usr/share/zoneinfo/leap-seconds.list"},
		Control:   Control{Socket: "/run/lockstep/lockstep.sock", Mode: 0o660},
		Log:       Log{Level: "info", Format: "text"},
	}
}

func defaultPort(name string) Port {
	return Port{
		Interface: name, Transport: UDP4, Timestamping: AutoTimestamping, AnnounceReceiptTimeout: 3,
		DelayRequestInterval: time.Second, MaxAsymmetry: 0.25, DelayFilter: 10, TTL: 1, DSCP: 46, EventPort: 319, GeneralPort: 320,
	}
}

func defaultAssociation() Association {
	return Association{Port: 123, MinPoll: 16 * time.Second, StandInPoll: time.Second, MaxPoll: 1024 * time.Second, Burst: true}
}

func TestDefault(t *testing.T) {
	if diff := cmp.Diff(defaults(), Default()); diff != "" {
		t.Errorf("Default (-want +got):\n%s", diff)
	}
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	got, err := Parse("empty", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaults(), got); diff != "" {
		t.Errorf("an empty file (-want +got):\n%s", diff)
	}
}

func TestParse(t *testing.T) {
	got, err := Parse("test", []byte(`
state_file = ""
[[ptp.port]]
interface = "eth0.100"
transport = "l2"
timestamping = "hardware"
domain = 127
sdo_id = 0x100
delay_request_interval = "7.8125ms"
delay_asymmetry = "-50ns"
prefer = true
[[ptp.port]]
interface = "eth1"
[ntp]
server = [{address = "fe80::1%eth0", min_poll = "62.5ms", max_poll = "36h24m32s", interface = "eth0"}]
pool = [
  {name = "pool.ntp.org", count = 16, burst = false},
]
[steering]
virtual.offset = "80ms"
virtual.frequency = 40_000
system_clock = "virtual"
[selection]
prefer_kinds = []
[holdover]
max_age = "7d12h"
[control]
mode = "600"
`))
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.StateFile = ""
	first := defaultPort("eth0.100")
	first.Transport, first.Timestamping, first.Domain, first.SdoID, first.Prefer = L2, HardwareTimestamping, 127, 0x100, true
	first.DelayRequestInterval, first.DelayAsymmetry = 7812500, -50
	want.PTP.Ports = []Port{first, defaultPort("eth1")}
	server := Server{Address: "fe80::1%eth0", Association: defaultAssociation()}
	server.MinPoll, server.MaxPoll, server.Interface = 62500*time.Microsecond, 131072*time.Second, "eth0"
	pool := Pool{Name: "pool.ntp.org", Count: 16, Association: defaultAssociation()}
	pool.Burst = false
	want.NTP = NTP{Servers: []Server{server}, Pools: []Pool{pool}}
	want.Steering.SystemClock, want.Steering.Virtual = VirtualSystemClock, Virtual{80 * time.Millisecond, 40000}
	want.Selection.PreferKinds = []string{}
	want.Holdover.MaxAge = 180 * time.Hour
	want.Control.Mode = 0o600
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.PTP.Ports[0].LogDelayRequestInterval() != -7 || server.LogMinPoll() != -4 || server.LogMaxPoll() != 17 {
		t.Errorf("logarithms %d, %d, %d, want -7, -4, 17",
			got.PTP.Ports[0].LogDelayRequestInterval(), server.LogMinPoll(), server.LogMaxPoll())
	}
	checkRoundTrip(t, got)
}

func checkRoundTrip(t *testing.T, c *Config) {
	t.Helper()
	var b bytes.Buffer
	if err := c.WriteTOML(&b); err != nil {
		t.Fatal(err)
	}
	again, err := Parse("again", b.Bytes())
	if err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	if diff := cmp.Diff(c, again); diff != "" {
		t.Errorf("written and read again (-want +got):\n%s", diff)
	}
}

// TestByteOrderMark is what some editors put before UTF-8.
func TestByteOrderMark(t *testing.T) {
	c, err := Parse("marked.toml", []byte("\ufeffstate_file = \"\"\n"))
	if err != nil || c.StateFile != "" {
		t.Errorf("%v", err)
	}
	_, err = Parse("marked.toml", []byte("\ufeff\nstate_fill = \"\"\n"))
	if err == nil || !strings.HasPrefix(err.Error(), "marked.toml:2: state_fill") {
		t.Errorf("%v", err)
	}
}

func TestExamples(t *testing.T) {
	if diff := cmp.Diff([]string{"client.toml", "demo.toml", "lockstepd.toml", "ntp-only.toml"}, Examples()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, name := range Examples() {
		c, err := Parse(name, []byte(Example(name)))
		if err != nil {
			t.Error(err)
			continue
		}
		if hasSources := name != "lockstepd.toml"; c.HasSources() != hasSources {
			t.Errorf("%s: HasSources is %v", name, c.HasSources())
		}
		checkRoundTrip(t, c)
	}
	if Example("config.go") != "" {
		t.Error("Example returns what is no example")
	}
}

// The commented example, with every setting uncommented, is the default configuration with one source of each kind.
func TestCommentedExample(t *testing.T) {
	text := regexp.MustCompile(`(?m)^#([a-z\[])`).ReplaceAllString(Example("lockstepd.toml"), "$1")
	got, err := Parse("lockstepd.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.PTP.Ports = []Port{defaultPort("eth0")}
	want.NTP.Servers = []Server{{"192.0.2.1", defaultAssociation()}}
	want.NTP.Pools = []Pool{{"pool.ntp.org", 4, defaultAssociation()}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The unit makes the directories that the defaults name.
func TestUnit(t *testing.T) {
	unit, err := os.ReadFile("lockstepd.service")
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	for _, line := range []string{
		"StateDirectory=" + strings.TrimPrefix(filepath.Dir(c.StateFile), "/var/lib/"),
		"RuntimeDirectory=" + strings.TrimPrefix(filepath.Dir(c.Control.Socket), "/run/"),
		"AmbientCapabilities=CAP_SYS_TIME CAP_NET_BIND_SERVICE CAP_NET_ADMIN CAP_NET_RAW",
		"DeviceAllow=char-ptp rw",
	} {
		if !bytes.Contains(unit, []byte("\n"+line+"\n")) {
			t.Errorf("lockstepd.service has no line %s", line)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none.toml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	var problems *Problems
	if _, err := Load(dir); err == nil || errors.As(err, &problems) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a directory: %v", err)
	}
	path := filepath.Join(dir, "good.toml")
	if err := os.WriteFile(path, []byte(Example("client.toml")), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil || len(c.NTP.Servers) != 3 {
		t.Errorf("Load: %v, %v", c, err)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte("#\n"), MaxSize/2), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err != nil {
		t.Errorf("a file of 1 MiB: %v", err)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte("#"), MaxSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Load(path)
	if want := path + ": the file is too large; allowed: at most 1 MiB"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range Examples() {
		f.Add([]byte(Example(name)))
	}
	for _, c := range problemCases {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("fuzz", text)
		if err == nil {
			if err := c.Validate(); err != nil {
				t.Errorf("parsed, but not valid: %v", err)
			}
			checkRoundTrip(t, c)
			return
		}
		var problems *Problems
		if !errors.As(err, &problems) || len(problems.List) == 0 || len(problems.List) > MaxProblems {
			t.Fatalf("unexpected error %v", err)
		}
		for _, p := range problems.List {
			if strings.Contains(p.Error(), "\n") || len(p.Error()) > 600 {
				t.Errorf("not one line: %q", p.Error())
			}
		}
	})
}
