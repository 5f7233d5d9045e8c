// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/ntp/ntptest"
	ntpwire "github.com/lockstep-time/lockstep/ntp/wire"
	ptpwire "github.com/lockstep-time/lockstep/ptp/wire"
	"github.com/lockstep-time/lockstep/status"
)

const (
	floodRate = 10_000 // datagrams per second, to each port
	floodTime = 5 * time.Second
	// maxGrowth is what the daemon's resident memory may grow by, and maxMemory what it may grow to, in KiB.
	maxGrowth, maxMemory = 24 << 10, 128 << 10
)

// flood calls send at the rate until stop is closed, a batch every few milliseconds. If it was kept from running it makes
// up for some of that.
func flood(stop <-chan struct{}, rate int, send func()) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			for range min(int(now.Sub(last).Seconds()*float64(rate)), rate/20) {
				send()
			}
			last = now
		}
	}
}

// headerSize is the length of the header of PTP messages. What is behind it of an Announce is not forged: without
// authentication a master that is better than the genuine one has to be believed.
const headerSize = 34

// garbage makes datagrams that no well-behaved host sends: random, truncated, oversized, replayed and forged ones.
type garbage struct {
	rng    *rand.Rand
	replay [][]byte
	buffer [3000]byte
}

func (g *garbage) datagram() []byte {
	switch g.rng.IntN(5) {
	case 0: // random
		return g.random(g.rng.IntN(200))
	case 1: // truncated
		b := g.replay[g.rng.IntN(len(g.replay))]
		return b[:g.rng.IntN(len(b))]
	case 2: // oversized: more than the receiver reads, and more than the message says
		b := g.random(1400 + g.rng.IntN(1500))
		copy(b, g.replay[g.rng.IntN(len(g.replay))])
		return b
	case 3: // replayed
		return g.replay[g.rng.IntN(len(g.replay))]
	}
	// forged: a few bits of the header are others
	b := append(g.buffer[:0], g.replay[g.rng.IntN(len(g.replay))]...)
	for range 3 {
		b[g.rng.IntN(min(len(b), headerSize))] ^= byte(1 << g.rng.IntN(8))
	}
	return b
}

func (g *garbage) random(n int) []byte {
	b := g.buffer[:n]
	for i := range b {
		b[i] = byte(g.rng.Uint32())
	}
	return b
}

// forgedPTP returns messages in the grandmaster's name, and of masters that do not exist and are no better than it.
func forgedPTP(t *testing.T) (all [][]byte) {
	t.Helper()
	header := func(last byte, sequence uint16) ptpwire.Header {
		id := masterIdentity()
		id.Clock[7] = last
		return ptpwire.Header{Source: id, SequenceID: sequence, MinorVersion: 1, Flags: ptpwire.FlagTwoStep}
	}
	add := func(b []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	wrong := ptpwire.Timestamp{Seconds: 1_000_000}
	genuine := masterIdentity().Clock[7]
	for sequence := range uint16(64) {
		sequence *= 1021
		sync := ptpwire.Sync{Header: header(genuine, sequence), Origin: wrong}
		add(sync.Append(nil))
		followUp := ptpwire.FollowUp{Header: header(genuine, sequence), PreciseOrigin: wrong}
		add(followUp.Append(nil))
		delay := ptpwire.DelayResp{Header: header(genuine, sequence), Receive: wrong}
		add(delay.Append(nil))
		for _, last := range []byte{genuine, byte(sequence)} {
			a := ptpwire.Announce{Header: header(last, sequence), Priority1: 255, Priority2: 255,
				Quality: ptpwire.ClockQuality{Class: 255, Accuracy: 0xfe, OffsetScaledLogVariance: 0xffff}, StepsRemoved: 200}
			a.Grandmaster = a.Source.Clock
			add(a.Append(nil))
		}
	}
	return all
}

// watchedFlood waits until the daemon is locked and hears its source, floods it, and checks that it goes on as if nothing
// were.
func watchedFlood(t *testing.T, d *daemon, senders ...func()) {
	t.Helper()
	before := d.await(t, "locked", func(s *status.Snapshot) bool {
		heard := 0
		for _, src := range s.Sources {
			if src.Samples > 20 {
				heard++
			}
		}
		return settled(s) && heard == 1
	})
	memory := d.procStatus(t, "VmRSS")
	stop := make(chan struct{})
	var sent atomic.Uint64
	var running sync.WaitGroup
	end := sync.OnceFunc(func() { close(stop); running.Wait() })
	defer end()
	for _, send := range senders {
		running.Go(func() { flood(stop, floodRate, func() { send(); sent.Add(1) }) })
	}
	began := time.Now()
	largest := memory
	var frequencies []float64 // a moment's carries the slew that takes away what a stall of the machine has done
	for time.Since(began) < floodTime {
		d.await(t, "the daemon answers", func(s *status.Snapshot) bool {
			if s.State != status.Locked || s.Steps != before.Steps || s.Selected != before.Selected ||
				s.Offset.Abs() > 5*time.Millisecond {
				t.Fatalf("the flood has disturbed the daemon:\n%s", show(s))
			}
			frequencies = append(frequencies, s.Clocks[0].Frequency)
			return true
		})
		largest = max(largest, d.procStatus(t, "VmRSS"))
		<-time.After(50 * time.Millisecond)
	}
	took := time.Since(began)
	slices.Sort(frequencies)
	if median := frequencies[len(frequencies)/2]; !near(median, -frequencyError, momentWithin) {
		t.Errorf("the clock ran at %.0f ppb in the flood", median)
	}
	after := d.status()
	end()
	if after == nil {
		t.Fatal("the daemon does not answer")
	}
	t.Logf("%d datagrams in %v, %.0f/s; memory %d KiB, then %d at most", sent.Load(), took.Round(time.Millisecond),
		float64(sent.Load())/took.Seconds(), memory, largest)
	if largest > memory+maxGrowth && !raced() || largest > maxMemory {
		t.Errorf("memory has grown from %d to %d KiB", memory, largest)
	}
	for i, src := range after.Sources {
		taken := src.Samples - before.Sources[i].Samples
		t.Logf("%s: %d samples", src.ID, taken)
		if float64(taken) < 0.5*took.Seconds() {
			t.Errorf("%s is not heard any more: %d samples in %v:\n%s", src.ID, taken, took, show(after))
		}
	}
	d.await(t, "all is as before", settled)
}

// attacker is another address on the grandmaster's interface, and anotherPeer that with its network.
var (
	attacker    = netip.MustParseAddr("10.1.1.3")
	anotherPeer = netip.PrefixFrom(attacker, 24)
)

// sender returns a function that sends what next returns from one address to another. What cannot be sent is not sent.
func sender(t *testing.T, w *cable, from netip.Addr, to netip.AddrPort, next func() []byte) func() {
	t.Helper()
	var conn *net.UDPConn
	w.peers.do(t, func() (err error) {
		conn, err = net.DialUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), net.UDPAddrFromAddrPort(to))
		return err
	})
	t.Cleanup(func() { conn.Close() })
	return func() { _, _ = conn.Write(next()) }
}

func newGarbage(seed uint64, replay [][]byte) *garbage {
	return &garbage{rng: rand.New(rand.NewPCG(seed, 0)), replay: replay}
}

func TestPTPFloodFromElsewhere(t *testing.T) {
	w := newCable(t)
	newGrandmaster(t, w)
	w.peers.address(t, "eth1", anotherPeer)
	d := newDaemon(t, w.host, ptpPort)
	forged := forgedPTP(t)
	watchedFlood(t, d,
		sender(t, w, attacker, hwts.UDP4.Primary(hwts.EventPort).UDP, newGarbage(1, forged).datagram),
		sender(t, w, attacker, hwts.UDP4.Primary(hwts.GeneralPort).UDP, newGarbage(2, forged).datagram),
		sender(t, w, attacker, netip.AddrPortFrom(hostAddress, hwts.GeneralPort), newGarbage(3, forged).datagram))
}

// TestPTPReplay sends the grandmaster's own messages of the latest seconds again, by its own address.
func TestPTPReplay(t *testing.T) {
	w := newCable(t)
	g := newGrandmaster(t, w)
	d := newDaemon(t, w.host, ptpPort)
	d.awaitSettled(t)
	sent := sync.OnceValues(g.Sent)
	i, j := 0, 0
	watchedFlood(t, d,
		sender(t, w, peerAddress, hwts.UDP4.Primary(hwts.EventPort).UDP, func() []byte {
			events, _ := sent()
			i++
			return events[i%len(events)]
		}),
		sender(t, w, peerAddress, hwts.UDP4.Primary(hwts.GeneralPort).UDP, func() []byte {
			_, generals := sent()
			j++
			return generals[j%len(generals)]
		}))
}

// TestNTPFlood comes from the server's own address and port: all but the cookie is right in the forged answers.
func TestNTPFlood(t *testing.T) {
	w := newCable(t)
	s := newNTPServer(t, w)
	d := newDaemon(t, w.host, ntpAssociation)
	d.awaitSettled(t)
	answers := ntptest.New()
	var forged [][]byte
	for i := range int64(64) {
		answers.Offset = time.Duration(i) * time.Minute
		request := ntpwire.Header{Version: ntpwire.Version, Mode: ntpwire.ModeClient, Transmit: ntpwire.TimestampAt(i)}
		now := time.Now().UnixNano()
		forged = append(forged, slices.Clone(answers.Respond(request.Append(nil), now, now)))
	}
	g := newGarbage(3, forged)
	watchedFlood(t, d, func() { s.SendToClient(g.datagram()) })
}

// TestControlFlood connects and writes nonsense as fast as the daemon takes it.
func TestControlFlood(t *testing.T) {
	w := newCable(t)
	newGrandmaster(t, w)
	d := newDaemon(t, w.host, ptpPort)
	g := newGarbage(4, [][]byte{[]byte("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"),
		[]byte("POST /v1/resume HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"),
		[]byte("GET /v1/watch?interval=0 HTTP/1.1\r\nHost: x\r\n\r\n")})
	watchedFlood(t, d, func() {
		conn, err := net.Dial("unix", filepath.Join(d.dir, "socket"))
		if err != nil {
			return // its queue is full
		}
		_, _ = conn.Write(g.datagram())
		conn.Close()
	})
}
