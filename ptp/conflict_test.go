// SPDX-License-Identifier: Apache-2.0

package ptp_test

import (
	"slices"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

// every calls f once per interval, from 10 ms after now on.
func (n *net) every(interval time.Duration, f func()) {
	var next func()
	next = func() {
		n.after(interval, next)
		f()
	}
	n.after(10*time.Millisecond, next)
}

// requireUndisturbed runs for 30 s and checks that as many Syncs are measured as before, all of them right, and that the
// conflict is told once and shown.
func (n *net) requireUndisturbed(h *host, syncs int, conflict string) {
	n.t.Helper()
	changes, measured := len(n.log), len(n.measurements)
	n.run(30 * time.Second)
	if len(n.log) != changes {
		n.t.Errorf("changes: %q", n.log[changes:])
	}
	if got := len(n.measurements) - measured; got < syncs-1 {
		n.t.Errorf("%d measurements, want %d", got, syncs)
	}
	for _, m := range n.measurements[measured:] {
		if m.Offset.Abs() > time.Microsecond {
			n.t.Fatalf("offset %v", m.Offset)
		}
	}
	s := n.port.Status(n.now)
	if s.Parent.Address != h.addr || s.Conflict != conflict {
		n.t.Errorf("parent %v, conflict %q, want %v, %q", s.Parent.Address, s.Conflict, h.addr, conflict)
	}
	if !slices.Equal(n.conflicts, []string{conflict}) {
		n.t.Errorf("told %q, want %q once", n.conflicts, conflict)
	}
}

const twoCourses = "its messages have two courses of sequenceIds"

// A forged Sync or Announce per second that is far ahead, with the parent's identity and address, makes none of the true
// ones stale: neither at once, nor after it has come many times.
func TestForgedSequence(t *testing.T) {
	for _, ahead := range []uint16{20, 1000, 20_000, 32_700} {
		for _, log := range []int8{0, -3} {
			n := newNet(t, 60, ptp.PortConfig{})
			h := n.addMaster(1, ptptest.Config{LogSyncInterval: log})
			n.run(10500 * time.Millisecond)
			n.state(ptp.Slave)
			n.every(time.Second, func() {
				seq := uint16(n.now/clock.Mono(time.Second>>-log)) + 1 + ahead
				s := sync(1, seq)
				s.Flags |= wire.FlagTwoStep
				n.port.Receive(n.now, encode(t, &s), n.osc.stamp(n.now), h.addr)
				f := wire.FollowUp{Header: s.Header, PreciseOrigin: wire.Timestamp{Seconds: 1}}
				n.port.Receive(n.now, encode(t, &f), clock.Timestamp{}, h.addr)
				a := announce(1, seq)
				n.port.Receive(n.now, encode(t, &a), clock.Timestamp{}, h.addr)
			})
			n.requireUndisturbed(h, 30<<-log, twoCourses)
			if c := n.port.Counters(); c.Conflicts[ptp.ConflictSequence] < 29 || c.Rejected[ptp.ReasonAhead] < 29 {
				t.Errorf("ahead %d: %d conflicts, %d ahead", ahead, c.Conflicts[ptp.ConflictSequence], c.Rejected[ptp.ReasonAhead])
			}
		}
	}
}

// Syncs that nobody follows up keep a port from those of its master for a while at most, even if they came first.
func TestForgedSyncFirst(t *testing.T) {
	for seed := range uint64(10) {
		n := newNet(t, 61+seed, ptp.PortConfig{})
		h := n.addMaster(1, ptptest.Config{LogSyncInterval: -3, LogAnnounceInterval: -2})
		seq := uint16(30_000)
		forge := func() {
			seq++
			s := sync(1, seq)
			s.Flags |= wire.FlagTwoStep
			n.port.Receive(n.now, encode(t, &s), n.osc.stamp(n.now), h.addr)
		}
		n.onParent = func() {
			n.onParent = nil
			n.after(0, forge)
			n.every(time.Second, forge)
		}
		n.run(120 * time.Second)
		n.state(ptp.Slave)
		if len(n.measurements) < 8*60 {
			t.Errorf("seed %d: %d measurements", seed, len(n.measurements))
		}
	}
}

// Announce messages that are far ahead are told of as well.
func TestForgedAnnounce(t *testing.T) {
	n, h := locked(t, 75)
	n.every(time.Second, func() {
		a := announce(1, uint16(n.now/1e9)+5000)
		n.port.Receive(n.now, encode(t, &a), clock.Timestamp{}, h.addr)
	})
	n.requireUndisturbed(h, 30, twoCourses)
}

// A parent whose Syncs were of no use for a while, and are again, is not given up for somebody with its identity.
func TestParentOfUseAgain(t *testing.T) {
	n, h := locked(t, 76)
	h.master.Faults.Lose = func(m wire.MessageType) bool { return m == wire.MessageSync }
	n.run(15 * time.Second)
	n.state(ptp.Uncalibrated)
	h.master.Faults.Lose = nil
	n.run(5 * time.Second)
	n.state(ptp.Slave)
	other, seq := at4([4]byte{10, 0, 0, 66}), uint16(0)
	n.every(250*time.Millisecond, func() {
		seq++
		a := announce(1, seq)
		a.LogInterval = -2
		n.port.Receive(n.now, encode(t, &a), clock.Timestamp{}, other)
	})
	n.requireUndisturbed(h, 30, "messages with its identity come from "+other.String()+" as well")
}

// Who has the parent's identity and another address is neither heard nor followed, however good a clock it claims to be.
func TestParentFromElsewhere(t *testing.T) {
	for i, from := range []ptp.Address{at4([4]byte{10, 0, 0, 66}), {MAC: [6]byte{2, 0, 0, 0, 0, 66}},
		at4([4]byte{10, 0, 0, 66})} {
		n, h := locked(t, 62)
		seq := uint16(11)
		n.every(time.Second, func() {
			seq++
			a := announce(1, seq)
			a.Priority1, a.Quality.Class = 0, 1
			if i == 2 { // another port of the same clock, with another grandmaster
				a.Source.Port, a.Grandmaster = 2, wire.ClockIdentity{1}
			}
			n.port.Receive(n.now, encode(t, &a), clock.Timestamp{}, from)
			s := sync(1, seq)
			n.port.Receive(n.now, encode(t, &s), n.osc.stamp(n.now), from)
			r := wire.DelayResp{Header: s.Header, Requesting: clientPort}
			n.port.ReceiveUnicast(n.now, encode(t, &r), from)
		})
		n.requireUndisturbed(h, 30, "messages with its identity come from "+from.String()+" as well")
		if s := n.port.Status(n.now); s.Masters != 1 {
			t.Errorf("%d masters", s.Masters)
		}
	}
}

// Two Follow_Up messages, or two Syncs, that say different things of the same Sync are told of.
func TestContradictingMessages(t *testing.T) {
	p := newPair(t, 63)
	p.sync(12, base+12)
	p.followUp(12, base)
	p.followUp(12, base) // the network has doubled it
	p.sync(12, base+500)
	if len(p.n.conflicts) != 0 {
		t.Fatalf("conflicts: %q", p.n.conflicts)
	}
	p.followUp(12, base-1_000_000)
	if want := []string{"two of its messages with one sequenceId differ"}; !slices.Equal(p.n.conflicts, want) {
		t.Errorf("conflicts: %q, want %q", p.n.conflicts, want)
	}
	for i, f := range []func(pair){
		func(p pair) { p.followUp(12, base); p.followUp(12, base+1); p.sync(12, base) },
		func(p pair) {
			s := sync(1, 12)
			p.n.port.Receive(p.n.now, encode(p.t, &s), clock.At(clientPHC, base), p.h.addr)
			s.Origin.Seconds++
			p.n.port.Receive(p.n.now, encode(p.t, &s), clock.At(clientPHC, base), p.h.addr)
		},
	} {
		p := newPair(t, 64)
		if f(p); len(p.n.conflicts) != 1 || p.n.port.Counters().Conflicts[ptp.ConflictContent] == 0 {
			t.Errorf("case %d: conflicts %q", i, p.n.conflicts)
		}
	}
}

// A conflict that has ended is not shown any more, and one that begins again after a while is told again.
func TestConflictEnds(t *testing.T) {
	n, h := locked(t, 65)
	other := at4([4]byte{10, 0, 0, 66})
	forge := func() {
		s := sync(1, 500)
		n.port.Receive(n.now, encode(t, &s), n.osc.stamp(n.now), other)
	}
	forge()
	n.run(59 * time.Second)
	if s := n.port.Status(n.now); s.Conflict == "" {
		t.Error("it is not shown")
	}
	n.run(2 * time.Second)
	if s := n.port.Status(n.now); s.Conflict != "" || s.Parent.Address != h.addr {
		t.Errorf("shown: %q", s.Conflict)
	}
	forge()
	if len(n.conflicts) != 1 {
		t.Errorf("told again within a minute: %q", n.conflicts)
	}
	n.run(10 * time.Minute)
	forge()
	if len(n.conflicts) != 2 {
		t.Errorf("told %q", n.conflicts)
	}
}

// A standby whose identity somebody announces from elsewhere is found all the same when the parent falls silent.
func TestStandbyIdentityOccupied(t *testing.T) {
	n, h := locked(t, 66)
	other := at4([4]byte{10, 0, 0, 66})
	seq := uint16(0)
	n.every(500*time.Millisecond, func() {
		seq++
		a := announce(2, seq)
		a.Priority1 = 255
		n.port.Receive(n.now, encode(t, &a), clock.Timestamp{}, other)
	})
	n.run(5 * time.Second)
	standby := n.addMaster(2, ptptest.Config{})
	standby.master.Properties.Priority1 = 200
	n.run(10 * time.Second)
	h.master.Faults.Silent = true
	n.run(40 * time.Second)
	if s := n.port.Status(n.now); s.State != ptp.Slave || s.Parent.Address != standby.addr {
		t.Errorf("%v, parent %v at %v", s.State, s.Parent.Port, s.Parent.Address)
	}
}

// A sequence that begins anew is taken up within seconds, ahead or behind.
func TestMasterBeginsAnew(t *testing.T) {
	for _, fresh := range []uint16{0, 40_000} {
		n, h := locked(t, 67)
		h.master.Faults.Silent = true
		n.run(1500 * time.Millisecond)
		h.master.Faults.Silent = false
		seq := fresh
		h.master.Faults.Lose = func(m wire.MessageType) bool { return m != wire.MessageDelayResp }
		n.every(time.Second, func() {
			seq++
			a := announce(1, seq)
			n.port.Receive(n.now, encode(t, &a), clock.Timestamp{}, h.addr)
			s := sync(1, seq)
			s.Origin, _ = wire.TimestampOf(epoch + int64(n.now) - 1000)
			n.port.Receive(n.now, encode(t, &s), n.osc.stamp(n.now), h.addr)
		})
		measured := len(n.measurements)
		n.run(10 * time.Second)
		n.state(ptp.Slave)
		if got := len(n.measurements) - measured; got < 5 || len(n.conflicts) != 0 {
			t.Errorf("from %d: %d measurements, conflicts %q", fresh, got, n.conflicts)
		}
	}
}

// Lost messages are no conflict, nor do they hold up those that come.
func TestLossIsNoConflict(t *testing.T) {
	for _, log := range []int8{0, -3, -7} {
		n := newNet(t, 68, ptp.PortConfig{})
		n.addMaster(1, ptptest.Config{LogSyncInterval: log})
		n.loss, n.dup = 0.4, 0.1
		n.general = func() time.Duration { return time.Duration(n.rng.Int64N(int64(20 * time.Millisecond))) }
		n.run(300 * time.Second)
		want := 280 << -log * 36 / 100
		if got := len(n.measurements); got < want*8/10 || len(n.conflicts) != 0 || n.rejected(ptp.ReasonAhead) > uint64(got/50) {
			t.Errorf("log %d: %d measurements, want %d, %d ahead, conflicts %q", log, got, want, n.rejected(ptp.ReasonAhead),
				n.conflicts)
		}
	}
}

// forgery is what somebody sends in the parent's name who sees its messages, once per second.
type forgery struct {
	name     string
	ahead    uint16        // of the latest Sync
	after    time.Duration // it
	followUp bool
	oneStep  bool
}

// Syncs that are forged to be the next ones, with a Follow_Up or without, take the place of true ones at most for a moment:
// the port goes on to measure, and what it measures is right.
func TestForgedNextSync(t *testing.T) {
	for _, f := range []forgery{
		{"next at once", 1, 20 * time.Millisecond, false, false},
		{"next", 1, 500 * time.Millisecond, false, false},
		{"next just before", 1, 980 * time.Millisecond, false, false},
		{"next but one", 2, 900 * time.Millisecond, false, false},
		{"next with its origin", 1, 500 * time.Millisecond, true, false},
		{"next but one with its origin", 2, 900 * time.Millisecond, true, false},
		{"third with its origin", 3, 900 * time.Millisecond, true, false},
		{"next in one step", 1, 500 * time.Millisecond, false, true},
		{"the same again", 0, 300 * time.Millisecond, true, false},
		{"the same again in one step", 0, 300 * time.Millisecond, false, true},
		{"the one before", 65535, 300 * time.Millisecond, true, false},
	} {
		for _, log := range []int8{0, -2} {
			n := newNet(t, 80, ptp.PortConfig{})
			h := n.addMaster(1, ptptest.Config{LogSyncInterval: log})
			n.run(30500 * time.Millisecond)
			n.state(ptp.Slave)
			n.after(500*time.Millisecond+f.after, func() {
				n.every(time.Second, func() { n.forge(h, f, log) })
				n.forge(h, f, log)
			})
			n.run(5 * time.Second)
			changes, measured := len(n.log), len(n.measurements)
			n.run(60 * time.Second)
			if len(n.log) != changes {
				t.Errorf("%s: changes %q", f.name, n.log[changes:])
			}
			if got, want := len(n.measurements)-measured, 60<<-log; got < want*9/20 {
				t.Errorf("%s, log %d: %d measurements, want half of %d", f.name, log, got, want)
			}
			wrong := 0
			for _, m := range n.measurements[measured:] {
				if m.Offset.Abs() > 2*time.Microsecond {
					wrong++
				}
			}
			if wrong > 0 {
				t.Errorf("%s, log %d: %d of %d measurements are wrong", f.name, log, wrong, len(n.measurements)-measured)
			}
			if len(n.conflicts) == 0 && f.ahead != 65535 {
				t.Errorf("%s, log %d: nobody was told", f.name, log)
			}
		}
	}
}

// forge sends a Sync with the parent's identity and address, and a time that is wrong by a second.
func (n *net) forge(h *host, f forgery, log int8) {
	s := sync(1, uint16(n.now/clock.Mono(time.Second>>-log))+1+f.ahead)
	s.LogInterval = log
	wrong, err := wire.TimestampOf(epoch + int64(n.now) - 1e9)
	if err != nil {
		n.t.Fatal(err)
	}
	if s.Origin = wrong; !f.oneStep {
		s.Origin, s.Flags = wire.Timestamp{}, wire.FlagTwoStep
	}
	n.port.Receive(n.now, encode(n.t, &s), n.osc.stamp(n.now), h.addr)
	if f.followUp {
		u := wire.FollowUp{Header: s.Header, PreciseOrigin: wrong}
		n.port.Receive(n.now, encode(n.t, &u), clock.Timestamp{}, h.addr)
	}
}

// A parent that changes its time while somebody forges messages in its name is measured again within seconds.
func TestParentStepsWhileContested(t *testing.T) {
	n := newNet(t, 81, ptp.PortConfig{})
	h := n.addMaster(1, ptptest.Config{})
	n.run(30500 * time.Millisecond)
	f := forgery{ahead: 1, after: 500 * time.Millisecond}
	n.every(time.Second, func() { n.forge(h, f, 0) })
	n.run(10 * time.Second)
	h.master.Faults.Shift = 5 * time.Second
	n.run(20 * time.Second)
	measured := len(n.measurements)
	n.run(30 * time.Second)
	if got := len(n.measurements) - measured; got < 15 {
		t.Errorf("%d measurements in 30 s", got)
	}
}

// Two answers to a Delay_Req that differ are not used, and told of.
func TestForgedDelayResp(t *testing.T) {
	n, h := locked(t, 82)
	n.onDelayReq = func(seq uint16) {
		r := wire.DelayResp{Header: sync(1, seq).Header, Requesting: clientPort}
		r.Receive, _ = wire.TimestampOf(epoch + int64(n.now) + 400e6)
		n.port.Receive(n.now, encode(t, &r), clock.Timestamp{}, h.addr)
	}
	n.run(60 * time.Second)
	if s := n.port.Status(n.now); s.MeanPathDelay != 1000 || s.Conflict == "" || s.State != ptp.Slave {
		t.Errorf("path delay %v, conflict %q, %v", s.MeanPathDelay, s.Conflict, s.State)
	}
}

// Several forged one-step Syncs and Announces for each true one, all numbered as the next ones: what is measured is right.
func TestForgedSyncsInSmallSteps(t *testing.T) {
	n, h := locked(t, 83)
	seq := uint16(11)
	f := forgery{oneStep: true}
	n.every(500*time.Millisecond, func() {
		for range 3 {
			seq++
			f.ahead = seq - uint16(n.now/clock.Mono(time.Second)) - 1
			n.forge(h, f, 0)
			a := announce(1, seq)
			n.port.Receive(n.now, encode(t, &a), clock.Timestamp{}, h.addr)
		}
	})
	n.run(5 * time.Second)
	changes, measured := len(n.log), len(n.measurements)
	n.run(5 * time.Minute)
	if len(n.log) != changes || len(n.conflicts) == 0 {
		t.Errorf("changes %q, conflicts %q", n.log[changes:], n.conflicts)
	}
	for _, m := range n.measurements[measured:] {
		if m.Offset.Abs() > 2*time.Microsecond {
			t.Fatalf("offset %v", m.Offset)
		}
	}
}

// A master that pauses comes back to its port, whatever announces its identity meanwhile from elsewhere: one station, or one
// with many addresses. Neither sends a Sync.
func TestImpostorDuringOutage(t *testing.T) {
	for _, addresses := range []byte{1, 200} {
		for seed := range uint64(20) {
			n := newNet(t, 90+seed, ptp.PortConfig{})
			h := n.addMaster(1, ptptest.Config{LogSyncInterval: -3})
			n.run(10500 * time.Millisecond)
			n.state(ptp.Slave)
			seq := uint16(0)
			n.every(250*time.Millisecond, func() {
				seq++
				a := announce(1, seq/uint16(addresses))
				a.LogInterval = -2
				n.port.Receive(n.now, encode(t, &a), clock.Timestamp{}, at4([4]byte{10, 0, 66, byte(seq % uint16(addresses))}))
			})
			n.run(10 * time.Second)
			h.master.Faults.Silent = true
			n.run(5 * time.Second)
			h.master.Faults.Silent = false
			n.run(60 * time.Second)
			if s := n.port.Status(n.now); s.State != ptp.Slave || s.Parent.Address != h.addr {
				t.Errorf("%d addresses, seed %d: %v, parent at %v", addresses, seed, s.State, s.Parent.Address)
			}
		}
	}
}

// A host that was paused, or whose queue has overflowed, finds its master further on than the time explains, and keeps it.
func TestPausedHost(t *testing.T) {
	for _, jump := range []uint16{1, 2, 9, 599, 20_000} {
		for seed := range uint64(10) {
			n := newNet(t, 120+seed, ptp.PortConfig{})
			h := n.addMaster(1, ptptest.Config{LogSyncInterval: -3})
			n.run(10500 * time.Millisecond)
			n.state(ptp.Slave)
			h.shift = jump
			changes, measured := len(n.log), len(n.measurements)
			n.run(30 * time.Second)
			if got := len(n.measurements) - measured; len(n.log) != changes || got < 28*8 || len(n.conflicts) != 0 {
				t.Errorf("%d further on, seed %d: %d measurements, changes %q, conflicts %q", jump, seed, got, n.log[changes:],
					n.conflicts)
			}
		}
	}
}

// What comes from elsewhere by unicast tells nothing of the parent: anybody anywhere can send it.
func TestUnicastIsNoConflict(t *testing.T) {
	n, _ := locked(t, 84)
	r := wire.DelayResp{Header: sync(1, 1).Header, Requesting: clientPort}
	n.port.ReceiveUnicast(n.now, encode(t, &r), at4([4]byte{10, 0, 0, 66}))
	if len(n.conflicts) != 0 || n.rejected(ptp.ReasonAddress) != 1 {
		t.Errorf("conflicts %q, %d refused", n.conflicts, n.rejected(ptp.ReasonAddress))
	}
}

// Ports are numbered from 1 to 65534: others may not announce anything.
func TestPortNumbers(t *testing.T) {
	for _, number := range []uint16{0, 65535} {
		n, h := locked(t, 85)
		for seq := range uint16(4) {
			a := announce(1, seq)
			a.Source.Port, a.Priority1 = number, 0
			n.port.Receive(n.now, encode(t, &a), clock.Timestamp{}, h.addr)
			n.run(time.Second)
		}
		if s := n.port.Status(n.now); s.Parent.Port != portNumber(1) || s.Masters != 1 || n.rejected(ptp.ReasonIdentity) != 4 {
			t.Errorf("port %d: parent %v of %d masters, %d refused", number, s.Parent.Port, s.Masters, n.rejected(ptp.ReasonIdentity))
		}
	}
}

// A flood that announces the master's identity from 100 addresses, before the port has heard of it and while it pauses,
// keeps it from the master for as long as it takes to hear its Syncs.
func TestManyImpostors(t *testing.T) {
	for seed := range uint64(10) {
		n := newNet(t, 150+seed, ptp.PortConfig{})
		seq := uint16(0)
		n.every(2*time.Millisecond, func() {
			seq++
			a := announce(1, seq/100)
			a.LogInterval = -2
			n.port.Receive(n.now, encode(t, &a), clock.Timestamp{}, at4([4]byte{10, 0, 66, byte(seq % 100)}))
		})
		n.run(2 * time.Second)
		h := n.addMaster(1, ptptest.Config{LogSyncInterval: -3, LogAnnounceInterval: -1})
		for range 2 {
			n.run(30 * time.Second)
			if s := n.port.Status(n.now); s.State != ptp.Slave || s.Parent.Address != h.addr {
				t.Errorf("seed %d: at %v: %v, parent at %v", seed, time.Duration(n.now), s.State, s.Parent.Address)
			}
			h.master.Faults.Silent = true
			n.run(6 * time.Second)
			h.master.Faults.Silent = false
		}
	}
}

// One Delay_Resp that grants an interval of 17 minutes, the first or a later one, does not end the measuring of the delay.
func TestForgedDelayReqInterval(t *testing.T) {
	for _, after := range []time.Duration{0, 30 * time.Second} {
		n := newNet(t, 86, ptp.PortConfig{})
		h := n.addMaster(1, ptptest.Config{})
		n.run(after)
		n.onDelayReq = func(seq uint16) {
			n.onDelayReq = nil
			r := wire.DelayResp{Header: sync(1, seq).Header, Requesting: clientPort}
			r.LogInterval = 10
			r.Receive, _ = wire.TimestampOf(epoch + int64(n.now) - 100e6)
			n.port.Receive(n.now, encode(t, &r), clock.Timestamp{}, h.addr)
		}
		n.run(5 * time.Second)
		delays := n.port.Counters().Delays
		n.run(60 * time.Second)
		if got := n.port.Counters().Delays - delays; got < 40 {
			t.Errorf("forged after %v: %d delays in a minute", after, got)
		}
		n.state(ptp.Slave)
	}
}

// A master that grants a long interval gets it.
func TestLongDelayReqInterval(t *testing.T) {
	n := newNet(t, 87, ptp.PortConfig{})
	n.addMaster(1, ptptest.Config{LogMinDelayReqInterval: 4})
	n.run(5 * time.Minute)
	if s := n.port.Status(n.now); s.DelayReqInterval != 16*time.Second {
		t.Errorf("interval %v", s.DelayReqInterval)
	}
}

// The end of the Syncs is noticed although one of them, which was forged, stated an interval of 16 s.
func TestForgedSyncInterval(t *testing.T) {
	n, h := locked(t, 88)
	s := sync(1, 12)
	s.LogInterval = 4
	s.Origin, _ = wire.TimestampOf(epoch + int64(n.now) - 1000)
	n.port.Receive(n.now, encode(t, &s), n.osc.stamp(n.now), h.addr)
	h.master.Faults.Lose = func(m wire.MessageType) bool { return m == wire.MessageSync }
	n.run(25 * time.Second)
	n.state(ptp.Uncalibrated)
}
