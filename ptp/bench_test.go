// SPDX-License-Identifier: Apache-2.0

package ptp_test

import (
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

type counting struct {
	measured int
	sequence uint16 // of the latest Delay_Req
}

func (c *counting) SendEvent(b []byte) (uint32, error) {
	c.sequence = uint16(b[30])<<8 | uint16(b[31])
	return uint32(c.sequence), nil
}
func (c *counting) Measured(*ptp.Measurement)               { c.measured++ }
func (*counting) StateChanged(ptp.State, ptp.State, string) {}
func (*counting) ParentChanged(*ptp.Parent)                 {}
func (*counting) Conflict(string)                           {}

// exchanger runs one Announce, Sync, Follow_Up, Delay_Req and Delay_Resp per round.
type exchanger struct {
	port     *ptp.Port
	out      counting
	now      clock.Mono
	seq      uint16
	buf      []byte
	addr     ptp.Address
	announce wire.Announce
	sync     wire.Sync
	followUp wire.FollowUp
	resp     wire.DelayResp
}

func newExchanger() *exchanger {
	e := &exchanger{buf: make([]byte, 0, 128), addr: at4([4]byte{10, 0, 0, 1})}
	e.port = newPort(&e.out)
	e.announce, e.sync = announce(1, 0), sync(1, 0)
	e.sync.Flags |= wire.FlagTwoStep
	e.followUp.Header, e.resp.Header, e.resp.Requesting = e.sync.Header, e.sync.Header, clientPort
	return e
}

func (e *exchanger) receive(b []byte, err error, ts clock.Timestamp) {
	if err != nil {
		panic(err)
	}
	e.port.Receive(e.now, b, ts, e.addr)
}

func (e *exchanger) round() {
	e.seq++
	e.now = e.now.Add(time.Second)
	at := clock.At(clientPHC, epoch+int64(e.now))
	master, _ := wire.TimestampOf(epoch + int64(e.now) - 1000)
	e.announce.SequenceID, e.sync.SequenceID, e.followUp.SequenceID = e.seq, e.seq, e.seq
	b, err := e.announce.Append(e.buf)
	e.receive(b, err, clock.Timestamp{})
	b, err = e.sync.Append(e.buf)
	e.receive(b, err, at)
	e.followUp.PreciseOrigin = master
	b, err = e.followUp.Append(e.buf)
	e.receive(b, err, clock.Timestamp{})
	sent := e.port.Counters().Sent[wire.MessageDelayReq]
	if e.port.NextWake() <= e.now.Add(time.Second) {
		e.now = e.port.NextWake()
		e.port.Wake(e.now)
	}
	if e.port.Counters().Sent[wire.MessageDelayReq] == sent {
		return
	}
	e.port.Transmitted(e.now, uint32(e.out.sequence), clock.At(clientPHC, epoch+int64(e.now)))
	e.resp.SequenceID = e.out.sequence
	e.resp.Receive, _ = wire.TimestampOf(epoch + int64(e.now) + 1000)
	b, err = e.resp.Append(e.buf)
	e.receive(b, err, clock.Timestamp{})
}

func TestNoAllocations(t *testing.T) {
	e := newExchanger()
	for range 20 {
		e.round()
	}
	before := *e.port.Counters()
	if n := testing.AllocsPerRun(1000, e.round); n != 0 {
		t.Errorf("%v allocations per exchange", n)
	}
	after := e.port.Counters()
	if after.Measurements-before.Measurements < 1000 || after.Delays-before.Delays < 300 {
		t.Errorf("%d measurements, %d delays, rejected %v", after.Measurements, after.Delays, after.Rejected)
	}
}

func BenchmarkExchange(b *testing.B) {
	e := newExchanger()
	b.ReportAllocs()
	for b.Loop() {
		e.round()
	}
}

func BenchmarkRejected(b *testing.B) {
	e := newExchanger()
	for range 20 {
		e.round()
	}
	s := sync(9, 1)
	raw, err := s.Append(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		e.receive(raw, nil, clock.Timestamp{})
	}
}
