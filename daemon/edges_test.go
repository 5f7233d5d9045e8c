// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/internal/lockfile"
	"github.com/lockstep-time/lockstep/platform"
	"github.com/lockstep-time/lockstep/platform/platformtest"
	"github.com/lockstep-time/lockstep/status"
)

const (
	port0 = "[[ptp.port]]\ninterface = \"eth0\"\n"
	// port24 is another port on the same interface.
	port24 = "[[ptp.port]]\ninterface = \"eth0\"\ndomain = 24\n"
	port1  = "[[ptp.port]]\ninterface = \"eth1\"\n"
	bound  = "[[ntp.server]]\naddress = \"127.0.0.1\"\ninterface = \"eth1\"\n"
)

// twoNICs is a host with eth0 and eth1, and a clock on each.
func twoNICs(t *testing.T) *platformtest.Host {
	f := newFakeHost(t)
	f.Add("eth0", "eth0", 1, 0)
	f.Add("eth1", "eth1", 2, 1)
	return f
}

var ptp0, ptp1 = clock.PHC(0), clock.PHC(1)

func TestVanishedClockOfTwoPorts(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, port0+port24+port1)
	r.requireClocks("system", "ptp0", "ptp1")
	r.requirePort(0, "ptp0")
	r.requirePort(1, "ptp0")
	f.SetGone(0, true)
	e := r.cross(ptp0)
	r.handle(r.now(), &e)
	r.requireClocks("system", "ptp1")
	r.requirePort(0, "")
	r.requirePort(1, "")
	r.requirePort(2, "ptp1")
	for range 3 { // the NIC is not configured to and fro while its clock is looked for
		r.retry(r.now())
	}
	if n := f.NIC("eth0").State(); n.Restored != nil {
		t.Errorf("the NIC's configuration was put back: %v", n.Restored)
	}
	f.SetGone(0, false)
	r.retry(r.now())
	r.requireClocks("system", "ptp1", "ptp0")
	r.requirePort(0, "ptp0")
	r.requirePort(1, "ptp0")
	// what the old device said last must not cost the new one
	r.handle(r.now(), &e)
	r.requirePort(0, "ptp0")
	if n := f.Open().PHCsEver; n != 3 {
		t.Errorf("%d clocks were opened, want 3", n)
	}
}

func TestVanishedClockOfNTP(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, port0+bound)
	r.requireClocks("system", "ptp0", "ptp1")
	if a := r.associations[0]; a.clock != ptp1 {
		t.Fatalf("NTP is timestamped by %v", a.clock)
	}
	f.SetGone(1, true)
	e := r.cross(ptp1)
	r.handle(r.now(), &e)
	r.retry(r.now())
	if a := r.associations[0]; a.clock != clock.System {
		t.Errorf("NTP is timestamped by %v, which is gone", a.clock)
	}
	r.requireClocks("system", "ptp0")
	f.SetGone(1, false)
	r.retry(r.now())
	if a := r.associations[0]; a.clock != ptp1 || a.lost {
		t.Errorf("NTP is timestamped by %v although its clock is back", a.clock)
	}
	r.requireClocks("system", "ptp0", "ptp1")
}

// TestVanishedClockOfAutoPort goes on by the kernel's timestamps while the interface has no clock.
func TestVanishedClockOfAutoPort(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, port0)
	f.SetGone(0, true)
	f.Add("eth0", "eth0", 1, -1)
	e := r.cross(ptp0)
	r.handle(r.now(), &e)
	r.requirePort(0, "system")
	r.requireClocks("system")
	f.SetGone(0, false)
	f.Add("eth0", "eth0", 1, 0)
	r.retry(r.now())
	r.requirePort(0, "ptp0")
	r.requireClocks("system", "ptp0")
}

func TestLinkFlapOfNTP(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, bound)
	r.link(nic.LinkDown, "eth1", "", 2)
	r.link(nic.LinkUp, "eth1", "", 2)
	if n := f.NIC("eth1").State(); n.Reapplied != 1 || n.Uses != nic.NTP {
		t.Errorf("timestamping was configured again %d times, for %v", n.Reapplied, n.Uses)
	}
	if r.associations[0].clock != ptp1 {
		t.Errorf("NTP is timestamped by %v", r.associations[0].clock)
	}
}

func TestInterfaceOfNTPMadeAnew(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, bound)
	f.Remove("eth1")
	r.link(nic.Removed, "eth1", "", 2)
	r.requireClocks("system")
	if a := r.associations[0]; a.clock != clock.System || a.conn != nil {
		t.Errorf("NTP is timestamped by %v, its socket is %v", a.clock, a.conn)
	}
	f.Add("eth1", "eth1", 7, 3) // and the device has another number
	r.link(nic.Added, "eth1", "", 7)
	r.requireClocks("system", "ptp3")
	if a := r.associations[0]; a.clock != clock.PHC(3) {
		t.Errorf("NTP is timestamped by %v", a.clock)
	}
}

// TestOtherClock finds another clock on the interface when the link comes up.
func TestOtherClock(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, port0+port24)
	f.Add("eth0", "eth0", 1, 2)
	r.link(nic.LinkUp, "eth0", "", 1)
	r.requirePort(0, "ptp2")
	r.requirePort(1, "ptp2")
	r.requireClocks("system", "ptp2")
}

func TestRenamedNIC(t *testing.T) {
	f := twoNICs(t)
	f.Add("eth0.5", "eth0", 5, 0)
	r := newRig(t, f, port0+"[[ptp.port]]\ninterface = \"eth0.5\"\n"+port1)
	nic0, nic1 := f.NIC("eth0"), f.NIC("eth1")
	f.Remove("eth0")
	f.Add("eth0.5", "lan0", 5, 0)
	r.link(nic.Renamed, "lan0", "eth0", 1)
	r.requirePort(0, "")
	r.requirePort(1, "ptp0")
	if s := nic0.State(); s.Name != "lan0" || s.Restored != nil || r.hardware.nics["lan0"] == nil ||
		r.hardware.nics["eth0"] != nil {
		t.Errorf("the NIC that a VLAN still needs is %+v, known are %v", s, r.hardware.nics)
	}
	r.link(nic.LinkUp, "lan0", "", 1)
	if nic0.State().Reapplied == 0 {
		t.Error("it is not configured again under its new name")
	}
	f.Remove("eth1")
	r.link(nic.Renamed, "lan1", "eth1", 2)
	r.requireClocks("system", "ptp0")
	if s := nic1.State(); len(s.Restored) != 1 || s.Restored[0] != "lan1" {
		t.Errorf("the NIC that nobody needs was put back %v", s.Restored)
	}
	if got := r.status().Clocks[1].Interfaces; len(got) != 1 || got[0] != "lan0" {
		t.Errorf("interfaces %v", got)
	}
}

func TestReloadReleases(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, port0+port1+bound)
	kept := r.clocks.phcs[ptp0]
	r.reload(r.now(), parse(t, port0+bound))
	r.requireClocks("system", "ptp0", "ptp1")
	if n := f.NIC("eth1").State(); n.Restored != nil {
		t.Errorf("the NIC that NTP still needs was put back %v", n.Restored)
	}
	r.reload(r.now(), parse(t, port0))
	r.requireClocks("system", "ptp0")
	if n := f.NIC("eth1").State(); len(n.Restored) != 1 {
		t.Errorf("the NIC was put back %v", n.Restored)
	}
	if n := f.NIC("eth0").State(); n.Restored != nil || r.clocks.phcs[ptp0] != kept {
		t.Error("what is still in use was not left alone")
	}
	if lock, err := lockfile.Create(f.LockPath("/dev/ptp1")); err != nil {
		t.Errorf("the clock is still locked: %v", err)
	} else if err := lock.Close(); err != nil {
		t.Error(err)
	}
	r.reload(r.now(), parse(t, port0+port1))
	r.requirePort(1, "ptp1")
}

func TestReloadOfSteering(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, port0)
	servos := func(want ...string) {
		t.Helper()
		for i, c := range r.status().Clocks {
			if c.Servo != want[i] {
				t.Errorf("%s is steered by %q, want %q", c.Name, c.Servo, want[i])
			}
		}
	}
	servos("adaptive", "adaptive")
	r.reload(r.now(), parse(t, port0+"[steering]\nservo = \"pi\"\ncrossings = 7\n"))
	servos("pi", "pi")
	if got := r.clocks.readings.Load(); got != 7 {
		t.Errorf("comparisons have %d readings", got)
	}
	r.reload(r.now(), parse(t, port0+"[steering]\nservo = \"pi\"\nphc = false\n"))
	servos("pi", "")
	held, err := lockfile.Create(f.LockPath("/dev/ptp0"))
	if err != nil {
		t.Fatalf("a clock that is not steered any more is locked: %v", err)
	}
	// while another one steers it, it stays so
	r.reload(r.now(), parse(t, port0))
	servos("pi", "")
	if want := "another lockstepd steers the clock"; !strings.Contains(r.log.String(), want) {
		t.Errorf("the log does not say %q:\n%s", want, r.log)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	r.resteerClocks()
	servos("adaptive", "adaptive")
	if r.resteer {
		t.Error("it is still to be done")
	}
}

func TestWithoutPrivilege(t *testing.T) {
	for name, denied := range map[string]platformtest.Faults{
		"CAP_NET_ADMIN": {Acquire: fmt.Errorf("set timestamping: %w", unix.EPERM)},
		"/dev/ptp0":     {OpenPHC: fmt.Errorf("open /dev/ptp0: %w", unix.EACCES)},
	} {
		f := twoNICs(t)
		f.SetFaults(denied)
		r := newRig(t, f, port0+port24+"timestamping = \"hardware\"\n"+bound)
		r.requirePort(0, "system")
		r.requirePort(1, "")
		if got := r.associations[0].clock; got != clock.System {
			t.Errorf("%s: NTP is timestamped by %v", name, got)
		}
		for _, text := range []string{"PTP on eth0", "NTP through eth1"} {
			if !logged(r, "level=WARN", text+" is timestamped by the kernel", name) {
				t.Errorf("%s: no warning of %s:\n%s", name, text, r.log)
			}
		}
		f.SetFaults(platformtest.Faults{})
		r.link(nic.LinkUp, "eth0", "", 1)
		r.requirePort(0, "ptp0")
	}
}

// logged reports whether a line of the log has all these texts.
func logged(r *rig, texts ...string) bool {
line:
	for line := range strings.Lines(r.log.String()) {
		for _, text := range texts {
			if !strings.Contains(line, text) {
				continue line
			}
		}
		return true
	}
	return false
}

// TestNoHardwareTimestamps says what is missing, of whom, and what to do.
func TestNoHardwareTimestamps(t *testing.T) {
	f := newFakeHost(t)
	f.Add("eth0", "eth0", 1, -1)
	f.Add("lo", "lo", 2, -1)
	f.Edit("lo", func(c *nic.Capabilities) { c.Driver = "" })
	r := newRig(t, f, port0+"timestamping = \"hardware\"\n[[ptp.port]]\ninterface = \"lo\"\ntimestamping = \"hardware\"\n")
	for n, want := range []string{
		"eth0: no hardware timestamps by eth0 (driver fake); timestamping = \"auto\"",
		"lo: no hardware timestamps by lo; timestamping = \"auto\"",
	} {
		if got := r.status().Ports[n].Error; !strings.HasPrefix(got, want) {
			t.Errorf("the port says %q, want %q", got, want)
		}
	}
}

// TestClockOfAnother finds a clock that another daemon steers.
func TestClockOfAnother(t *testing.T) {
	f := twoNICs(t)
	held, err := lockfile.Create(f.LockPath("/dev/ptp0"))
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, f, port0)
	r.requirePort(0, "")
	r.requireClocks("system")
	if got := r.status().Ports[0].Error; !strings.Contains(got, "another lockstepd steers the clock") {
		t.Errorf("the port says %q", got)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	r.retry(r.now())
	r.requirePort(0, "ptp0")
}

func TestSystemClockOfAnother(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "run")
	r := newRig(t, newFakeHost(t), "")
	first := &clocks{log: r.Daemon.log, platform: platform.Local()}
	if err := first.lockSystem(folder); err != nil || first.lock == nil {
		t.Fatalf("lock %v, %v", first.lock, err)
	}
	second := &clocks{log: r.Daemon.log, platform: platform.Local()}
	if err := second.lockSystem(folder); err == nil ||
		!strings.Contains(err.Error(), "another lockstepd steers the system clock") {
		t.Errorf("the second got %v", err)
	}
	if err := first.lock.Close(); err != nil {
		t.Fatal(err)
	}
	// where no lock can be had, that is said, and no more
	if err := os.WriteFile(filepath.Join(folder, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := second.lockSystem(filepath.Join(folder, "file", "run")); err != nil || !logged(r, "it cannot be made sure") {
		t.Errorf("without a folder: %v; log:\n%s", err, r.log)
	}
}

func TestCountsOutliveSockets(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, port0+bound)
	r.loop.dropped.Add(3)
	send := func() {
		t.Helper()
		if _, err := r.ports[0].event.Send([]byte{0}, hwts.UDPAddr(netip.MustParseAddrPort("127.0.0.1:9"))); err != nil {
			t.Fatal(err)
		}
	}
	send()
	r.link(nic.LinkDown, "eth0", "", 1)
	r.interfaceGone(r.now(), "eth0")
	r.settle()
	r.retry(r.now())
	send()
	s := r.status()
	if s.Overrun != 3 || s.Ports[0].Socket.Sent != 2 {
		t.Errorf("overrun %d, sent %d", s.Overrun, s.Ports[0].Socket.Sent)
	}
	if src := s.Sources[1]; src.ID != "ntp:127.0.0.1" || src.Socket.SendErrors != 0 {
		t.Errorf("source %+v", src)
	}
	r.associations[0].counted = hwts.Counters{Received: 5, TransmitLost: 2}
	if got := r.status().Sources[1].Socket; got.Received != 5 || got.StampsLost != 2 {
		t.Errorf("source's socket %+v", got)
	}
}

// TestContainersComeAndGo has servers asked anew now and then, and not for each of them.
func TestContainersComeAndGo(t *testing.T) {
	r := newRig(t, twoNICs(t), bound)
	at := r.now()
	told := func(after time.Duration, name string) bool {
		now := at.Add(after)
		if name == "" {
			r.retry(now)
		} else {
			r.linkChanged(now, nic.Event{Change: nic.Added, Name: name, Index: 9, Up: true})
		}
		return r.told == now
	}
	for _, c := range []struct {
		after time.Duration
		name  string
		state status.State
		want  bool
	}{
		{0, "veth0", status.Starting, true},
		{time.Second, "veth1", status.Starting, false},
		{2 * time.Second, "eth1", status.Starting, true}, // which a server is bound to
		{3 * time.Second, "veth2", status.Starting, false},
		{networkPause, "", status.Starting, false},
		{2*time.Second + networkPause, "", status.Starting, true},
		{10 * networkPause, "", status.Starting, false}, // nothing has happened
		{10 * networkPause, "veth3", status.Locked, false},
		{2*time.Second + networkPause + lockedNetworkPause, "", status.Locked, true},
	} {
		r.state = c.state
		if got := told(c.after, c.name); got != c.want {
			t.Errorf("%v, %q while %s: told %v", c.after, c.name, c.state, got)
		}
	}
}

// TestSlowDisk has at most one state written at a time.
func TestSlowDisk(t *testing.T) {
	r := newRig(t, newFakeHost(t), "")
	r.cfg.StateFile = filepath.Join(t.TempDir(), "state.json")
	r.saving.Store(true)
	if r.write(r.now(), engine.Saved{UTCOffset: 36}) {
		t.Error("a state was written beside another one")
	}
	r.saving.Store(false)
	if !r.write(r.now(), engine.Saved{UTCOffset: 37}) {
		t.Error("no state was written")
	}
	r.workers.Wait()
	if s, err := loadState(r.cfg.StateFile); err != nil || s.UTCOffset != 37 {
		t.Errorf("the state is %+v, %v", s, err)
	}
}

// TestReloadOfTheSame leaves everything alone, but for a newer leap-seconds list and a NIC that has forgotten what it is to
// do.
func TestReloadOfTheSame(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, port0+bound)
	host, socket := r.host, r.ports[0].event
	list := filepath.Join(t.TempDir(), "leap-seconds.list")
	r.cfg.UTC.LeapSecondsList = list
	text, err := os.ReadFile("../clock/testdata/leap-seconds.list")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, text, 0o600); err != nil {
		t.Fatal(err)
	}
	f.NIC("eth0").Reset()
	same := parse(t, port0+bound+"[metrics]\nlisten = \"127.0.0.1:0\"\n") // which takes a restart
	same.UTC.LeapSecondsList = list
	r.reload(r.now(), same)
	if r.host != host || r.ports[0].event != socket || !logged(r, "it is as it was") {
		t.Errorf("the sources began anew; log:\n%s", r.log)
	}
	if f.NIC("eth0").State().Forgotten {
		t.Error("the NIC was not configured again")
	}
	if r.status().UTC.ListExpires.IsZero() {
		t.Error("the leap-seconds list was not read")
	}
	r.reload(r.now(), parse(t, port0))
	if r.host == host {
		t.Error("another configuration was not taken")
	}
}

// TestReloadTakesARestart keeps what cannot be changed.
func TestReloadTakesARestart(t *testing.T) {
	r := newRig(t, twoNICs(t), port0)
	cfg := parse(t, port0+"[metrics]\nlisten = \"127.0.0.1:0\"\n")
	cfg.Steering.SystemClock = configs.NoSystemClock
	r.reload(r.now(), cfg)
	if r.cfg.Metrics.Listen != "" || r.cfg.Steering.SystemClock != configs.VirtualSystemClock || !logged(r, "take a restart") {
		t.Errorf("configuration %+v, log:\n%s", r.cfg, r.log)
	}
	if s := r.status(); s.Time.Sub(s.Started) > time.Minute {
		t.Errorf("started %v", s.Started)
	}
}

// TestQuickDriversAreComparedByTheLoop has a driver that answers at once, until it does not any more.
func TestQuickDriversAreComparedByTheLoop(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, port0)
	r.clocks.virtual = nil // the fake clocks do not know the machine's time
	h := r.clocks.phcs[ptp0]
	compare := func() (byLoop bool) {
		t.Helper()
		expected := h.pace.AtOnce()
		driver{r.Daemon}.Compare(ptp0, clock.System)
		byLoop = len(h.compare) == 0 && len(r.loop.urgent) == 1 && expected
		if e := <-r.loop.urgent; e.err != nil || e.serial != h.serial || e.crossing.A.Clock() != ptp0 {
			t.Fatalf("event %+v", e)
		}
		return byLoop
	}
	until := func(byLoop bool) {
		t.Helper()
		for range 1000 { // this machine may be slow at times
			if compare() == byLoop {
				return
			}
		}
		t.Fatalf("comparisons by the loop: %v", !byLoop)
	}
	until(true)
	f.SetSlow(20 * time.Millisecond) // which is slow at once
	compare()
	for range 20 { // more than it took to be called quick
		if compare() {
			t.Fatal("the loop does slow comparisons")
		}
	}
	f.SetSlow(0)
	until(true)
}
