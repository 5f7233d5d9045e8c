// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/status"
)

// installed returns the path of a program of the distribution.
func installed(t *testing.T, name, pkg string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/usr/local/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	t.Skipf("%s is not installed; Debian has it in the package %s", name, pkg)
	return ""
}

// requireLock waits for the lock as a unit file does, and looks at what the daemon says of itself then.
func requireLock(t *testing.T, d *daemon, id string) *status.Snapshot {
	t.Helper()
	if code, out := d.ctl(t, "wait", "--timeout", patience.String()); code != 0 {
		t.Fatalf("lockstepctl wait: exit status %d: %s\n%s", code, out, show(d.status()))
	}
	s := d.awaitSettled(t)
	if string(s.Selected) != id || s.Steps == 0 || s.Clocks[0].OffsetRMS > time.Second {
		t.Errorf("it does not follow %q, or is not where that is:\n%s", id, show(s))
	}
	if age := time.Since(s.Time).Abs(); age > 10*time.Second {
		t.Errorf("the virtual clock is wrong by %v", age)
	}
	if s.MaxError <= 0 || s.MaxError > 50*time.Millisecond {
		t.Errorf("maximum error %v", s.MaxError)
	}
	if code, out := d.ctl(t, "status"); code != 0 || !strings.Contains(out, "locked") {
		t.Errorf("lockstepctl status: exit status %d:\n%s", code, out)
	}
	return s
}

func TestPTP4L(t *testing.T) {
	for _, transport := range []struct{ name, flag string }{{"udp4", "-4"}, {"udp6", "-6"}, {"l2", "-2"}} {
		t.Run(transport.name, func(t *testing.T) {
			path := installed(t, "ptp4l", "linuxptp")
			w := newCable(t)
			startPTP4L(t, w, path, transport.flag)
			d := newDaemon(t, w.host, ptpPort, "transport = \""+transport.name+"\"\n", "[[ntp.server]]\naddress = \"10.1.1.2\"\n")
			s := requireLock(t, d, "ptp:eth0")
			if p := s.Ports[0]; p.State != "slave" || p.Timescale == "" || p.Timestamping != "kernel" {
				t.Errorf("the port is:\n%s", show(p))
			}
		})
	}
}

// startPTP4L starts a grandmaster that stamps by the machine's clock and lets that be, and has it say what that clock is:
// a clock on UTC, so that nothing lies between the two scales. Without the latter it announces an arbitrary timescale,
// from which no system clock can be set.
func startPTP4L(t *testing.T, w *cable, path, transport string) {
	t.Helper()
	dir := t.TempDir()
	files := []string{"uds_address"}
	if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), "uds_ro_address") {
		files = append(files, "uds_ro_address")
	}
	config := "[global]\nfree_running 1\npriority1 100\nlogSyncInterval -4\nlogAnnounceInterval -2\nlogMinDelayReqInterval -4\n"
	for _, option := range files {
		config += option + " " + filepath.Join(dir, option) + "\n"
	}
	file := filepath.Join(dir, "ptp4l.conf")
	if err := os.WriteFile(file, []byte(config+"[eth1]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.peers.start(t, exec.Command(path, "-S", transport, "-f", file, "-m", "-q")).awaitLog(t, "assuming the grand master role")
	settings := "SET GRANDMASTER_SETTINGS_NP clockClass 6 clockAccuracy 0x21 offsetScaledLogVariance 0x4e5d " +
		"currentUtcOffset 0 leap61 0 leap59 0 currentUtcOffsetValid 1 ptpTimescale 1 timeTraceable 1 " +
		"frequencyTraceable 1 timeSource 0x20"
	pmc := installed(t, "pmc", "linuxptp")
	var said string
	await(t, "pmc has an answer", func() bool { // it waits for one for a moment only
		client := w.peers.start(t, exec.Command(pmc, "-u", "-b", "0",
			"-s", filepath.Join(dir, "uds_address"), "-i", filepath.Join(dir, "pmc"), settings))
		code := client.end(t)
		said = client.log.String()
		return code == 0 && strings.Contains(said, "RESPONSE MANAGEMENT")
	}, func() any { return said })
}

func TestChrony(t *testing.T) {
	path := installed(t, "chronyd", "chrony")
	w := newCable(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "chrony.conf")
	text := fmt.Sprintf("local stratum 3\nallow\ncmdport 0\nbindcmdaddress /\npidfile %s/pid\nuser root\n", dir)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	w.peers.start(t, exec.Command(path, "-x", "-d", "-f", config))
	d := newDaemon(t, w.host, ntpAssociation)
	s := requireLock(t, d, "ntp:10.1.1.2")
	if src := s.Sources[0]; src.Stratum != 3 || src.Timestamps != "kernel" || src.Reach == 0 {
		t.Errorf("the source is:\n%s", show(src))
	}
}
