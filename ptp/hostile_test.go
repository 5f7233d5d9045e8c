// SPDX-License-Identifier: Apache-2.0

package ptp_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

type message interface {
	Append(dst []byte) ([]byte, error)
}

func encode(t testing.TB, m message) []byte {
	t.Helper()
	b, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func portNumber(last byte) wire.PortIdentity {
	return wire.PortIdentity{Clock: wire.ClockIdentityFromMAC([6]byte{2, 0, 0, 0, 0, last}), Port: 1}
}

func announce(last byte, seq uint16) wire.Announce {
	id := portNumber(last)
	return wire.Announce{
		Header:    wire.Header{Source: id, SequenceID: seq},
		Priority1: 128, Quality: wire.ClockQuality{Class: 6, Accuracy: 0x21, OffsetScaledLogVariance: 0x4e5d}, Priority2: 128,
		Grandmaster: id.Clock,
	}
}

func sync(last byte, seq uint16) wire.Sync {
	return wire.Sync{
		Header: wire.Header{Source: portNumber(last), SequenceID: seq},
		Origin: wire.Timestamp{Seconds: epoch / 1e9},
	}
}

// locked returns a network with one master, followed; its messages have sequenceIds below 100.
func locked(t *testing.T, seed uint64) (*net, *host) {
	n := newNet(t, seed, ptp.PortConfig{})
	h := n.addMaster(1, ptptest.Config{})
	n.run(10500 * time.Millisecond)
	n.state(ptp.Slave)
	return n, h
}

func TestEveryRejectionIsCounted(t *testing.T) {
	other := at4([4]byte{10, 0, 0, 66})
	stamp := clock.At(clientPHC, epoch)
	edit := func(m message, f func(b []byte)) func(*testing.T) []byte {
		return func(t *testing.T) []byte {
			b := encode(t, m)
			f(b)
			return b
		}
	}
	whole := func(m message) func(*testing.T) []byte { return edit(m, func([]byte) {}) }
	a, s := announce(1, 12), sync(1, 12)
	cases := []struct {
		want ptp.Reason
		b    func(*testing.T) []byte
		ts   clock.Timestamp
		from ptp.Address
	}{
		{want: ptp.ReasonTruncated, b: func(*testing.T) []byte { return make([]byte, 10) }},
		{want: ptp.ReasonLength, b: edit(&s, func(b []byte) { b[2] = 1 })},
		{want: ptp.ReasonVersion, b: edit(&s, func(b []byte) { b[1] = 1 })},
		{want: ptp.ReasonType, b: edit(&s, func(b []byte) { b[0] = 7 })},
		{want: ptp.ReasonTimestamp, b: edit(&s, func(b []byte) { b[40] = 0xff }), ts: stamp},
		{want: ptp.ReasonTLV, b: func(t *testing.T) []byte {
			b := append(encode(t, &a), 0, 3, 0, 9)
			b[3] += 4
			return b
		}},
		{want: ptp.ReasonRange, b: edit(&s, func(b []byte) { b[34] = 0xff }), ts: stamp},
		{want: ptp.ReasonDomain, b: edit(&a, func(b []byte) { b[4] = 9 })},
		{want: ptp.ReasonSdoID, b: edit(&a, func(b []byte) { b[0] |= 0x10 })},
		{want: ptp.ReasonOwn, b: edit(&a, func(b []byte) { copy(b[20:], clientPort.Clock[:]) })},
		{want: ptp.ReasonOwn, b: edit(&a, func(b []byte) { copy(b[53:], clientPort.Clock[:]) })},
		{want: ptp.ReasonNotUsed, b: whole(&wire.DelayReq{Header: s.Header})},
		{want: ptp.ReasonNotUsed, b: whole(&wire.Management{Header: s.Header})},
		{want: ptp.ReasonNotUsed, b: whole(&wire.DelayResp{Header: s.Header, Requesting: portNumber(77)})},
		{want: ptp.ReasonNotParent, b: edit(&s, func(b []byte) { b[29] = 7 }), ts: stamp},
		{want: ptp.ReasonAddress, b: whole(&s), ts: stamp, from: other},
		{want: ptp.ReasonAddress, b: whole(&a), from: other},
		{want: ptp.ReasonDuplicate, b: edit(&a, func(b []byte) { b[30], b[31] = 0, 11 })},
		{want: ptp.ReasonStale, b: edit(&a, func(b []byte) { b[30], b[31] = 0, 3 })},
		{want: ptp.ReasonDuplicate, b: whole(&wire.Sync{Header: wire.Header{Source: s.Source, SequenceID: 11,
			Flags: wire.FlagTwoStep}}), ts: stamp},
		{want: ptp.ReasonAhead, b: edit(&a, func(b []byte) { b[30] = 1 })},
		{want: ptp.ReasonAhead, b: edit(&s, func(b []byte) { b[30] = 1 }), ts: stamp},
		{want: ptp.ReasonStepsRemoved, b: edit(&a, func(b []byte) { b[62] = 255 })},
		{want: ptp.ReasonAlternateMaster, b: edit(&a, func(b []byte) { b[6] = 1 })},
		{want: ptp.ReasonUnstamped, b: whole(&s)},
		{want: ptp.ReasonOtherClock, b: whole(&s), ts: clock.At(clock.System, epoch)},
		{want: ptp.ReasonCorrection, b: edit(&s, func(b []byte) { b[8] = 0x7f }), ts: stamp},
		{want: ptp.ReasonUnmatched, b: whole(&wire.FollowUp{Header: sync(1, 4).Header})},
		{want: ptp.ReasonUnmatched, b: whole(&wire.DelayResp{Header: s.Header, Requesting: clientPort})},
	}
	for i, tc := range cases {
		n, h := locked(t, 20)
		before, measured := *n.port.Counters(), len(n.measurements)
		if tc.from.IsZero() {
			tc.from = h.addr
		}
		n.port.Receive(n.now, tc.b(t), tc.ts, tc.from)
		after := *n.port.Counters()
		before.Rejected[tc.want]++
		if after.Rejected != before.Rejected || len(n.measurements) != measured {
			t.Errorf("case %d: want %v, rejected %v", i, tc.want, after.Rejected)
		}
	}
}

// A 2008 device leaves what is minorSdoId now at anything.
func TestSdoIDOfOldDevices(t *testing.T) {
	n := newNetOf(t, 21, ptp.InstanceConfig{SdoID: 0x100}, ptp.PortConfig{})
	n.addMaster(1, ptptest.Config{SdoID: 0x142})
	n.run(10 * time.Second)
	n.state(ptp.Uncalibrated)
	if len(n.measurements) == 0 {
		t.Error("does not measure")
	}
	n = newNetOf(t, 21, ptp.InstanceConfig{SdoID: 0x100}, ptp.PortConfig{MinorVersion: 1})
	n.addMaster(1, ptptest.Config{SdoID: 0x142, MinorVersion: 1})
	n.run(10 * time.Second)
	n.state(ptp.Listening)
}

// 10,000 hostile datagrams per second of every kind do not change what a locked port measures.
func TestFloodWhileLocked(t *testing.T) {
	n, _ := locked(t, 22)
	attacker := at4([4]byte{10, 0, 0, 66})
	states := len(n.log)
	measured := len(n.measurements)
	var seq uint16
	var flood func()
	flood = func() {
		n.after(100*time.Microsecond, flood)
		seq++
		b := hostile(n.rng, seq)
		n.port.Receive(n.now, b, n.osc.stamp(n.now), attacker)
	}
	flood()
	n.run(20 * time.Second)
	if len(n.conflicts) != 1 {
		t.Errorf("conflicts: %q", n.conflicts)
	}
	if len(n.log) != states {
		t.Errorf("the state changed: %q", n.log[states:])
	}
	if got := len(n.measurements) - measured; got != 20 {
		t.Errorf("%d measurements", got)
	}
	for _, m := range n.measurements[measured:] {
		if m.Offset != 0 || m.MeanPathDelay != 1000<<16 {
			t.Fatalf("offset %v delay %v", m.Offset, m.MeanPathDelay.Duration())
		}
	}
	for _, r := range []ptp.Reason{ptp.ReasonTableFull, ptp.ReasonAddress, ptp.ReasonNotParent, ptp.ReasonTruncated} {
		if n.rejected(r) == 0 {
			t.Errorf("none rejected as %v", r)
		}
	}
}

// flood has 10,000 masters per second announce themselves once each, all better than any true one.
func (n *net) flood() {
	attacker := at4([4]byte{10, 0, 0, 66})
	var next func()
	next = func() {
		n.after(100*time.Microsecond, next)
		a := announce(0, uint16(n.rng.Uint32()))
		for i := range a.Source.Clock {
			a.Source.Clock[i] = byte(n.rng.Uint32())
		}
		a.Grandmaster, a.Priority1 = a.Source.Clock, 1
		b, _ := a.Append(nil)
		n.port.Receive(n.now, b, clock.Timestamp{}, attacker)
	}
	next()
}

// A master is found among 10,000 invented ones per second.
func TestStartDuringAnnounceFlood(t *testing.T) {
	for seed := range uint64(3) {
		n := newNet(t, 40+seed, ptp.PortConfig{})
		n.flood()
		n.run(5 * time.Second)
		h := n.addMaster(1, ptptest.Config{})
		n.run(30 * time.Second)
		if s := n.port.Status(n.now); s.State != ptp.Slave || s.Parent.Address != h.addr {
			t.Errorf("seed %d: %v, parent %v", seed, s.State, s.Parent.Port)
		}
	}
}

// One that was followed before is found at once, whatever else is heard and was heard meanwhile; and so is the one that
// stands by when it falls silent.
func TestFailoverDuringAnnounceFlood(t *testing.T) {
	n, h := locked(t, 45)
	n.cut = true
	n.run(10 * time.Second)
	n.state(ptp.Listening)
	n.flood()
	n.run(10 * time.Second)
	n.cut = false
	n.run(4 * time.Second)
	n.state(ptp.Slave)
	if s := n.port.Status(n.now); s.Parent.Address != h.addr {
		t.Errorf("parent %v", s.Parent.Port)
	}
	standby := n.addMaster(2, ptptest.Config{})
	standby.master.Properties.Priority1 = 200
	n.run(20 * time.Second)
	h.master.Faults.Silent = true
	n.run(8 * time.Second)
	if s := n.port.Status(n.now); s.State != ptp.Slave || s.Parent.Address != standby.addr {
		t.Errorf("%v, parent %v", s.State, s.Parent.Port)
	}
}

// Masters that announce themselves more than once are let in at a bounded rate, and none of them drives out the parent or
// one that has been parent.
func TestTwiceAnnouncedFlood(t *testing.T) {
	n, h := locked(t, 46)
	n.cut = true
	n.run(10 * time.Second)
	parents := len(n.log)
	for i := range 20_000 {
		a := announce(0, uint16(i%2))
		a.Source.Clock = wire.ClockIdentityFromMAC([6]byte{2, 0, 0, 1, byte(i / 2 >> 8), byte(i / 2)})
		a.Grandmaster, a.Priority1 = a.Source.Clock, byte(200-i/1000)
		n.port.Receive(n.now, encode(t, &a), clock.Timestamp{}, at4([4]byte{10, 0, 0, 66}))
		n.now = n.now.Add(100 * time.Microsecond)
	}
	if got := len(n.log) - parents; got > 100 {
		t.Errorf("%d changes in 2 s", got)
	}
	n.cut = false
	n.run(4 * time.Second)
	if s := n.port.Status(n.now); s.Parent.Address != h.addr {
		t.Errorf("parent %v", s.Parent.Port)
	}
}

// hostile makes random octets, spoofed messages of the parent, and worthless masters without end.
func hostile(rng *rand.Rand, seq uint16) []byte {
	var m message
	switch rng.IntN(6) {
	case 0:
		b := make([]byte, rng.IntN(200))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	case 1:
		s := sync(1, seq)
		m = &s
	case 2:
		m = &wire.DelayResp{Header: wire.Header{Source: portNumber(1), SequenceID: seq % 32}, Requesting: clientPort}
	case 3:
		a := announce(1, seq)
		a.Priority1 = 255
		m = &a
	case 4:
		s := sync(byte(seq), seq)
		m = &s
	default:
		a := announce(byte(seq)|0x80, seq)
		a.Source.Port, a.Priority1 = seq, 254
		m = &a
	}
	b, _ := m.Append(nil)
	return b
}

// A parent that sends too much is held to the rate that the standard allows.
func TestParentFlood(t *testing.T) {
	n, h := locked(t, 23)
	calls := len(n.measurements)
	s := sync(1, 12)
	b := encode(t, &s)
	for i := range 10_000 {
		b[30], b[31] = byte((12+i)>>8), byte(12+i)
		n.port.Receive(n.now.Add(time.Duration(i)*100*time.Microsecond), b, n.osc.stamp(n.now).Add(time.Duration(i)), h.addr)
	}
	if got := len(n.measurements) - calls; got > 1400 || got < 1000 {
		t.Errorf("%d measurements in a second", got)
	}
}

func TestForeignMasterTable(t *testing.T) {
	n, h := locked(t, 24)
	at := n.now
	// More masters than there are places, each qualified and worse than the parent; then one more.
	for round := range uint16(2) {
		for i := range byte(15) {
			a := announce(100+i, round)
			a.Priority1 = 200
			n.port.Receive(at, encode(t, &a), clock.Timestamp{}, at4([4]byte{10, 0, 1, i}))
		}
	}
	a := announce(50, 1)
	a.Priority1 = 1
	n.port.Receive(at, encode(t, &a), clock.Timestamp{}, ptp.Address{})
	s := n.port.Status(at)
	if s.Masters != 16 || s.Parent.Address != h.addr || n.rejected(ptp.ReasonTableFull) != 1 {
		t.Errorf("%d masters, %d refused", s.Masters, n.rejected(ptp.ReasonTableFull))
	}
	// Once they are silent there is room again.
	n.run(5 * time.Second)
	for seq := range uint16(2) {
		a.SequenceID = seq
		n.port.Receive(n.now, encode(t, &a), clock.Timestamp{}, ptp.Address{})
	}
	if s := n.port.Status(n.now); s.Parent.Port != a.Source {
		t.Errorf("does not follow %v but %v", a.Source, s.Parent.Port)
	}
}

// FuzzReceive has a followed port take any sequence of datagrams: octets of length, time, source and content.
func FuzzReceive(f *testing.F) {
	a, s := announce(1, 200), sync(1, 200)
	fu := wire.FollowUp{Header: sync(1, 201).Header}
	resp := wire.DelayResp{Header: s.Header, Requesting: clientPort}
	for _, m := range []message{&a, &s, &fu, &resp, &wire.Signaling{Header: s.Header}, &wire.Management{Header: s.Header}} {
		b := encode(f, m)
		f.Add(append([]byte{byte(len(b)), 5, 1}, b...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p := newPort(&failing{})
		addr := at4([4]byte{10, 0, 0, 1})
		now := clock.Mono(0)
		data = data[:min(len(data), 4096)]
		for seq := range uint16(3) {
			a := announce(1, seq)
			p.Receive(now, encode(t, &a), clock.Timestamp{}, addr)
		}
		for len(data) > 3 {
			now = now.Add(time.Duration(data[1]) * 10 * time.Millisecond)
			ts := clock.Timestamp{}
			if data[2]&1 != 0 {
				ts = clock.At(clientPHC, epoch+int64(now))
			}
			if data[2]&2 != 0 {
				p.Stepped(now, time.Duration(data[2])<<53)
				p.Steered(ts, float64(data[1])*1e4)
			}
			end := min(3+int(data[0]), len(data))
			p.Receive(now, data[3:end], ts, addr)
			p.Transmitted(now, uint32(data[1]), ts)
			if p.NextWake() <= now {
				p.Wake(now)
			}
			if st := p.Status(now); st.Masters > 16 || st.State < ptp.Listening || st.State > ptp.Slave {
				t.Fatalf("%+v", st)
			}
			data = data[end:]
		}
	})
}
