// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/status/control"
)

// The virtual clock starts that far away, and is that much too fast, in ppb.
const (
	startOffset    = 2 * time.Hour
	frequencyError = 200_000.0
)

// How far the correction may be from the frequency error, in ppb: what has been learned of it, and what is in force at a
// moment. The latter takes the offset away besides, for too long if the daemon is kept from running meanwhile. After a
// false sample it would be further off, by max_slew, and so it would if what had been learned were lost.
const (
	learnedWithin = 10_000.0
	momentWithin  = 100_000.0
)

// Sections of configurations.
const (
	ptpPort = `
[[ptp.port]]
interface = "eth0"
timestamping = "kernel"
delay_request_interval = "125ms"
announce_receipt_timeout = 12 # 3 s: a grandmaster that was kept from running for a moment is not gone
`
	ntpAssociation = `
[[ntp.server]]
address = "10.1.1.2"
min_poll = "250ms"
max_poll = "500ms"
`
)

// output collects what a program writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// process is a running program.
type process struct {
	cmd  *exec.Cmd
	log  output
	done chan struct{}
	err  error
}

// start runs a program in the namespace, without those capabilities. It is killed when the test ends.
func (n *namespace) start(t *testing.T, cmd *exec.Cmd, without ...uintptr) *process {
	t.Helper()
	p := &process{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	n.do(t, func() error {
		for _, c := range without {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
				return fmt.Errorf("drop capability %d: %w", c, err)
			}
		}
		return cmd.Start()
	})
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s wrote:\n%s", filepath.Base(cmd.Path), p.log.String())
		}
		_ = cmd.Process.Kill() // it may have ended already
		<-p.done
	})
	return p
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// end waits for the end of the program and returns its exit status.
func (p *process) end(t *testing.T) int {
	t.Helper()
	await(t, p.cmd.String()+" ends", p.ended, func() any { return p.log.String() })
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		t.Fatal(p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// awaitLog waits until the program has written a text.
func (p *process) awaitLog(t *testing.T, text string) {
	t.Helper()
	await(t, "the log has "+strconv.Quote(text), func() bool { return strings.Contains(p.log.String(), text) },
		func() any { return p.log.String() })
}

// daemon is a running lockstepd.
type daemon struct {
	*process
	ns     *namespace
	dir    string
	client *control.Client
}

// configuration is a complete one with the given sections and a virtual clock; its files are in dir.
func configuration(dir string, sections ...string) string {
	virtual := fmt.Sprintf("[steering.virtual]\noffset = %q\nfrequency = %.1f\n", startOffset, frequencyError)
	return configurationOf(dir, "virtual", append([]string{virtual}, sections...)...)
}

// configurationOf is the same with that clock as the system clock.
func configurationOf(dir, clock string, sections ...string) string {
	return fmt.Sprintf(`state_file = %q
[utc]
leap_seconds_list = ""
[control]
socket = %q
[steering]
phc = false
system_clock = %q
`, filepath.Join(dir, "state.json"), filepath.Join(dir, "socket"), clock) + strings.Join(sections, "")
}

// newDaemon runs lockstepd with a configuration of those sections.
func newDaemon(t *testing.T, n *namespace, sections ...string) *daemon {
	t.Helper()
	dir := t.TempDir()
	return runDaemon(t, n, dir, configuration(dir, sections...))
}

func runDaemon(t *testing.T, n *namespace, dir, config string, env ...string) *daemon {
	t.Helper()
	d := &daemon{ns: n, dir: dir, client: control.NewClient(filepath.Join(dir, "socket"))}
	d.configure(t, config)
	cmd := exec.Command(program("lockstepd"), "--config", d.file())
	cmd.Env = append(os.Environ(), env...)
	d.process = n.start(t, cmd)
	t.Cleanup(d.client.Close)
	return d
}

func (d *daemon) file() string { return filepath.Join(d.dir, "lockstepd.toml") }

// configure writes the configuration.
func (d *daemon) configure(t *testing.T, config string) {
	t.Helper()
	if err := os.WriteFile(d.file(), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
}

// status returns the snapshot, nil if there is none.
func (d *daemon) status() *status.Snapshot {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := d.client.Status(ctx)
	if err != nil {
		return nil
	}
	return s
}

// await waits until the daemon's state is so, and returns it.
func (d *daemon) await(t *testing.T, what string, ok func(*status.Snapshot) bool) *status.Snapshot {
	t.Helper()
	var s *status.Snapshot
	await(t, what, func() bool {
		if d.ended() {
			t.Fatalf("lockstepd has ended: %v", d.err)
		}
		s = d.status()
		return s != nil && ok(s)
	}, func() any { return show(s) })
	return s
}

func (d *daemon) awaitLocked(t *testing.T) *status.Snapshot {
	t.Helper()
	return d.await(t, "locked", func(s *status.Snapshot) bool { return s.State == status.Locked })
}

// awaitSettled waits until the clock is locked and its frequency has been found.
func (d *daemon) awaitSettled(t *testing.T) *status.Snapshot {
	t.Helper()
	return d.await(t, "the clock has settled", settled)
}

// awaitLearned waits until the clock has settled, and that not just for a moment: its frequency comes of many samples.
func (d *daemon) awaitLearned(t *testing.T) *status.Snapshot {
	t.Helper()
	return d.await(t, "the frequency has been learned", func(s *status.Snapshot) bool {
		return settled(s) && s.Sources[0].Samples >= 64
	})
}

// settled allows for the kernel's timestamps on a busy machine.
func settled(s *status.Snapshot) bool {
	return s.State == status.Locked && near(s.Clocks[0].Frequency, -frequencyError, 5000) &&
		s.Offset.Abs() < 500*time.Microsecond
}

func near(value, want, within float64) bool { return value > want-within && value < want+within }

func show(v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// ctl runs lockstepctl.
func (d *daemon) ctl(t *testing.T, args ...string) (int, string) {
	t.Helper()
	p := d.ns.start(t, exec.Command(program("lockstepctl"),
		append([]string{"--socket", filepath.Join(d.dir, "socket")}, args...)...))
	return p.end(t), p.log.String()
}

// stop ends the daemon as an administrator does.
func (d *daemon) stop(t *testing.T) {
	t.Helper()
	d.signal(t, syscall.SIGTERM)
	if code := d.end(t); code != 0 {
		t.Fatalf("exit status %d after SIGTERM", code)
	}
}

// procStatus returns a figure of /proc/PID/status.
func (p *process) procStatus(t *testing.T, key string) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + key + `:\s*(\d+)`).FindSubmatch(b)
	if m == nil {
		t.Fatalf("no %s in:\n%s", key, b)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// descriptors returns how many files the program has open.
func (p *process) descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

const metricsSection = "\n[metrics]\nlisten = \"127.0.0.1:9975\"\n"

// metrics returns what Prometheus would get.
func (d *daemon) metrics(t *testing.T) string {
	t.Helper()
	var text []byte
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (c net.Conn, err error) {
			err = d.ns.try(func() error { c, err = new(net.Dialer).DialContext(ctx, network, address); return err })
			return c, err
		}}}
	answer, err := client.Get("http://127.0.0.1:9975/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err = io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("metrics: %s, %v", answer.Status, err)
	}
	return string(text)
}

// metric returns the value of one metric.
func metric(t *testing.T, text, name string) float64 {
	t.Helper()
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no metric %s in:\n%s", name, text)
	return 0
}
