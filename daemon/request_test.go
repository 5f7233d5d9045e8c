// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/platform"
	"github.com/lockstep-time/lockstep/platform/platformtest"
	"github.com/lockstep-time/lockstep/status"
)

// TestRequestsInOrder has one under way at a time, and done called before the next one begins.
func TestRequestsInOrder(t *testing.T) {
	r := newRig(t, newFakeHost(t), "")
	var order []string
	add := func(name string, wanted bool) {
		r.ask(&request{what: name, wanted: func() bool { return wanted },
			do: func() { order = append(order, "do "+name) }, done: func(clock.Mono) { order = append(order, "done "+name) }})
	}
	add("a", true)
	add("a", true) // waits already
	add("b", false)
	add("c", true)
	r.proceed(r.now())
	add("a", true) // the first one is under way: what it is about may have changed since
	r.settle()
	if want := []string{"do a", "done a", "do c", "done c", "do a", "done a"}; !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
}

// midway begins the next request, and returns while it is under way as far as the loop knows.
func (r *rig) midway() {
	r.t.Helper()
	r.proceed(r.now())
	if r.interfaces.underWay == nil {
		r.t.Fatal("nothing is under way")
	}
	<-r.interfaces.underWay.finished
}

func (r *rig) event(change nic.Change, name string, index int, up bool) {
	r.Daemon.linkChanged(r.now(), nic.Event{Change: change, Name: name, Index: index, Up: up})
}

// TestLinkGoesDownMeanwhile probes a link, or opens a port, whose link goes down before that is known.
func TestLinkGoesDownMeanwhile(t *testing.T) {
	r := newRig(t, twoNICs(t), port0)
	r.event(nic.LinkUp, "eth0", 1, true)
	r.midway()
	r.event(nic.LinkDown, "eth0", 1, false)
	r.settle()
	if r.status().Ports[0].LinkUp {
		t.Error("the link is up, by a probe of before it went down")
	}
	r.link(nic.LinkUp, "eth0", "", 1)
	if !r.status().Ports[0].LinkUp {
		t.Error("the link is down")
	}
	r.interfaceGone(r.now(), "eth0")
	r.reopen()
	r.settleUntil(func() bool { return r.interfaces.underWay != nil && !r.interfaces.underWay.closes })
	r.event(nic.LinkDown, "eth0", 1, false)
	r.settle()
	if p := r.status().Ports[0]; p.LinkUp || !r.ports[0].open {
		t.Errorf("the port that was opened meanwhile is %+v", p)
	}
}

// settleUntil is settle, but stops when something is the case.
func (r *rig) settleUntil(so func() bool) {
	r.t.Helper()
	for r.proceed(r.now()); len(r.underWay) > 0 && !so(); {
		e := <-r.loop.urgent
		r.Daemon.handle(r.now(), &e)
	}
	if !so() {
		r.t.Fatal("it never was so")
	}
}

// TestInterfaceGoesMeanwhile takes away the interface of a port while its sockets are opened: they are closed again.
func TestInterfaceGoesMeanwhile(t *testing.T) {
	f := newFakeHost(t)
	r := newRig(t, f, port0+port24)
	f.Add("eth0", "eth0", 1, 0)
	r.event(nic.Added, "eth0", 1, true)
	r.midway()
	if n := f.Open().Sockets; n != 3 {
		t.Fatalf("%d sockets are open", n)
	}
	f.Remove("eth0")
	r.event(nic.Removed, "eth0", 1, false)
	r.settle()
	r.requirePort(0, "")
	r.requirePort(1, "")
	r.requireClocks("system")
	if open := f.Open(); open.Sockets != 0 || open.PHCs != 0 || open.Locks != 0 {
		t.Errorf("left open: %+v", open)
	}
	f.Add("eth0", "eth0", 2, 0)
	r.link(nic.Added, "eth0", "", 2)
	r.requirePort(0, "ptp0")
	r.requirePort(1, "ptp0")
}

// TestClockGoesMeanwhile loses a clock while another port that is stamped by it is opened.
func TestClockGoesMeanwhile(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, port0+"[[ptp.port]]\ninterface = \"eth0.5\"\n[[ntp.server]]\naddress = \"127.0.0.1\"\ninterface = \"eth0.5\"\n")
	f.Add("eth0.5", "eth0", 5, 0)
	r.event(nic.Added, "eth0.5", 5, true)
	r.midway()
	r.loseClock(r.now(), ptp0, clock.ErrGone)
	f.SetGone(0, true)
	r.settle()
	r.requirePort(0, "")
	r.requirePort(1, "")
	r.requireClocks("system")
	f.SetGone(0, false)
	r.retry(r.now())
	r.requirePort(0, "ptp0")
	r.requirePort(1, "ptp0")
	r.link(nic.LinkUp, "eth0.5", "", 5)
	if a := r.associations[0]; a.clock != ptp0 {
		t.Errorf("NTP is timestamped by %v", a.clock)
	}
	r.requireClocks("system", "ptp0")
}

// TestReloadMeanwhile reloads while ports are opened: what was opened for them is closed, and what is still needed stays.
func TestReloadMeanwhile(t *testing.T) {
	f := newFakeHost(t)
	r := newRig(t, f, port0+port1+bound)
	f.Add("eth0", "eth0", 1, 0)
	f.Add("eth1", "eth1", 2, 1)
	r.Daemon.retry(r.now())
	r.midway() // port 0 is open, and port 1 is not
	r.Daemon.reload(r.now(), parse(t, port1+bound+"[steering]\nphc = false\n"), nil)
	r.settle()
	r.requirePort(0, "ptp1")
	r.requireClocks("system", "ptp1")
	if got := f.Open(); got.Sockets != 3 || got.PHCs != 1 || got.Locks != 0 {
		t.Errorf("open: %+v", got)
	}
	if s := r.status().Clocks[1].Servo; s != "" {
		t.Errorf("a clock that is not to be steered any more is, by %q", s)
	}
	if n := f.NIC("eth0").State(); n.Restored == nil {
		t.Error("a NIC that nobody needs was not put back")
	}
}

// TestBusyPlatformIsAskedNoMore looks for a clock once a second, and does not begin anew while that is under way: it would never end.
func TestBusyPlatformIsAskedNoMore(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, port0+bound)
	f.SetGone(1, true)
	e := r.cross(ptp1)
	r.handle(r.now(), &e)
	f.SetGone(1, false)
	before := f.Calls("Probe")
	r.Daemon.retry(r.now())
	r.midway()
	for range 10 {
		r.Daemon.retry(r.now())
	}
	r.settle()
	if n := f.Calls("Probe") - before; n != 1 || r.associations[0].clock != ptp1 {
		t.Errorf("%d probes; NTP is timestamped by %v", n, r.associations[0].clock)
	}
}

// TestUseIsGivenUpMeanwhile acquires a use of a NIC for an interface that goes before that is known.
func TestUseIsGivenUpMeanwhile(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, port1+"[[ntp.server]]\naddress = \"127.0.0.1\"\ninterface = \"eth1.5\"\n")
	f.Add("eth1.5", "eth1", 5, 1)
	r.stampAssociation(0)
	r.midway()
	if got := f.NIC("eth1").State().Uses; got != nic.PTPOverUDP|nic.NTP {
		t.Fatalf("the NIC serves %v", got)
	}
	f.Remove("eth1.5")
	r.event(nic.Removed, "eth1.5", 5, false)
	r.settle()
	if got := f.NIC("eth1").State().Uses; got != nic.PTPOverUDP {
		t.Errorf("the NIC serves %v, want PTP over UDP only", got)
	}
}

// TestSocketOfNTPIsMadeMeanwhile asks for another one while it is made, or for none any more.
func TestSocketOfNTPIsMadeMeanwhile(t *testing.T) {
	var asked []hwts.Config
	fail := error(nil)
	f := platformtest.New(platformtest.Config{Folder: t.TempDir(), Listen: func(c hwts.Config) (platform.Conn, error) {
		asked = append(asked, c)
		if fail != nil {
			return nil, fail
		}
		return platformtest.Silent(c)
	}})
	r := newRig(t, f, "[[ntp.server]]\naddress = \"192.0.2.1\"\n")
	a := r.associations[0]
	r.host.Wake(r.now())
	server := a.server
	if !a.making || !server.IsValid() {
		t.Fatalf("no socket is being made for %v", server)
	}
	driver{r.Daemon}.Rebind(0)
	driver{r.Daemon}.Rebind(0)
	r.settle()
	if len(asked) != 2 || a.conn == nil || a.making || f.Open().Sockets != 1 {
		t.Errorf("%d sockets were made, %d are open; the association has %v", len(asked), f.Open().Sockets, a.conn)
	}
	driver{r.Daemon}.Rebind(0)
	r.interfaceGone(r.now(), "")
	r.settle()
	if a.conn != nil {
		t.Error("the association has a socket by an interface that is gone")
	}
	fail = errors.New("too many open files")
	if _, _, err := (driver{r.Daemon}).SendNTP(0, nil); err == nil || len(r.underWay) != 1 {
		t.Errorf("sending has not begun to make a socket: %v", err)
	}
	r.settle()
	if n := len(asked); a.making || n != 4 || !logged(r, "connecting to NTP server", "too many open files") {
		t.Errorf("%d sockets were tried; log:\n%s", n, r.log)
	}
}

// TestEndsWhileBusy ends a daemon while its platform is at any of its calls: nothing is left open, and the NICs are as they were.
func TestEndsWhileBusy(t *testing.T) {
	cfg := parse(t, slowPorts)
	for at := 50 * time.Millisecond; at < 12*time.Second; at += 290 * time.Millisecond {
		r := runSlowly(t, cfg, func(r *slowRun) {
			time.Sleep(at)
			if at > 6*time.Second {
				r.host.SetLink("eth0", false)
				r.host.Remove("eth1")
				time.Sleep(at - 6*time.Second)
			}
		})
		if n := r.host.NIC("eth0"); n != nil && n.State().Acquired > 0 && len(n.State().Restored) != 1 {
			t.Errorf("ended after %v: the NIC was put back %v", at, n.State().Restored)
		}
		if t.Failed() {
			return
		}
	}
}

// TestPortsThatAreBeingOpened are shown as such.
func TestPortsThatAreBeingOpened(t *testing.T) {
	cfg := parse(t, slowPorts)
	runSlowly(t, cfg, func(r *slowRun) {
		r.await("a snapshot", func(*status.Snapshot) bool { return true })
		s := r.look()
		if p, reason := s.Ports[1], s.Sources[1].Reason; p.State != "disabled" || p.Error != "" || !strings.Contains(reason, "not open") {
			t.Errorf("port %+v, source: %s", p, reason)
		}
		r.await("the ports open", stampedBy("ptp0", "ptp1", "", ""))
		time.Sleep(10 * time.Second)
	})
}
