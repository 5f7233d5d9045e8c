// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/engine"
	"github.com/lockstep-time/lockstep/host"
	"github.com/lockstep-time/lockstep/ntp"
	"github.com/lockstep-time/lockstep/ntp/ntptest"
	"github.com/lockstep-time/lockstep/status"
)

// slowBench is a bench whose sockets take their time to be made.
type slowBench struct {
	*bench
	servers []netip.AddrPort // that sockets were asked for
	open    bool
	events  []string
}

func (b *slowBench) Connect(_ int, server netip.AddrPort) error {
	b.servers, b.open = append(b.servers, server), false
	return ntp.ErrPending
}

func (b *slowBench) Rebind(int)           { b.open = false }
func (b *slowBench) Event(e status.Event) { b.events = append(b.events, e.Text()) }

func (b *slowBench) SendNTP(n int, data []byte) (uint32, clock.Timestamp, error) {
	if !b.open {
		return 0, clock.Timestamp{}, ntp.ErrPending
	}
	return b.bench.SendNTP(n, data)
}

func (b *slowBench) connected(err error) {
	b.open = err == nil
	b.host.Connected(b.now, 0, err)
}

// TestPendingSocket has a name of two addresses, of which nothing can be sent to the first: the other one is asked, as soon as its
// socket is there, and that it takes the place of the first is told then.
func TestPendingSocket(t *testing.T) {
	b := &slowBench{bench: &bench{server: ntptest.New(), now: 1, base: benchTrue}}
	cfg := hostConfig(t, "[[ntp.server]]\naddress = \"ntp.example\"\nmin_poll = \"1s\"\nmax_poll = \"1s\"\n")
	b.host = host.New(cfg, host.Env{Rand: rand.New(rand.NewPCG(1, 2)), Env: engine.Env{Start: b.now}}, b)
	b.host.AddClock(b.now, engine.ClockInfo{ID: clock.System, Scale: clock.UTC, Steer: true, MaxFrequency: 500000, Reading: b.read()})
	b.run(time.Second)
	b.host.Resolved(b.now, 0, []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")}, nil)
	b.connected(errors.New("network is unreachable"))
	if len(b.servers) != 2 || b.servers[0] == b.servers[1] {
		t.Fatalf("sockets for %v", b.servers)
	}
	b.run(time.Second)
	told := func() (n int) {
		for _, e := range b.events {
			if strings.Contains(e, b.servers[1].Addr().String()+" in place of "+b.servers[0].Addr().String()) {
				n++
			}
		}
		return n
	}
	if b.id != 0 || told() != 0 {
		t.Errorf("%d requests were sent without a socket; events %v", b.id, b.events)
	}
	b.connected(nil)
	if b.id != 1 || told() != 1 {
		t.Errorf("%d requests were sent, events %v", b.id, b.events)
	}
	b.host.Connected(b.now, 0, nil) // the next socket, for the same server
	b.run(10 * time.Second)
	if got := b.host.Snapshot(b.now, time.Unix(0, benchTrue), nil).Sources[0].Samples; got < 8 || told() != 1 {
		t.Errorf("%d samples, events %v", got, b.events)
	}
}
