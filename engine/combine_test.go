// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/source"
)

const (
	us = time.Microsecond
	ms = time.Millisecond
)

// within checks where the clock is.
func (r *rig) within(low, high time.Duration) {
	r.t.Helper()
	if r.ahead < float64(low) || r.ahead > float64(high) {
		r.t.Errorf("after %v the clock is %.0f ns ahead, want %v to %v", time.Duration(r.now), r.ahead, low, high)
	}
}

// TestCombinedMean has two servers differ by 400 µs: the clock is kept at their mean, weighed by their bounds.
func TestCombinedMean(t *testing.T) {
	for _, c := range []struct {
		a, b      time.Duration // bounds
		low, high time.Duration
	}{
		{ms, ms, 180 * us, 220 * us},
		{ms, 2 * ms, 60 * us, 100 * us}, // weights of 4 and 1
		{2 * ms, ms, 300 * us, 340 * us},
	} {
		a, b := newToy("a", source.NTP, true, 0, 1e3, c.a), newToy("b", source.NTP, true, 400*us, 1e3, c.b)
		r := newRig(t, []source.Kind{source.NTP}, a, b)
		r.run(600 * time.Second)
		if a.verdict.State != source.Selected && a.verdict.State != source.Combined {
			t.Errorf("a is %v", a.verdict)
		}
		r.within(c.low, c.high)
	}
}

// TestAnchor loses a source that is taken at its word beside servers that are wrong by up to 300 µs: their biases are known,
// and the clock stays where it was.
func TestAnchor(t *testing.T) {
	master := newToy("master", source.PTP, false, 0, 10, us)
	a, b := newToy("a", source.NTP, true, 300*us, 1e3, ms), newToy("b", source.NTP, true, -200*us, 1e3, ms)
	r := newRig(t, []source.Kind{source.PTP, source.NTP}, master, a, b)
	r.run(200 * time.Second)
	r.within(-us, us)
	master.lose()
	for range 20 {
		r.run(10 * time.Second)
		r.within(-20*us, 20*us)
	}
	if r.leader == nil || r.leader.Kind != source.NTP {
		t.Errorf("leader %v", r.leader)
	}
	master.back()
	r.run(60 * time.Second)
	r.within(-us, us)
	if got := master.verdict.State; got != source.Selected {
		t.Errorf("the master is %v", got)
	}
}

// TestBias is known after a few residuals, is their weighed mean, and is nothing as far as it may be chance.
func TestBias(t *testing.T) {
	var b bias
	for i := range biasNeeded {
		if b.known() || b.value() != 0 {
			t.Errorf("known after %d residuals: %g", i, b.value())
		}
		b.learn(1000, 100)
	}
	if !b.known() || b.ns != 1000 || b.value() < 900 || b.value() > 1000 {
		t.Errorf("known %v: %g, of which %g beyond chance", b.known(), b.ns, b.value())
	}
	b.learn(-5e6, 1e12) // a poor one counts for nothing
	if math.Abs(b.ns-1000) > 10 {
		t.Errorf("%g after a poor residual", b.ns)
	}
	var chance bias
	for i := range 100 {
		chance.learn(float64(100-200*(i%2)), 1e4)
	}
	if chance.value() != 0 {
		t.Errorf("%g out of chance", chance.value())
	}
}

// TestRoles says how much depends on each source as the leader changes.
func TestRoles(t *testing.T) {
	master, server := newToy("master", source.PTP, false, 0, 10, us), newToy("server", source.NTP, true, 0, 1e3, ms)
	r := newRig(t, []source.Kind{source.PTP, source.NTP}, master, server)
	check := func(when string, ofMaster, ofServer source.Role) {
		t.Helper()
		if master.role() != ofMaster || server.role() != ofServer {
			t.Errorf("%s: roles %d and %d, want %d and %d", when, master.role(), server.role(), ofMaster, ofServer)
		}
	}
	check("before anything", source.Idle, source.Idle)
	r.run(30 * time.Second)
	check("the master leads", source.Lead, source.StandBy)
	master.lose()
	r.run(5 * time.Second)
	check("the master is lost", source.Lead, source.StandIn)
	server.lose()
	r.run(5 * time.Second)
	check("all are lost", source.Idle, source.Idle)
	master.back()
	r.run(5 * time.Second)
	check("the master is back", source.Lead, source.StandBy)

	alone := newToy("server", source.NTP, true, 0, 1e3, ms)
	r = newRig(t, []source.Kind{source.NTP}, alone)
	r.run(30 * time.Second)
	if n := alone.needs[len(alone.needs)-1]; n.Role != source.Lead || !n.Compared || n.Jitter <= 0 {
		t.Errorf("alone: %+v", n)
	}
}
