// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/lockstep-time/lockstep/status"
)

// portIs tells whether the only port is in that state.
func portIs(state string) func(*status.Snapshot) bool {
	return func(s *status.Snapshot) bool { return len(s.Ports) == 1 && s.Ports[0].State == state }
}

// interrupted waits until the lock has been lost to what was done to the interface, and that was no reason to step.
func (d *daemon) interrupted(t *testing.T, what string, steps uint64) {
	t.Helper()
	s := d.await(t, what, func(s *status.Snapshot) bool { return s.State == status.Holdover && s.Ports[0].State != "slave" })
	if !near(s.Clocks[0].Frequency, -frequencyError, learnedWithin) || s.Steps != steps {
		t.Errorf("%s: the clock has been disturbed:\n%s", what, show(s))
	}
}

func TestInterfaceComesLater(t *testing.T) {
	w := newCable(t)
	w.host.rename(t, "eth0", "other")
	newGrandmaster(t, w)
	d := newDaemon(t, w.host, ptpPort)
	s := d.await(t, "the port is faulty", portIs("faulty"))
	if s.Ports[0].Error == "" {
		t.Error("it does not say why")
	}
	w.host.rename(t, "other", "eth0")
	d.awaitSettled(t)
}

func TestLinkDownAndUp(t *testing.T) {
	w := newCable(t)
	newGrandmaster(t, w)
	d := newDaemon(t, w.host, ptpPort)
	steps := d.awaitLearned(t).Steps
	w.host.setUp(t, "eth0", false)
	d.interrupted(t, "interface down", steps)
	w.host.setUp(t, "eth0", true)
	d.awaitLearned(t)
	w.peers.setUp(t, "eth1", false)
	d.interrupted(t, "no carrier", steps)
	w.peers.setUp(t, "eth1", true)
	if s := d.awaitSettled(t); s.Steps != steps {
		t.Errorf("stepped:\n%s", show(s))
	}
}

func TestInterfaceRenamed(t *testing.T) {
	w := newCable(t)
	newGrandmaster(t, w)
	d := newDaemon(t, w.host, ptpPort)
	steps := d.awaitLearned(t).Steps
	w.host.rename(t, "eth0", "other")
	d.interrupted(t, "renamed", steps)
	w.host.rename(t, "other", "eth0")
	if s := d.awaitSettled(t); s.Steps != steps {
		t.Errorf("stepped:\n%s", show(s))
	}
}

func TestInterfaceRemovedAndMadeAnew(t *testing.T) {
	w := newCable(t)
	d := newDaemon(t, w.host, ptpPort)
	newGrandmaster(t, w)
	steps := d.awaitLearned(t).Steps
	w.host.remove(t, "eth0")
	d.interrupted(t, "removed", steps)
	w.connect(t)
	newGrandmaster(t, w)
	if s := d.awaitSettled(t); s.Steps != steps {
		t.Errorf("stepped:\n%s", show(s))
	}
}

// TestNothingLeaks reloads and flaps the link, and looks at what the process holds.
func TestNothingLeaks(t *testing.T) {
	w := newCable(t)
	newGrandmaster(t, w)
	newNTPServer(t, w)
	d := newDaemon(t, w.host, ptpPort, ntpAssociation, metricsSection)
	steps := d.awaitSettled(t).Steps
	reloads := 0
	disturb := func() {
		reloads++
		d.configure(t, configuration(d.dir, ptpPort+fmt.Sprintf("delay_filter = %d\n",
			9+reloads%2), ntpAssociation, metricsSection))
		d.signal(t, syscall.SIGHUP)
		w.host.setUp(t, "eth0", false)
		d.await(t, "the port is faulty", portIs("faulty"))
		w.host.setUp(t, "eth0", true)
	}
	const rounds = 50
	disturb()
	goroutines, files := d.holds(t)
	for range rounds {
		disturb()
	}
	d.await(t, "locked again", func(s *status.Snapshot) bool { return settled(s) && s.Sources[1].Samples > 0 })
	var nowGoroutines, nowFiles int
	const slack = rounds / 4
	if !within(patience, func() bool {
		nowGoroutines, nowFiles = d.holds(t)
		return nowGoroutines <= goroutines+slack && nowFiles <= files+slack
	}) {
		t.Errorf("%d goroutines and %d files have become %d and %d", goroutines, files, nowGoroutines, nowFiles)
	}
	if s := d.status(); s == nil || s.Steps != steps {
		t.Errorf("stepped:\n%s", show(s))
	}
	d.stop(t)
}

// holds returns how many goroutines and files the daemon has.
func (d *daemon) holds(t *testing.T) (goroutines, files int) {
	t.Helper()
	return int(metric(t, d.metrics(t), "go_goroutines")), d.descriptors(t)
}
