// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"net/netip"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/internal/nstest"
)

// Two ports of one process at the port of PTP, each on its interface: datagrams to both groups go from one to the other,
// stamped on both sides, and do not come back.
func TestPortsOnTwoInterfaces(t *testing.T) { nstest.Run(t, portsOnTwoInterfaces) }

func portsOnTwoInterfaces(t *testing.T) {
	warmUp(t)
	makeVeth(t)
	bothEnds(t)
	for _, network := range []Network{UDP4, UDP6, Ethernet} {
		config := Config{
			Network: network, Interface: "v0", Port: EventPort, Stamps: Kernel,
			Groups: []Addr{network.Primary(0), network.PeerDelay(0)},
		}
		a, aSaw := serve(t, config)
		config.Interface = "v1"
		b, bSaw := serve(t, config)
		for _, group := range []Addr{network.Primary(EventPort), network.PeerDelay(EventPort)} {
			before := time.Now()
			id := send(t, a, "from v0", group)
			tx := next(t, aSaw.transmitted, network.String()+" transmit stamp to "+group.String())
			rx := next(t, bSaw.received, "datagram")
			stamped(t, "transmit", tx.ts, before, time.Now())
			stamped(t, "receive", rx.ts, before, time.Now())
			if tx.id != id || rx.b != "from v0" {
				t.Errorf("%v: stamp of %d for %d, received %q", network, tx.id, id, rx.b)
			}
			if network == UDP4 && rx.from.UDP.Addr() != source(network) {
				t.Errorf("received from %v, want %v", rx.from, source(network))
			}
			reply := send(t, b, "from v1", rx.from)
			if got := next(t, bSaw.transmitted, "transmit stamp"); got.id != reply {
				t.Errorf("%v: stamp of %d for %d", network, got.id, reply)
			}
			if network == UDP4 { // a unicast address of this very host goes by its loopback interface, not by the wire
				continue
			}
			if rx := next(t, aSaw.received, "reply"); rx.b != "from v1" {
				t.Errorf("%v: received %q", network, rx.b)
			}
		}
		if n := a.Counters(); n.Sent != 2 || n.TransmitStamps != 2 || n.Unstamped != 0 {
			t.Errorf("%v: counters %+v", network, n)
		}
	}
}

func TestVLANs(t *testing.T) { nstest.Run(t, vlans) }

func vlans(t *testing.T) {
	makeVeth(t)
	nstest.MakeVLAN(t, "v0.7", "v0", 7)
	nstest.MakeVLAN(t, "v1.7", "v1", 7)
	sendOnly(t, "v0.7", "v1.7", "v1")
}

// More kernels have MAC VLANs than VLANs.
func TestMACVLAN(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		makeVeth(t)
		nstest.MakeMACVLAN(t, "m0", "v0")
		sendOnly(t, "m0", "v1", "m0")
	})
}

func TestSendOnly(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		makeVeth(t)
		sendOnly(t, "v0", "v1", "v0")
	})
}

// sendOnly sends by the first interface, receives by the second, and nothing by the third.
func sendOnly(t *testing.T, from, to, not string) {
	t.Helper()
	warmUp(t)
	group := Ethernet.Primary(0)
	config := Config{Network: Ethernet, Interface: from, Groups: []Addr{group}, SendOnly: true}
	a, aSaw := serve(t, config)
	config.Interface, config.Stamps, config.SendOnly = to, Kernel, false
	_, bSaw := serve(t, config)
	config.Interface = not
	_, cSaw := serve(t, config)
	send(t, a, "first", group)
	send(t, a, "second", group)
	for _, want := range []string{"first", "second"} {
		if d := next(t, bSaw.received, "datagram"); d.b != want || d.ts.IsZero() {
			t.Errorf("received %q with %v, want %q with a stamp", d.b, d.ts, want)
		}
	}
	if len(aSaw.received)+len(aSaw.transmitted)+len(cSaw.received) != 0 {
		t.Error("more was received than sent to")
	}
}

// A Conn survives that its interface goes down and up. It does not survive its removal, but fails in a way that shows.
func TestConnOfAnInterfaceThatGoes(t *testing.T) { nstest.Run(t, connOfAnInterfaceThatGoes) }

func connOfAnInterfaceThatGoes(t *testing.T) {
	makeVeth(t)
	group := Ethernet.Primary(0)
	config := Config{Network: Ethernet, Interface: "v0", Groups: []Addr{group}, Stamps: Kernel}
	a, aSaw := serve(t, config)
	config.Interface = "v1"
	_, bSaw := serve(t, config)
	a.tx.numbering = counted
	nstest.SetFlags(t, "v0", 0)
	if _, err := a.Send([]byte("down"), group); err == nil {
		t.Error("sent by an interface that is down")
	}
	nstest.SetUp(t, "v0")
	waitFlow(t, "v0", "v1")
	settle(a)
	id, err := a.Send([]byte("up again"), group)
	if err != nil { // that it was down may not have been told yet
		settle(a)
		id = send(t, a, "up again", group)
	}
	if got := next(t, aSaw.transmitted, "transmit stamp"); got.id != id {
		t.Errorf("stamp of %d, want %d", got.id, id)
	}
	if d := next(t, bSaw.received, "datagram"); d.b != "up again" {
		t.Errorf("received %q", d.b)
	}
	nstest.Remove(t, "v0")
	if _, err := a.Send([]byte("gone"), group); err == nil {
		t.Error("sent by an interface that is gone")
	}
}

// makeVeth makes v0 and v1 as nstest.MakeVeth does, and waits until frames come from either to the other.
func makeVeth(t *testing.T) {
	t.Helper()
	nstest.MakeVeth(t)
	waitFlow(t, "v0", "v1")
	waitFlow(t, "v1", "v0")
}

// waitFlow returns when frames come from one interface to another. For a while after an interface has gone up the kernel
// drops what is sent, with and without telling.
func waitFlow(t *testing.T, from, to string) {
	t.Helper()
	const experimental = 0x88B5
	config := Config{Network: Ethernet, Interface: to, EtherType: experimental}
	_, saw := serve(t, config)
	config.Interface, config.SendOnly = from, true
	sender, err := Listen(config)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	for deadline := time.Now().Add(patient); time.Now().Before(deadline); {
		sender.Send([]byte("anybody?"), MACAddr(MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}))
		select {
		case <-saw.received:
			return
		case <-time.After(time.Millisecond):
		}
	}
	t.Fatalf("nothing comes from %s to %s", from, to)
}

// bothEnds lets v0 and v1 take IPv4 datagrams that come from each other, though both are of this host.
func bothEnds(t *testing.T) {
	t.Helper()
	for _, name := range []string{"v0", "v1"} {
		nstest.WriteSysctl(t, "ipv4/conf/"+name+"/accept_local", "1")
		nstest.WriteSysctl(t, "ipv4/conf/"+name+"/rp_filter", "0")
	}
	nstest.WriteSysctl(t, "ipv4/conf/all/rp_filter", "0")
}

func source(n Network) netip.Addr {
	if n == UDP4 {
		return netip.AddrFrom4([4]byte{10, 1, 1, 1})
	}
	return netip.Addr{}
}
