// SPDX-License-Identifier: Apache-2.0

package ntp_test

import (
	"math/rand/v2"
	"testing"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ntp"
	"github.com/lockstep-time/lockstep/ntp/ntptest"
)

// loop is a client wired to a server.
type loop struct {
	client  *ntp.Client
	server  *ntptest.Server
	now     clock.Mono
	epoch   int64
	answer  []byte
	id      uint32
	samples int
}

func newLoop() *loop {
	l := &loop{server: ntptest.New(), epoch: unix("2026-03-01T00:00:00Z")}
	l.client = ntp.NewClient(ntp.Config{MinPoll: 6, MaxPoll: 6, Clock: clock.System}, rand.New(rand.NewPCG(1, 2)), l)
	l.client.Reset(0)
	return l
}

func (l *loop) read() clock.Timestamp { return clock.At(clock.System, l.epoch+int64(l.now)) }

func (l *loop) Send(b []byte) (uint32, clock.Timestamp, error) {
	at := l.epoch + int64(l.now)
	l.answer = l.server.Respond(b, at+100_000, at+110_000)
	l.id++
	return l.id, l.read(), nil
}
func (l *loop) Measured(*ntp.Measurement) { l.samples++ }
func (l *loop) Rebind()                   {}
func (l *loop) FalseKiss(string)          {}
func (l *loop) Replace(string)            {}

func (l *loop) exchange() error {
	l.now = l.client.NextWake()
	sent := l.read()
	l.client.Wake(l.now)
	l.now += 210_000
	err := l.client.Receive(l.now, l.answer, l.read())
	l.client.Transmitted(l.now, l.id, sent)
	return err
}

func TestExchangeAllocatesNothing(t *testing.T) {
	l := newLoop()
	if n := testing.AllocsPerRun(200, func() {
		if err := l.exchange(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if l.samples != 201 {
		t.Errorf("%d samples", l.samples)
	}
}

func BenchmarkExchange(b *testing.B) {
	l := newLoop()
	b.ReportAllocs()
	for b.Loop() {
		if err := l.exchange(); err != nil {
			b.Fatal(err)
		}
	}
}
