// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/configs"
	"github.com/lockstep-time/lockstep/hwts/nic"
)

// inspectNICs has the rig's NICs looked at.
func (r *rig) inspectNICs() {
	r.t.Helper()
	r.inspect(r.now())
	r.settle()
}

// notes returns how many events of the status have that text.
func (r *rig) notes(text string) (n int) {
	for _, e := range r.status().Events {
		if e.Text == text {
			n++
		}
	}
	return n
}

// TestResetNIC stamps again although no link has changed, and says so once.
func TestResetNIC(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, port0+bound)
	const text = "timestamping of eth0 was changed by another program or a reset, and has been configured again"
	r.inspectNICs()
	if n := r.notes(text); n != 0 {
		t.Errorf("%d events of a NIC that is as it was", n)
	}
	for range 3 {
		f.NIC("eth0").Reset()
		r.inspectNICs()
		if f.NIC("eth0").State().Forgotten {
			t.Fatal("the NIC was not configured again")
		}
	}
	if n := r.notes(text); n != 1 {
		t.Errorf("%d events, want 1: %+v", n, r.status().Events)
	}
	r.requirePort(0, "ptp0")
}

func TestNICThatIsDownIsLeftAlone(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, port0)
	f.Edit("eth0", func(c *nic.Capabilities) { c.Up = false })
	r.inspectNICs()
	if n := f.NIC("eth0").State(); n.Asked != 0 || n.Reapplied != 0 {
		t.Errorf("it was looked at %d times, configured %d times", n.Asked, n.Reapplied)
	}
}

// TestNICsAreInspectedNowAndThen drives what is done once a second.
func TestNICsAreInspectedNowAndThen(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, port0)
	at := r.now()
	r.inspected = at
	for s := range 1 + 3*inspectInterval/time.Second {
		r.chores(at.Add(s * time.Second))
	}
	if n := f.NIC("eth0").State(); n.Asked != 3 || n.Reapplied != 0 {
		t.Errorf("the NIC was looked at %d times in %v, configured %d times, want 3, 0", n.Asked, 3*inspectInterval, n.Reapplied)
	}
}

// TestOtherProvider finds that another clock takes the stamps while the link stays up, and then none, and then one again.
func TestOtherProvider(t *testing.T) {
	f := twoNICs(t)
	f.Add("eth1.7", "eth1", 7, 1)
	r := newRig(t, f, port0+"[[ptp.port]]\ninterface = \"eth1.7\"\n"+bound)
	r.requireClocks("system", "ptp0", "ptp1")
	stamping := func(phc int, want string, id clock.ID) {
		t.Helper()
		f.Add("eth1", "eth1", 2, phc)
		f.Add("eth1.7", "eth1", 7, phc)
		r.inspectNICs()
		r.requirePort(0, "ptp0")
		r.requirePort(1, want)
		if got := r.associations[0].clock; got != id {
			t.Errorf("NTP is timestamped by %v, want %v", got, id)
		}
	}
	stamping(3, "ptp3", clock.PHC(3))
	r.requireClocks("system", "ptp0", "ptp3")
	stamping(-1, "system", clock.System)
	r.requireClocks("system", "ptp0")
	f.Add("eth1", "eth1", 2, 1)
	f.Add("eth1.7", "eth1", 7, 1)
	r.retry(r.now())
	r.requirePort(1, "ptp1")
	r.requireClocks("system", "ptp0", "ptp1")
}

// TestReloadChangesTheUse of a NIC that has a filter for each transport and none for both.
func TestReloadChangesTheUse(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, port0+"transport = \"l2\"\n")
	n := f.NIC("eth0")
	n.Separate()
	r.reload(r.now(), parse(t, port0))
	r.requirePort(0, "ptp0")
	if s := n.State(); s.Uses != nic.PTPOverUDP || s.Restored != nil {
		t.Errorf("the NIC serves %v, was put back %v", s.Uses, s.Restored)
	}
}

// TestUseIsGivenUp with the last port that has it.
func TestUseIsGivenUp(t *testing.T) {
	f := twoNICs(t)
	r := newRig(t, f, port0+port1+bound)
	if got := f.NIC("eth1").State().Uses; got != nic.PTPOverUDP|nic.NTP {
		t.Fatalf("the NIC serves %v", got)
	}
	r.reload(r.now(), parse(t, port0+bound))
	if got := f.NIC("eth1").State().Uses; got != nic.NTP {
		t.Errorf("the NIC serves %v, want NTP only", got)
	}
}

// TestNICThatComesLater gets a port where nobody has named any, and nothing else of a file that has changed meanwhile.
func TestNICThatComesLater(t *testing.T) {
	r := newRig(t, twoNICs(t), port0)
	found, loads := port0, 0
	discovers := true
	r.opt.Load = func() (*configs.Config, error) {
		loads++
		cfg := parse(t, found+"[holdover]\nlimit = \"5ms\"\n")
		cfg.Discovered = discovers
		return cfg, nil
	}
	search := func() {
		r.search()
		r.workers.Wait()
		for len(r.loop.urgent) > 0 {
			e := <-r.loop.urgent
			r.handle(r.now(), &e)
		}
	}
	host, limit := r.host, r.cfg.Holdover.Limit
	r.link(nic.Added, "eth1", "", 2)
	if search(); loads != 0 {
		t.Error("ports are searched for beside those that the file names")
	}
	r.cfg.Discovered = true
	if search(); loads != 1 || r.host != host {
		t.Errorf("%d searches; without anything new the sources began anew: %v", loads, r.host != host)
	}
	if search(); loads != 1 {
		t.Error("nothing has come, and it was searched again")
	}
	found = port0 + port1
	r.link(nic.LinkUp, "eth1", "", 2)
	search()
	r.requirePort(0, "ptp0")
	r.requirePort(1, "ptp1")
	if r.cfg.Holdover.Limit != limit || !r.cfg.Discovered {
		t.Error("more than the ports was taken")
	}
	found, discovers = port1, false
	r.link(nic.Added, "eth9", "", 9)
	if search(); len(r.ports) != 2 {
		t.Error("a file that names its sources by now was taken without being told to")
	}
}
