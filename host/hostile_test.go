// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/host"
	ntpwire "github.com/lockstep-time/lockstep/ntp/wire"
	"github.com/lockstep-time/lockstep/ptp"
	ptpwire "github.com/lockstep-time/lockstep/ptp/wire"
	"github.com/lockstep-time/lockstep/status"
)

// attacker makes datagrams that are of no good.
type attacker struct {
	rng     *rand.Rand
	parent  ptpwire.PortIdentity // of the master that is followed
	address netip.Addr           // of the attacker
	buf     []byte
}

// ptp returns a message: noise, a message of a master nobody knows, or one in the name of the parent.
func (a *attacker) ptp() []byte {
	from := a.parent
	if a.rng.IntN(2) == 0 {
		for i := range from.Clock {
			from.Clock[i] = byte(a.rng.Uint32())
		}
	}
	h := ptpwire.Header{Source: from, SequenceID: uint16(a.rng.Uint32()), LogInterval: int8(a.rng.Uint32())}
	at := ptpwire.Timestamp{Seconds: a.rng.Uint64() >> 16, Nanoseconds: a.rng.Uint32N(1e9)}
	b, err := a.buf[:0], error(nil)
	switch a.rng.IntN(6) {
	case 0:
		m := ptpwire.Announce{Header: h, Quality: ptpwire.ClockQuality{Class: 6, Accuracy: 0x20}, Grandmaster: from.Clock}
		b, err = m.Append(b)
	case 1:
		m := ptpwire.Sync{Header: h, Origin: at}
		b, err = m.Append(b)
	case 2:
		m := ptpwire.FollowUp{Header: h, PreciseOrigin: at}
		b, err = m.Append(b)
	case 3:
		m := ptpwire.DelayResp{Header: h, Receive: at, Requesting: ptpwire.PortIdentity{Port: 1}}
		b, err = m.Append(b)
	default:
		b = b[:a.rng.IntN(cap(b))]
		for i := range b {
			b[i] = byte(a.rng.Uint32())
		}
	}
	if err != nil {
		return nil
	}
	return a.spoil(b)
}

// ntp returns an answer to a request that nobody has sent, or noise.
func (a *attacker) ntp() []byte {
	h := ntpwire.Header{Version: 4, Mode: ntpwire.ModeServer, Stratum: uint8(a.rng.Uint32N(3)), Precision: -20,
		Receive: ntpwire.Timestamp(a.rng.Uint64()), Transmit: ntpwire.Timestamp(a.rng.Uint64()),
		Origin:      ntpwire.Timestamp(a.rng.Uint64()),
		ReferenceID: ntpwire.ReferenceID{'R', 'A', 'T', 'E'}}
	return a.spoil(h.Append(a.buf[:0]))
}

// spoil changes a few bytes, or cuts some off, or neither.
func (a *attacker) spoil(b []byte) []byte {
	switch a.rng.IntN(3) {
	case 0:
		for range 3 {
			if len(b) > 0 {
				b[a.rng.IntN(len(b))] = byte(a.rng.Uint32())
			}
		}
	case 1:
		b = b[:a.rng.IntN(len(b)+1)]
	}
	return b
}

// attack hands n datagrams to the host at once.
func (a *attacker) attack(e *host.Host, now clock.Mono, stamp clock.Timestamp, n int) {
	for range n {
		if a.rng.IntN(3) == 0 {
			e.NTPReceived(now, a.rng.IntN(e.Associations()), a.ntp(), clock.Timestamp{})
			continue
		}
		e.PTPReceived(now, 0, a.ptp(), stamp.Add(time.Duration(a.rng.Int64N(1e9))), ptp.Address{IP: a.address})
	}
}

// TestFlood sends 10,000 hostile datagrams per second to a host that is locked.
func TestFlood(t *testing.T) {
	s := newSite(t, onePort+threeServers, 150*second)
	defer s.story()
	a := &attacker{rng: rand.New(rand.NewPCG(5, 5)), parent: grandmaster(), address: netip.MustParseAddr("10.9.9.9"),
		buf: make([]byte, 0, 1500)}
	s.world.Run(100 * second)
	before := heap()
	const perMillisecond = 10
	burst := func() {
		s.host.Tell(func(e *host.Host, now clock.Mono) {
			a.attack(e, now, clock.At(phc0, s.world.TAI(int64(s.world.Now()))), perMillisecond)
		})
	}
	for ms := range 10_000 {
		s.world.Run(100*second + time.Duration(ms)*time.Millisecond)
		burst()
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	s.world.Run(150 * second)
	for i := 100; i <= 150; i++ {
		s.follows(i, status.Locked, "ptp:eth0")
	}
	for _, id := range s.host.Clocks() {
		s.within(id, 100, 150, 300*time.Nanosecond)
	}
	s.unstepped(100, 150)
	dropped := uint64(0)
	for _, n := range s.snapshot().Ports[0].Dropped {
		dropped += n
	}
	if dropped < 50_000 {
		t.Errorf("%d datagrams are counted as dropped, of about 67000", dropped)
	}
}

// allocationsForOffers returns how many allocations offers take at most: each takes one for itself and one for its lines,
// and they are made every 0.75 s at most.
func allocationsForOffers(d time.Duration) float64 { return 2 * math.Ceil(d.Seconds()/0.75) }

// heap returns the bytes in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestSteadyState allocates nothing while the host is locked, but for the offer made once a second, which is never changed,
// and the state that is saved once a minute.
func TestSteadyState(t *testing.T) {
	often := strings.ReplaceAll(threeServers, "address", "min_poll = \"1s\"\nmax_poll = \"1s\"\naddress")
	for _, c := range []struct{ name, text string }{{"PTP", onePort}, {"NTP", often}, {"PTP and NTP", onePort + often}} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, c.text, 2000*second)
			now := 1000 * second
			s.world.Run(now)
			least := math.Inf(1)
			for range 3 {
				least = min(least, testing.AllocsPerRun(1, func() {
					now += 20 * second
					s.world.Run(now)
				}))
			}
			if least > allocationsForOffers(20*second) {
				t.Errorf("%g allocations in 20 s", least)
			}
		})
	}
}
