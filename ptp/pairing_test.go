// SPDX-License-Identifier: Apache-2.0

package ptp_test

import (
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

// pair feeds a followed port with Sync and Follow_Up messages of its parent in any order.
type pair struct {
	n      *net
	h      *host
	t      *testing.T
	before ptp.Counters
}

// rejected returns how many were rejected since the pair was made.
func (p pair) rejected(r ptp.Reason) uint64 { return p.n.rejected(r) - p.before.Rejected[r] }

func newPair(t *testing.T, seed uint64) pair {
	n, h := locked(t, seed)
	n.measurements = nil
	return pair{n, h, t, *n.port.Counters()}
}

func (p pair) sync(seq uint16, t2 int64) {
	s := sync(1, seq)
	s.Flags, s.Correction = wire.FlagTwoStep, 5<<16
	p.n.port.Receive(p.n.now, encode(p.t, &s), clock.At(clientPHC, t2), p.h.addr)
}

func (p pair) followUp(seq uint16, t1 int64) {
	origin, err := wire.TimestampOf(t1)
	if err != nil {
		p.t.Fatal(err)
	}
	f := wire.FollowUp{Header: sync(1, seq).Header, PreciseOrigin: origin}
	f.Correction = 7 << 16
	p.n.port.Receive(p.n.now, encode(p.t, &f), clock.Timestamp{}, p.h.addr)
}

func (p pair) forwards(want ...time.Duration) {
	p.t.Helper()
	if len(p.n.measurements) != len(want) {
		p.t.Fatalf("%d measurements, want %d", len(p.n.measurements), len(want))
	}
	for i, m := range p.n.measurements {
		if m.Forward.Duration() != want[i] {
			p.t.Errorf("measurement %d: %v, want %v", i, m.Forward.Duration(), want[i])
		}
	}
}

const base = epoch + 100_000_000_000

func TestPairing(t *testing.T) {
	p := newPair(t, 30)
	p.followUp(12, base) // first the Follow_Up
	p.followUp(12, base) // and once more
	p.sync(12, base+2012)
	p.followUp(12, base) // and late again
	p.sync(13, base+1000)
	p.sync(14, base+5012) // both are on their way
	p.followUp(14, base+2000)
	p.followUp(13, base) // too late to be used after 14
	p.forwards(2000, 3000)
	if p.rejected(ptp.ReasonDuplicate) != 1 || p.rejected(ptp.ReasonUnmatched) != 1 || p.rejected(ptp.ReasonStale) != 1 {
		t.Errorf("rejected %v", p.n.port.Counters().Rejected)
	}
}

func TestFollowUpTimeout(t *testing.T) {
	p := newPair(t, 31)
	p.sync(12, base)
	p.followUp(13, base)
	p.n.now = p.n.now.Add(5 * time.Second)
	p.n.port.Wake(p.n.now)
	p.followUp(12, base)
	p.sync(13, base+10)
	p.forwards()
	// One Sync and one Follow_Up expired, the Follow_Up of the former then found nothing.
	if p.rejected(ptp.ReasonNoFollowUp) != 1 || p.rejected(ptp.ReasonUnmatched) != 2 {
		t.Errorf("rejected %v", p.n.port.Counters().Rejected)
	}
}

// A Sync that waits for its Follow_Up while the clock is stepped is of the clock's new time then.
func TestStepWhileWaiting(t *testing.T) {
	p := newPair(t, 32)
	p.sync(12, base+1_000_012)
	p.n.port.Stepped(p.n.now, -1_000_000)
	p.followUp(12, base)
	p.sync(13, base+77) // so soon after the step nobody knows
	p.followUp(13, base)
	p.forwards(0)
	if got := p.rejected(ptp.ReasonSettling); got != 1 {
		t.Errorf("%d settling", got)
	}
}

// Somebody else sets the clock back: the port goes on with the next Sync.
func TestClockSetBack(t *testing.T) {
	p := newPair(t, 33)
	for i := range int64(3) {
		t1 := base + i*1_000_000_000
		p.sync(uint16(12+i), t1-3600_000_000_000*(i/2)+12)
		p.followUp(uint16(12+i), t1)
	}
	p.forwards(0, 0, -time.Hour)
}

// manual is a followed port whose exchanges are made by hand.
type manual struct {
	pair
	seq *uint16
}

func newManual(t *testing.T, seed uint64) manual {
	n, h := locked(t, seed)
	h.master.Faults.Silent, n.stampLoss = true, 1
	seq := uint16(11) // the latest of the master
	m := manual{pair{n: n, h: h, t: t}, &seq}
	m.oneStep() // ends what is under way
	m.before = *n.port.Counters()
	return m
}

// request waits for the next Delay_Req and returns its id.
func (m manual) request() uint32 {
	for sent := m.n.nextID; m.n.nextID == sent; {
		m.n.now = m.n.port.NextWake()
		m.n.port.Wake(m.n.now)
	}
	return m.n.nextID
}

// respond answers the Delay_Req that has the id.
func (m manual) respond(id uint32) { m.respondTo(m.n.sequenceIDs[id]) }

func (m manual) respondTo(seq uint16) {
	t4, _ := wire.TimestampOf(epoch + int64(m.n.now) + 1000)
	r := wire.DelayResp{Header: sync(1, seq).Header, Receive: t4, Requesting: clientPort}
	m.n.port.Receive(m.n.now, encode(m.t, &r), clock.Timestamp{}, m.h.addr)
}

func (m manual) stamped(id uint32) { m.n.port.Transmitted(m.n.now, id, m.n.osc.stamp(m.n.now)) }

// oneStep delivers a Sync 100 ms from now.
func (m manual) oneStep() {
	*m.seq++
	m.n.now = m.n.now.Add(100 * time.Millisecond)
	s := sync(1, *m.seq)
	s.Origin, _ = wire.TimestampOf(epoch + int64(m.n.now) - 1000)
	m.n.port.Receive(m.n.now, encode(m.t, &s), m.n.osc.stamp(m.n.now), m.h.addr)
}

func (m manual) expect(delays uint64, rejected map[ptp.Reason]uint64) {
	m.t.Helper()
	if got := m.n.port.Counters().Delays - m.before.Delays; got != delays {
		m.t.Errorf("%d delays, want %d", got, delays)
	}
	for r := range ptp.Reasons {
		if got := m.rejected(r); got != rejected[r] {
			m.t.Errorf("%v: %d, want %d", r, got, rejected[r])
		}
	}
}

// Transmit timestamp and response come in either order; each of them may be missing, or come twice.
func TestDelayExchangeOrders(t *testing.T) {
	m := newManual(t, 34)
	id := m.request()
	m.stamped(id)
	m.stamped(id)
	m.respond(id)
	m.respond(id)
	id = m.request()
	m.respond(id)
	m.stamped(id)
	id = m.request()
	m.respond(id)
	m.n.port.Transmitted(m.n.now, id, clock.Timestamp{})
	id = m.request()
	m.n.port.Transmitted(m.n.now, id, clock.At(clock.System, epoch))
	m.respondTo(m.n.sequenceIDs[id] + 9999)
	m.oneStep()
	m.expect(2, map[ptp.Reason]uint64{
		ptp.ReasonDuplicate: 1, ptp.ReasonNoTransmitStamp: 1, ptp.ReasonOtherClock: 1, ptp.ReasonUnmatched: 1,
	})
}

func TestLostStampsAndResponses(t *testing.T) {
	m := newManual(t, 35)
	m.respond(m.request())
	m.stamped(m.request())
	m.n.now = m.n.now.Add(4 * time.Second)
	m.oneStep()
	m.expect(0, map[ptp.Reason]uint64{ptp.ReasonNoTransmitStamp: 1, ptp.ReasonNoResponse: 1})
}

// A Delay_Req that was stamped and answered before a step gives the path delay after it; one without its transmit
// timestamp is given up, since nobody knows by which time it will be stamped.
func TestStepDuringExchanges(t *testing.T) {
	m := newManual(t, 36)
	id := m.request()
	m.stamped(id)
	m.respond(id)
	late := m.request()
	m.n.osc.advance(m.n.now)
	m.n.osc.reading += 5e8
	m.n.port.Stepped(m.n.now, 500*time.Millisecond)
	m.stamped(late)
	m.respond(late)
	m.oneStep()
	m.expect(1, map[ptp.Reason]uint64{ptp.ReasonUnmatched: 1})
	last := m.n.measurements[len(m.n.measurements)-1]
	if last.PathDelay != 1000<<16 || last.Offset != 500*time.Millisecond {
		t.Errorf("delay %v, offset %v", last.PathDelay.Duration(), last.Offset)
	}
}
