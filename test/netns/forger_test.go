// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/ptp/wire"
	"github.com/lockstep-time/lockstep/status"
	"github.com/lockstep-time/lockstep/test/peers"
)

const (
	// attackTime is how long an attack lasts: longer than it takes to follow a master at the forger's intervals.
	attackTime = 6 * time.Second
	// year is by how much a forger's time is wrong.
	year = 365 * 24 * time.Hour
)

// forger makes the messages of a master that is better than any other, and wrong by a year.
type forger struct {
	identity wire.PortIdentity
	sequence uint16
	client   wire.PortIdentity // whose Delay_Req messages are answered without having been seen
	rng      *rand.Rand
}

func newForger(identity wire.PortIdentity, client wire.PortIdentity) *forger {
	return &forger{identity: identity, client: client, rng: rand.New(rand.NewPCG(1, 2))}
}

// stranger is the identity of a master that nobody knows.
func stranger() wire.PortIdentity {
	return wire.PortIdentity{Clock: wire.ClockIdentity{2, 0, 0, 0xff, 0xfe, 0, 0, 66}, Port: 1}
}

func (f *forger) header(log int8) wire.Header {
	return wire.Header{Source: f.identity, SequenceID: f.sequence, MinorVersion: 1, LogInterval: log}
}

func encoded(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func (f *forger) now() wire.Timestamp {
	ts, err := wire.TimestampOf(peers.Now() + int64(year))
	if err != nil {
		panic(err)
	}
	return ts
}

func (f *forger) announce() []byte {
	good := ptptest.Good()
	a := wire.Announce{Header: f.header(-2), Quality: good.Quality, Grandmaster: f.identity.Clock}
	a.SetTimeProperties(good.Time)
	return encoded(a.Append(nil))
}

// sync is a one-step Sync.
func (f *forger) sync() []byte {
	s := wire.Sync{Header: f.header(-4), Origin: f.now()}
	return encoded(s.Append(nil))
}

// guess answers any one Delay_Req.
func (f *forger) guess() []byte {
	r := wire.DelayResp{Header: f.header(-4), Receive: f.now(), Requesting: f.client}
	r.SequenceID = uint16(f.rng.Uint32())
	return encoded(r.Append(nil))
}

// attack sends Announce and Sync messages 16 times a second, and 200 guesses between two of them, until stop is called.
// event and general send to those ports, or on Ethernet as one.
func (f *forger) attack(t *testing.T, event, general func([]byte)) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(time.Second / 16)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			f.sequence++
			general(f.announce())
			event(f.sync())
			for range 200 {
				general(f.guess())
			}
		}
	})
	stop = sync.OnceFunc(func() { close(done); running.Wait() })
	t.Cleanup(stop)
	return stop
}

// datagrams returns a function that sends to an address and port from a namespace. What cannot be sent is not sent.
func datagrams(t *testing.T, n *namespace, from, to netip.AddrPort) func([]byte) {
	t.Helper()
	var conn net.PacketConn
	n.do(t, func() (err error) { conn, err = listenOn(from); return err })
	t.Cleanup(func() { conn.Close() })
	return func(b []byte) { _, _ = conn.WriteTo(b, net.UDPAddrFromAddrPort(to)) }
}

// listenOn makes a UDP socket that sends multicast by the interface of its address.
func listenOn(from netip.AddrPort) (net.PacketConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if !from.Addr().Is4() || from.Addr().IsUnspecified() {
			return nil
		}
		return errors.Join(c.Control(func(fd uintptr) {
			err = unix.SetsockoptInet4Addr(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_IF, from.Addr().As4())
		}), err)
	}}
	return lc.ListenPacket(context.Background(), "udp", from.String())
}

func anyPort(ip netip.Addr) netip.AddrPort { return netip.AddrPortFrom(ip, 0) }

// throughout looks at the daemon all the time while it is attacked, and returns what it was like in the end.
func throughout(t *testing.T, d *daemon, look func(*status.Snapshot)) (last *status.Snapshot) {
	t.Helper()
	for began := time.Now(); time.Since(began) < attackTime; <-time.After(50 * time.Millisecond) {
		last = d.await(t, "the daemon answers", func(s *status.Snapshot) bool { look(s); return true })
	}
	return last
}

// undisturbed checks for the time of an attack, and until there have been enough samples, that the daemon's clock stays as
// it is, and that it goes on following its source.
func undisturbed(t *testing.T, d *daemon, before *status.Snapshot) *status.Snapshot {
	t.Helper()
	look := func(s *status.Snapshot) {
		if s.State != status.Locked || s.Steps != before.Steps || s.Selected != before.Selected ||
			s.Offset.Abs() > 20*time.Millisecond {
			t.Fatalf("the attack has disturbed the daemon:\n%s", show(s))
		}
	}
	throughout(t, d, look)
	return d.await(t, "the source gives samples", func(s *status.Snapshot) bool {
		look(s)
		return s.Sources[0].Samples-before.Sources[0].Samples >= uint64(attackTime.Seconds()*16/2)
	})
}

// unheard checks for the time of an attack that a port without a master finds none, and no clock is touched.
func unheard(t *testing.T, d *daemon) {
	t.Helper()
	throughout(t, d, func(s *status.Snapshot) {
		untouched(t, s)
		for _, p := range s.Ports {
			if len(p.Received) > 0 {
				t.Fatalf("the attacker is heard:\n%s", show(s))
			}
		}
	})
}

// untouched checks that no port has a master, and that the clock is as it was at the start.
func untouched(t *testing.T, s *status.Snapshot) {
	t.Helper()
	for _, p := range s.Ports {
		if p.State != "listening" || p.Parent != "" {
			t.Fatalf("the attacker is followed:\n%s", show(s))
		}
	}
	if s.Steps != 0 || s.Clocks[0].Frequency != 0 {
		t.Fatalf("the attacker has touched the clock:\n%s", show(s))
	}
}

// obeyed waits until the daemon follows the forger: the very same messages, sent as masters do.
func obeyed(t *testing.T, d *daemon, f *forger) {
	t.Helper()
	d.await(t, "messages sent to the group are heard", func(s *status.Snapshot) bool {
		for _, p := range s.Ports {
			if p.Parent == f.identity.String() {
				return true
			}
		}
		return false
	})
}
