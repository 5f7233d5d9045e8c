// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/clock"
)

// patient is how long tests wait for what has to come.
const patient = 20 * time.Second

type datagram struct {
	b          string
	from       Addr
	ts, kernel clock.Timestamp
}

type sent struct {
	id uint32
	ts clock.Timestamp
}

// recorder is a KernelHandler that hands everything to a test.
type recorder struct {
	received    chan datagram
	transmitted chan sent
}

func (r *recorder) Received(b []byte, from Addr, ts clock.Timestamp) {
	r.received <- datagram{string(b), from, ts, clock.Timestamp{}}
}

func (r *recorder) ReceivedKernel(b []byte, from Addr, ts, kernel clock.Timestamp) {
	r.received <- datagram{string(b), from, ts, kernel}
}

func (r *recorder) Transmitted(id uint32, ts clock.Timestamp) { r.transmitted <- sent{id, ts} }

func next[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patient):
		t.Fatalf("no %s came", what)
	}
	return v
}

// serve makes a Conn, and serves it until the test ends.
func serve(t *testing.T, config Config) (*Conn, *recorder) {
	t.Helper()
	c, err := Listen(config)
	if err != nil {
		t.Fatal(err)
	}
	return c, serveConn(t, c)
}

func serveConn(t *testing.T, c *Conn) *recorder {
	t.Helper()
	r := &recorder{make(chan datagram, 1024), make(chan sent, 1024)}
	done := make(chan error, 1)
	go func() { done <- c.Serve(r) }()
	t.Cleanup(func() {
		c.Close()
		if err := next(t, done, "end of Serve"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve ended with %v, want net.ErrClosed", err)
		}
	})
	return r
}

func send(t *testing.T, c *Conn, b string, to Addr) uint32 {
	t.Helper()
	id, err := c.Send([]byte(b), to)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// warmUp returns when the kernel stamps received packets. It begins to, for the whole machine, some time after the first
// socket asks for it, and goes on for as long as one does.
func warmUp(t *testing.T) {
	t.Helper()
	c, saw := serve(t, Config{Network: UDP4, Interface: "lo", Stamps: Kernel})
	for deadline := time.Now().Add(patient); time.Now().Before(deadline); {
		send(t, c, "warm up", to(c, loopback(UDP4)))
		next(t, saw.transmitted, "transmit stamp")
		if d := next(t, saw.received, "datagram"); !d.ts.IsZero() {
			return
		}
	}
	t.Fatal("the kernel stamps no received packets")
}

// stamped checks that a stamp is of the system clock, and lies between two readings of it.
func stamped(t *testing.T, what string, ts clock.Timestamp, from, to time.Time) {
	t.Helper()
	ns := ts.Nanoseconds()
	if ts.Clock() != clock.System || ns < from.UnixNano() || ns > to.UnixNano() {
		t.Errorf("%s stamp is %d of %v, want one of the system clock from %d to %d", what, ns, ts.Clock(),
			from.UnixNano(), to.UnixNano())
	}
}

func loopback(n Network) netip.Addr {
	if n == UDP6 {
		return netip.IPv6Loopback()
	}
	return netip.MustParseAddr("127.0.0.1")
}

func requireIPv6(t *testing.T, n Network) {
	t.Helper()
	if n != UDP6 {
		return
	}
	c, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		t.Skipf("this machine has no IPv6 on its loopback interface: %v", err)
	}
	c.Close()
}

// settle has c, all of whose stamps have come, take new ones as if the time were over in which they may be old ones.
func settle(c *Conn) {
	c.ids.mu.Lock()
	defer c.ids.mu.Unlock()
	c.ids.settled = 0
}

func to(c *Conn, ip netip.Addr) Addr { return UDPAddr(netip.AddrPortFrom(ip, c.LocalAddr().Port())) }

func TestKernelStampsBothWays(t *testing.T) {
	warmUp(t)
	for _, network := range []Network{UDP4, UDP6} {
		for _, n := range []numbering{unknown, counted} {
			t.Run(network.String()+[]string{"", " own", " counted"}[n], func(t *testing.T) {
				requireIPv6(t, network)
				server, serverSaw := serve(t, Config{Network: network, Interface: "lo", Stamps: Kernel})
				client, clientSaw := serve(t, Config{
					Network: network, Stamps: Kernel, Connect: to(server, loopback(network)).UDP, DSCP: 46, TTL: 3,
				})
				client.tx.numbering = n
				for i := range uint32(10) {
					before := time.Now()
					if id := send(t, client, "request", Addr{}); id != i {
						t.Fatalf("id %d, want %d", id, i)
					}
					tx := next(t, clientSaw.transmitted, "transmit stamp")
					rx := next(t, serverSaw.received, "datagram")
					after := time.Now()
					if tx.id != i || rx.b != "request" || rx.from.UDP.Port() != client.LocalAddr().Port() {
						t.Errorf("got stamp of %d, %q from %v", tx.id, rx.b, rx.from)
					}
					stamped(t, "transmit", tx.ts, before, after)
					stamped(t, "receive", rx.ts, before, after)
					if d, ok := rx.ts.Sub(tx.ts); !ok || d < 0 {
						t.Errorf("received %v after it was sent", d)
					}
				}
				got, want := client.Counters(), Counters{Sent: 10, TransmitStamps: 10}
				if got != want {
					t.Errorf("counters %+v, want %+v", got, want)
				}
			})
		}
	}
}

func TestGroupOnLoopback(t *testing.T) {
	warmUp(t)
	group := UDP4.Primary(0)
	config := Config{Network: UDP4, Interface: "lo", Groups: []Addr{group}, Stamps: Kernel, Loop: true}
	alone, aloneSaw := serve(t, config)
	config.Port = alone.LocalAddr().Port()
	if _, err := Listen(config); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("got %v: the port is shared, though the first Conn asked for one of its own", err)
	}
	heard := func(by *recorder, sent string, after time.Time) {
		t.Helper()
		d := next(t, by.received, "datagram")
		if d.b != sent {
			t.Errorf("got %q, want %q", d.b, sent)
		}
		stamped(t, "receive", d.ts, after, time.Now())
	}
	before := time.Now()
	send(t, alone, "to itself", to(alone, group.UDP.Addr()))
	heard(aloneSaw, "to itself", before)
	alone.Close()
	a, aSaw := serve(t, config)
	_, bSaw := serve(t, config)
	before = time.Now()
	send(t, a, "announce", to(a, group.UDP.Addr()))
	heard(aSaw, "announce", before)
	heard(bSaw, "announce", before)
}

func TestLatencies(t *testing.T) {
	warmUp(t)
	const shift = time.Hour
	server, serverSaw := serve(t, Config{Network: UDP4, Interface: "lo", Stamps: Kernel, IngressLatency: shift})
	client, clientSaw := serve(t, Config{Network: UDP4, Interface: "lo", Stamps: Kernel, EgressLatency: shift})
	before := time.Now()
	send(t, client, "x", to(server, loopback(UDP4)))
	tx, rx := next(t, clientSaw.transmitted, "transmit stamp"), next(t, serverSaw.received, "datagram")
	after := time.Now()
	stamped(t, "transmit", tx.ts.Add(-shift), before, after)
	stamped(t, "receive", rx.ts.Add(shift), before, after)
}

func TestNoStampIsPassedOffAsAnothers(t *testing.T) {
	warmUp(t)
	server, serverSaw := serve(t, Config{
		Network: UDP4, Interface: "lo", Stamps: Hardware, Clock: clock.PHC(3), KernelReceive: true,
	})
	before := time.Now()
	send(t, server, "to itself", to(server, loopback(UDP4)))
	d := next(t, serverSaw.received, "datagram")
	if !d.ts.IsZero() {
		t.Errorf("a stamp of %v on an interface that has no PHC", d.ts.Clock())
	}
	stamped(t, "kernel's", d.kernel, before, time.Now())
	plain, plainSaw := serve(t, Config{Network: UDP4, Interface: "lo"})
	send(t, plain, "to itself", to(plain, loopback(UDP4)))
	if d := next(t, plainSaw.received, "datagram"); !d.ts.IsZero() {
		t.Error("a stamp that nobody asked for")
	}
	if got, want := server.Counters(), (Counters{Received: 1, Unstamped: 1, Sent: 1}); got != want {
		t.Errorf("counters %+v, want %+v", got, want)
	}
	if got, want := plain.Counters(), (Counters{Received: 1, Sent: 1}); got != want {
		t.Errorf("counters %+v, want %+v", got, want)
	}
}

func TestConnectedConnHearsItsPeerOnly(t *testing.T) {
	peer, _ := serve(t, Config{Network: UDP4, Interface: "lo"})
	stranger, _ := serve(t, Config{Network: UDP4, Interface: "lo"})
	client, clientSaw := serve(t, Config{Network: UDP4, Connect: to(peer, loopback(UDP4)).UDP})
	send(t, stranger, "spoofed", to(client, loopback(UDP4)))
	send(t, peer, "reply", to(client, loopback(UDP4)))
	if d := next(t, clientSaw.received, "datagram"); d.b != "reply" {
		t.Errorf("got %q first", d.b)
	}
}

func TestLongDatagramsAreDropped(t *testing.T) {
	c, saw := serve(t, Config{Network: UDP4, Interface: "lo", MaxDatagram: 64})
	self := to(c, loopback(UDP4))
	send(t, c, string(bytes.Repeat([]byte("x"), 65)), self)
	fits := string(bytes.Repeat([]byte("y"), 64))
	send(t, c, fits, self)
	send(t, c, "", self)
	for _, want := range []string{fits, ""} {
		if d := next(t, saw.received, "datagram"); d.b != want {
			t.Errorf("got %q, want %q", d.b, want)
		}
	}
	if n := c.Counters(); n.Truncated != 1 || n.Received != 2 {
		t.Errorf("counters %+v, want 1 truncated, 2 received", n)
	}
}

// Every refused send costs its id only. Where the kernel counts, it may have counted the refused one too.
func TestRefusedSends(t *testing.T) {
	for _, n := range []numbering{unknown, counted} {
		c, saw := serve(t, Config{Network: UDP4, Interface: "lo", Stamps: Kernel})
		c.tx.numbering = n
		self := to(c, loopback(UDP4))
		send(t, c, "first", self)
		next(t, saw.transmitted, "transmit stamp")
		if _, err := c.Send(make([]byte, 65507+1), self); !errors.Is(err, unix.EMSGSIZE) {
			t.Errorf("got %v, want EMSGSIZE", err)
		}
		if _, err := c.Send([]byte("x"), MACAddr(MAC{1})); !errors.Is(err, ErrConfig) {
			t.Errorf("got %v, want ErrConfig", err)
		}
		settle(c)
		id := send(t, c, "second", self)
		if got := next(t, saw.transmitted, "transmit stamp"); got.id != id {
			t.Errorf("stamp of %d, want %d", got.id, id)
		}
		if got := c.Counters(); got.SendErrors != 2 || got.Sent != 2 || got.TransmitStamps != 2 || got.TransmitForeign != 0 {
			t.Errorf("counters %+v", got)
		}
	}
}

func TestPeerThatIsNotThere(t *testing.T) {
	for _, n := range []numbering{unknown, counted} {
		gone, err := Listen(Config{Network: UDP4, Interface: "lo"})
		if err != nil {
			t.Fatal(err)
		}
		client, saw := serve(t, Config{Network: UDP4, Stamps: Kernel, Connect: to(gone, loopback(UDP4)).UDP})
		client.tx.numbering = n
		gone.Close()
		for range 5 { // the ICMP message of the one before may have the next one refused
			if id, err := client.Send([]byte("anybody?"), Addr{}); err == nil {
				if got := next(t, saw.transmitted, "transmit stamp"); got.id != id {
					t.Errorf("stamp of %d, want %d", got.id, id)
				}
			} else if !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("got %v, want ECONNREFUSED", err)
			}
			settle(client)
		}
	}
}

// unpollable is a descriptor that the poller fails all reads of.
type unpollable struct{ syscall.RawConn }

func (unpollable) Read(func(uintptr) bool) error { return errors.New("not pollable") }

func TestPollerThatFails(t *testing.T) {
	c, err := Listen(Config{Network: UDP4, Interface: "lo", Stamps: Kernel})
	if err != nil {
		t.Fatal(err)
	}
	c.raw = unpollable{c.raw}
	saw := serveConn(t, c)
	for range 3 {
		id := send(t, c, "x", to(c, loopback(UDP4)))
		if got := next(t, saw.transmitted, "transmit stamp"); got.id != id {
			t.Errorf("stamp of %d, want %d", got.id, id)
		}
		next(t, saw.received, "datagram")
	}
}

func TestClosedConn(t *testing.T) {
	c, err := Listen(Config{Network: UDP4, Interface: "lo", Stamps: Kernel})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := c.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("close again: got %v, want net.ErrClosed", err)
	}
	if _, err := c.Send([]byte("x"), to(c, loopback(UDP4))); !errors.Is(err, net.ErrClosed) {
		t.Errorf("send: got %v, want net.ErrClosed", err)
	}
	if err := c.Serve(&recorder{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("serve: got %v, want net.ErrClosed", err)
	}
}

func TestServedOnce(t *testing.T) {
	c, saw := serve(t, Config{Network: UDP4, Interface: "lo"})
	send(t, c, "x", to(c, loopback(UDP4)))
	next(t, saw.received, "datagram")
	if err := c.Serve(saw); !errors.Is(err, ErrConfig) {
		t.Errorf("got %v, want ErrConfig", err)
	}
}

// Without the privilege to bind to a device, the receiver itself drops what comes in by other interfaces.
func TestUnboundConnKeepsToItsInterface(t *testing.T) {
	for _, network := range []Network{UDP4, UDP6} {
		requireIPv6(t, network)
		denied := func(int, string) error { return unix.EPERM }
		c, err := listen(Config{Network: network, Interface: "lo", Stamps: Kernel}, denied)
		if err != nil {
			t.Fatal(err)
		}
		if !c.filter {
			t.Error("it does not look at interfaces")
		}
		c.index++ // now everything comes in by another interface
		saw := serveConn(t, c)
		self := to(c, loopback(network))
		for range 3 {
			send(t, c, "x", self)
			next(t, saw.transmitted, "transmit stamp")
		}
		deadline := time.Now().Add(patient)
		for c.Counters().OtherInterface < 3 && time.Now().Before(deadline) {
			runtime.Gosched()
		}
		if n := c.Counters(); n.OtherInterface != 3 || n.Received != 0 {
			t.Errorf("%v: counters %+v, want all 3 dropped", network, n)
		}
		right, err := listen(Config{Network: network, Interface: "lo", Stamps: Kernel}, denied)
		if err != nil {
			t.Fatal(err)
		}
		rightSaw := serveConn(t, right)
		send(t, right, "y", to(right, loopback(network)))
		next(t, rightSaw.received, "datagram")
	}
}
