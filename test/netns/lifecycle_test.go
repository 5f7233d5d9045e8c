// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/control"
)

// savedFrequency returns what the state file says of the system clock, in ppb.
func savedFrequency(dir string) (float64, error) {
	b, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if err != nil {
		return 0, err
	}
	var s engine.Saved
	if err := json.Unmarshal(b, &s); err != nil {
		return 0, err
	}
	ppb, ok := s.Frequencies["system"]
	if !ok {
		return 0, fmt.Errorf("no frequency in %s", b)
	}
	return ppb, nil
}

func TestTerminateAndRestart(t *testing.T) {
	w := newCable(t)
	newGrandmaster(t, w)
	d := newDaemon(t, w.host, ptpPort)
	d.awaitLearned(t)
	d.stop(t)
	if ppb, err := savedFrequency(d.dir); err != nil || !near(ppb, -frequencyError, learnedWithin) {
		t.Fatalf("saved frequency %v ppb, %v", ppb, err)
	}
	if _, err := os.Stat(filepath.Join(d.dir, "socket")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the control socket is still there: %v", err)
	}
	again := runDaemon(t, w.host, d.dir, configuration(d.dir, ptpPort))
	again.awaitSettled(t)
	again.signal(t, syscall.SIGINT)
	if code := again.end(t); code != 0 {
		t.Errorf("exit status %d after SIGINT", code)
	}
}

// TestFrequencyFromStateFile has no source: what is in force comes from the file.
func TestFrequencyFromStateFile(t *testing.T) {
	w := newCable(t)
	dir := t.TempDir()
	state, err := json.Marshal(engine.Saved{Frequencies: map[string]float64{"system": -12345}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "state.json"), state, 0o600); err != nil {
		t.Fatal(err)
	}
	d := runDaemon(t, w.host, dir, configuration(dir, ptpPort))
	d.await(t, "the frequency of the state file", func(s *status.Snapshot) bool {
		return near(s.Clocks[0].Frequency, -12345, 1)
	})
}

func TestReload(t *testing.T) {
	w := newCable(t)
	newGrandmaster(t, w)
	newNTPServer(t, w)
	d := newDaemon(t, w.host, ptpPort)
	before := d.awaitSettled(t)

	d.configure(t, configuration(d.dir, ptpPort, ntpAssociation))
	d.signal(t, syscall.SIGHUP)
	after := d.await(t, "both sources are in use", func(s *status.Snapshot) bool {
		return settled(s) && len(s.Sources) == 2 && s.Sources[1].Samples > 0
	})
	if after.Steps != before.Steps || after.Clocks[0].Steps != before.Clocks[0].Steps {
		t.Errorf("the reload has stepped the clock:\n%s", show(after))
	}

	d.configure(t, configuration(d.dir, ptpPort)+"\n[stering]\nphc = true\n")
	d.signal(t, syscall.SIGHUP)
	d.awaitLog(t, "the configuration stays as it was")
	for line := range strings.Lines(d.log.String()) {
		if strings.Contains(line, "stays as it was") && (!strings.Contains(line, "stering") || !strings.Contains(line, d.file())) {
			t.Errorf("the line names neither key nor file: %s", line)
		}
	}
	if s := d.status(); s == nil || len(s.Sources) != 2 || s.State != status.Locked || s.Steps != before.Steps {
		t.Errorf("a broken file has changed something:\n%s", show(s))
	}

	d.configure(t, configuration(d.dir, ntpAssociation))
	d.signal(t, syscall.SIGHUP)
	last := d.await(t, "NTP alone is followed", func(s *status.Snapshot) bool {
		return settled(s) && len(s.Sources) == 1 && s.Selected == "ntp:10.1.1.2"
	})
	if last.Steps != before.Steps {
		t.Errorf("the reload has stepped the clock:\n%s", show(last))
	}
	d.stop(t)
}

// TestReloadOfTheSame leaves the sources alone.
func TestReloadOfTheSame(t *testing.T) {
	w := newCable(t)
	newGrandmaster(t, w)
	d := newDaemon(t, w.host, ptpPort)
	before := d.awaitSettled(t).Sources[0].Samples
	d.signal(t, syscall.SIGHUP)
	d.awaitLog(t, "it is as it was")
	if s := d.status(); s == nil || s.Sources[0].Samples < before || s.Sources[0].State != "selected" {
		t.Errorf("the reload has disturbed the source:\n%s", show(s))
	}
	d.stop(t)
}

// TestReloadNeverLosesFrequency looks at the clock all the time while sources come and go.
func TestReloadNeverLosesFrequency(t *testing.T) {
	w := newCable(t)
	newGrandmaster(t, w)
	d := newDaemon(t, w.host, ptpPort)
	before := d.awaitLearned(t)
	d.configure(t, configuration(d.dir, ptpPort+"delay_filter = 9\n"))
	d.signal(t, syscall.SIGHUP)
	anew := false
	d.await(t, "locked after the reload", func(s *status.Snapshot) bool {
		if !near(s.Clocks[0].Frequency, -frequencyError, momentWithin) || s.Steps != before.Steps {
			t.Fatalf("the reload has disturbed the clock:\n%s", show(s))
		}
		anew = anew || len(s.Sources) == 1 && s.Sources[0].Samples < before.Sources[0].Samples // not a snapshot of before
		return anew && s.State == status.Locked && strings.Contains(d.log.String(), "configuration read again") &&
			s.Sources[0].Samples > 8
	})
}

// TestReloadOfServo has another law steer the clock: it starts from what the one before has learned.
func TestReloadOfServo(t *testing.T) {
	w := newCable(t)
	newGrandmaster(t, w)
	d := newDaemon(t, w.host, ptpPort)
	before := d.awaitLearned(t)
	d.configure(t, strings.Replace(configuration(d.dir, ptpPort), "[steering]\n", "[steering]\nservo = \"pi\"\n", 1))
	d.signal(t, syscall.SIGHUP)
	d.await(t, "locked by the other servo", func(s *status.Snapshot) bool {
		if !near(s.Clocks[0].Frequency, -frequencyError, momentWithin) || s.Steps != before.Steps {
			t.Fatalf("the reload has disturbed the clock:\n%s", show(s))
		}
		return s.State == status.Locked && s.Clocks[0].Servo == "pi" && s.Sources[0].Samples > 8
	})
}

func TestSecondDaemon(t *testing.T) {
	w := newCable(t)
	newGrandmaster(t, w)
	d := newDaemon(t, w.host, ptpPort)
	d.awaitLocked(t)
	second := w.host.start(t, exec.Command(program("lockstepd"), "--config", d.file()))
	if code := second.end(t); code != 1 {
		t.Errorf("exit status %d", code)
	}
	requireOneLine(t, second.log.String(), filepath.Join(d.dir, "socket"), "running daemon",
		fmt.Sprintf("process %d (lockstepd)", d.cmd.Process.Pid))
	if d.status() == nil {
		t.Error("the first daemon does not answer any more")
	}
}

// requireOneLine checks that a program said what it had to say in one line.
func requireOneLine(t *testing.T, text string, parts ...string) {
	t.Helper()
	if strings.Count(text, "\n") != 1 {
		t.Errorf("not one line:\n%s", text)
	}
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in:\n%s", p, text)
		}
	}
}

func TestMissingCapabilities(t *testing.T) {
	w := newCable(t)
	dir := t.TempDir()
	all := []uintptr{unix.CAP_SYS_TIME, unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_ADMIN, unix.CAP_NET_RAW}
	for _, c := range []struct {
		name, config string
		without      []uintptr
		want         []string
	}{
		{"time", configurationOf(dir, "system", ptpPort), all[:1], []string{"CAP_SYS_TIME to steer the system clock"}},
		{"bind", configuration(dir, ptpPort), all[1:2], []string{"CAP_NET_BIND_SERVICE for the UDP ports of PTP"}},
		{"raw", configuration(dir, ptpPort, "transport = \"l2\"\n"), all[3:], []string{"CAP_NET_RAW for PTP over Ethernet"}},
		{"all", configurationOf(dir, "system", "[[ptp.port]]\ninterface = \"eth0\"\ntimestamping = \"hardware\"\n"), all,
			[]string{"CAP_SYS_TIME", "CAP_NET_BIND_SERVICE", "CAP_NET_ADMIN to have NICs take timestamps"}},
	} {
		file := filepath.Join(dir, c.name+".toml")
		if err := os.WriteFile(file, []byte(c.config), 0o644); err != nil {
			t.Fatal(err)
		}
		p := w.host.start(t, exec.Command(program("lockstepd"), "--config", file), c.without...)
		if code := p.end(t); code != 1 {
			t.Errorf("%s: exit status %d", c.name, code)
		}
		requireOneLine(t, p.log.String(), c.want...)
	}
}

// TestFewCapabilities has what PTP by the kernel's timestamps needs, and no more: by default that will do.
func TestFewCapabilities(t *testing.T) {
	w := newCable(t)
	newGrandmaster(t, w)
	dir := t.TempDir()
	d := &daemon{ns: w.host, dir: dir, client: control.NewClient(filepath.Join(dir, "socket"))}
	t.Cleanup(d.client.Close)
	d.configure(t, configuration(dir, strings.ReplaceAll(ptpPort, "timestamping = \"kernel\"\n", "")))
	d.process = w.host.start(t, exec.Command(program("lockstepd"), "--config", d.file()),
		unix.CAP_SYS_TIME, unix.CAP_NET_ADMIN, unix.CAP_NET_RAW)
	s := d.awaitLocked(t)
	if got := s.Ports[0].Timestamping; got != "kernel" {
		t.Errorf("%s timestamps", got)
	}
}

func TestCheck(t *testing.T) {
	w := newCable(t)
	dir := t.TempDir()
	check := func(config string) (int, string) {
		file := filepath.Join(dir, "lockstepd.toml")
		if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		p := w.host.start(t, exec.Command(program("lockstepd"), "--check", file))
		return p.end(t), p.log.String()
	}
	if code, out := check(configuration(dir, ptpPort, ntpAssociation)); code != 0 || !strings.Contains(out, "eth0") ||
		!strings.Contains(out, "10.1.1.2") {
		t.Errorf("a good file: exit status %d:\n%s", code, out)
	}
	for config, want := range map[string]string{
		"[ptp]\nprot = 1\n":                          "prot",
		"state_file = 7\n":                           "state_file",
		"[[ptp.port]]\ntransport = \"udp4\"\n":       "interface",
		configuration(dir, ptpPort, ptpPort):         "eth0",
		"[steering]\nstep_threshold = \"a while\"\n": "step_threshold",
		"[ptp\n": "lockstepd.toml",
	} {
		code, out := check(config)
		if code != 1 {
			t.Errorf("exit status %d for:\n%s", code, config)
		}
		requireOneLine(t, out, want, "lockstepd.toml")
	}
	p := w.host.start(t, exec.Command(program("lockstepd"), "--config", filepath.Join(dir, "none.toml")))
	if code := p.end(t); code != 1 {
		t.Errorf("exit status %d without the file", code)
	}
	requireOneLine(t, p.log.String(), "none.toml")
}

// TestNoConfiguration runs the daemon with nothing but a host without a hardware clock. It is in a user namespace of its
// own, in which nobody may set the clock.
func TestNoConfiguration(t *testing.T) {
	w := newCable(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), private+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS}
	asRoot(cmd.SysProcAttr)
	p := w.host.start(t, cmd)
	client := control.NewClient(fmt.Sprintf("/proc/%d/root%s", p.cmd.Process.Pid, control.DefaultSocket))
	defer client.Close()
	var snapshot *status.Snapshot
	await(t, "the daemon answers", func() bool {
		snapshot, err = client.Status(context.Background())
		return err == nil || p.ended()
	}, func() any { return err })
	if p.ended() && strings.Contains(p.log.String(), "mount") {
		t.Skipf("this machine lets us not hide its folders: %s", p.log.String())
	}
	if p.ended() {
		t.Fatalf("lockstepd has ended: %s", p.log.String())
	}
	if len(snapshot.Sources) == 0 || !strings.Contains(snapshot.Sources[0].Name, "pool.ntp.org") ||
		len(snapshot.Ports) != 0 || len(snapshot.Clocks) != 1 {
		t.Errorf("it runs with:\n%s", show(snapshot))
	}
	p.signal(t, syscall.SIGTERM)
	if code := p.end(t); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// TestServiceManager stands in for systemd.
func TestServiceManager(t *testing.T) {
	w := newCable(t)
	g := newGrandmaster(t, w)
	g.Change(func(m *ptptest.Master) { m.Faults.Silent = true })
	dir := t.TempDir()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	var said output
	go func() {
		for b := make([]byte, 4096); ; {
			n, err := socket.Read(b)
			if err != nil {
				return
			}
			fmt.Fprintf(&said, "%s\n", b[:n])
		}
	}()
	t.Cleanup(func() { socket.Close() })
	saying := func(text string) {
		t.Helper()
		await(t, "the service manager is told "+text, func() bool { return strings.Contains(said.String(), text) },
			func() any { return said.String() })
	}
	d := runDaemon(t, w.host, dir, configuration(dir, ptpPort), "NOTIFY_SOCKET="+filepath.Join(dir, "notify"),
		"WATCHDOG_USEC=400000")
	saying("STATUS=unsynchronised")
	saying("WATCHDOG=1\n")
	if strings.Contains(said.String(), "READY=1") {
		t.Fatalf("ready without a source:\n%s", said.String())
	}
	g.Change(func(m *ptptest.Master) { m.Faults.Silent = false })
	d.awaitLocked(t)
	saying("READY=1\n")
	d.signal(t, syscall.SIGHUP)
	saying("RELOADING=1\nMONOTONIC_USEC=")
	await(t, "ready after the reload", func() bool {
		_, after, _ := strings.Cut(said.String(), "RELOADING=1")
		return strings.Contains(after, "READY=1\n")
	}, func() any { return said.String() })
	d.stop(t)
	saying("STOPPING=1\n")
}

func TestMetricsAndJSON(t *testing.T) {
	w := newCable(t)
	newGrandmaster(t, w)
	d := newDaemon(t, w.host, ptpPort, metricsSection)
	d.awaitSettled(t)
	text := d.metrics(t)
	if v := metric(t, text, `lockstep_state{state="locked"}`); v != 1 {
		t.Errorf("state locked is %v", v)
	}
	ratio := metric(t, text, `lockstep_clock_frequency_adjustment_ratio{clock="system"}`)
	if !near(ratio, 1-frequencyError/1e9, momentWithin/1e9) {
		t.Errorf("frequency ratio %v", ratio)
	}
	if v := metric(t, text, `lockstep_source_samples_total{source="ptp:eth0"}`); v == 0 {
		t.Error("no samples")
	}
	if v := metric(t, text,
		`lockstep_port_transmit_timestamps_total{domain="0",port="eth0",result="used",sdo_id="0",transport="udp4"}`); v == 0 {
		t.Error("no transmit timestamps")
	}
	if v := metric(t, text,
		`lockstep_port_received_datagrams_total{domain="0",port="eth0",result="used",sdo_id="0",transport="udp4"}`); v == 0 {
		t.Error("no datagrams")
	}
	metric(t, text, "lockstep_overrun_total")
	if v := metric(t, text, `lockstep_clock_offset_magnitude_seconds_count{clock="system"}`); v == 0 {
		t.Error("no offset is in the histogram")
	}
	for _, part := range []string{"sources", "clocks", "ports"} {
		code, out := d.ctl(t, part, "--json")
		var list []map[string]any
		if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 || len(list) != 1 {
			t.Errorf("lockstepctl %s --json: exit status %d, %v:\n%s", part, code, err, out)
		}
	}
	if s := d.status(); s == nil || s.Version == "" || time.Since(s.Time).Abs() > 10*time.Second {
		t.Errorf("the snapshot is:\n%s", show(s))
	}
}
