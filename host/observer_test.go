// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/host"
	"github.com/lockstep-time/lockstep/ntp/ntptest"
	"github.com/lockstep-time/lockstep/source"
	"github.com/lockstep-time/lockstep/status"
)

// bench drives an engine that has the system clock and one NTP server, and counts what is observed.
type bench struct {
	host             *host.Host
	server           *ntptest.Server
	now              clock.Mono
	base             int64 // what the system clock read at 0
	request          []byte
	id               uint32
	sampled, steered int
}

const (
	benchTrue = int64(1_780_000_000e9) // the right time at 0, ns since 1970 UTC
	benchPath = 50 * time.Microsecond
)

func (b *bench) read() clock.Timestamp { return clock.At(clock.System, b.base+int64(b.now)) }

func (b *bench) SendEvent(int, []byte) (uint32, error) { return 0, nil }
func (b *bench) Connect(int, netip.AddrPort) error     { return nil }
func (b *bench) Rebind(int)                            {}
func (b *bench) Resolve(int, string)                   {}
func (b *bench) PortSocket(int) status.Socket          { return status.Socket{} }
func (b *bench) AssociationSocket(int) status.Socket   { return status.Socket{} }
func (b *bench) Overrun() uint64                       { return 0 }
func (b *bench) Compare(_, _ clock.ID)                 {}
func (b *bench) SetKernel(clock.Status)                {}
func (b *bench) Event(status.Event)                    {}

func (b *bench) SendNTP(_ int, data []byte) (uint32, clock.Timestamp, error) {
	b.request = append(b.request[:0], data...)
	b.id++
	return b.id, b.read(), nil
}

func (b *bench) SetFrequency(_ clock.ID, ppb float64) (float64, clock.Timestamp, error) {
	return ppb, b.read(), nil
}

func (b *bench) Step(_ clock.ID, d time.Duration) (clock.Timestamp, error) {
	at := b.read()
	b.base += int64(d)
	return at, nil
}

func (b *bench) Sampled(source.ID, time.Duration) { b.sampled++ }
func (b *bench) Steered(clock.ID, time.Duration)  { b.steered++ }

// run runs for d.
func (b *bench) run(d time.Duration) {
	for end := b.now.Add(d); b.host.NextWake() < end; {
		b.now = max(b.now, b.host.NextWake())
		b.host.Wake(b.now)
		if len(b.request) == 0 {
			continue
		}
		there := benchTrue + int64(b.now.Add(benchPath))
		answer := b.server.Respond(b.request, there, there)
		b.request = b.request[:0]
		b.host.NTPTransmitted(b.now, 0, b.id, b.read())
		b.now = b.now.Add(2 * benchPath)
		b.host.NTPReceived(b.now, 0, answer, b.read())
	}
}

// TestObserver is told of every sample and of the offset after each, without anything being allocated but the offers.
func TestObserver(t *testing.T) {
	b := &bench{server: ntptest.New(), now: 1, base: benchTrue + int64(3*time.Millisecond)}
	cfg := hostConfig(t, "[[ntp.server]]\naddress = \"192.0.2.1\"\nmin_poll = \"1s\"\nmax_poll = \"1s\"\n")
	b.host = host.New(cfg, host.Env{Rand: rand.New(rand.NewPCG(1, 2)), Env: engine.Env{Start: b.now}}, b)
	b.host.AddClock(b.now, engine.ClockInfo{ID: clock.System, Scale: clock.UTC, Steer: true, MaxFrequency: 500000,
		Reading: b.read()})
	b.run(time.Minute)
	if n := testing.AllocsPerRun(1, func() { b.run(100 * time.Second) }); n > allocationsForOffers(100*second) {
		t.Errorf("%g allocations in 100 s", n)
	}
	shot := b.host.Snapshot(b.now, time.Unix(0, benchTrue), nil)
	got := int(shot.Sources[0].Samples)
	if got < 200 || b.sampled != got || b.steered < got-3 || b.steered > got {
		t.Errorf("%d samples, %d observed, %d offsets", got, b.sampled, b.steered)
	}
}
