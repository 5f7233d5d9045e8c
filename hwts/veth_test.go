// SPDX-License-Identifier: Apache-2.0

package hwts

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/mdlayher/netlink"

	"github.com/lockstep-time/lockstep/clock"
)

// Two ports of one process at the port of PTP, each on its interface: datagrams to both groups go from one to the other,
// stamped on both sides, and do not come back.
func TestPortsOnTwoInterfaces(t *testing.T) { namespace(t, portsOnTwoInterfaces) }

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

func TestInterfaces(t *testing.T) { namespace(t, interfaces) }

func interfaces(t *testing.T) {
	makeVeth(t)
	veth, err := Probe("v0")
	if err != nil {
		t.Fatal(err)
	}
	if veth.NIC != "v0" || veth.Driver != "veth" || veth.Index != index(t, "v0") || !veth.KernelTransmit() ||
		veth.Speed != 10000 || veth.PHC != -1 || veth.Clock() != 0 || veth.Hardware() || !veth.Up || veth.MAC == (MAC{}) {
		t.Errorf("v0 is %+v", veth)
	}
	all, err := Discover()
	named := func(name string) func(Capabilities) bool {
		return func(c Capabilities) bool { return c.Interface == name }
	}
	if err != nil || !slices.ContainsFunc(all, named("v1")) || slices.ContainsFunc(all, named("lo")) {
		t.Errorf("discovered %+v, %v, want v1 and no lo", all, err)
	}
	if _, err := SetConfig("v0", HardwareConfig{TxOn, RxAll}); !errors.Is(err, clock.ErrNotSupported) {
		t.Errorf("a veth stamps in hardware: %v", err)
	}
}

func TestVLANs(t *testing.T) { namespace(t, vlans) }

func vlans(t *testing.T) {
	makeVeth(t)
	makeVLAN(t, "v0.7", "v0", 7)
	makeVLAN(t, "v1.7", "v1", 7)
	if c, err := Probe("v0.7"); err != nil || c.NIC != "v0" || c.Kind != "vlan" || c.PHC != -1 {
		t.Errorf("a VLAN of v0 is %+v, %v", c, err)
	}
	sendOnly(t, "v0.7", "v1.7", "v1")
}

// A MAC VLAN is found to be its parent's as a VLAN is, and more kernels have it.
func TestMACVLAN(t *testing.T) { namespace(t, macVLAN) }

func macVLAN(t *testing.T) {
	makeVeth(t)
	const mode, bridge = 1, 4 // IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE
	makeLink(t, "m0", "macvlan", "v0", func(ae *netlink.AttributeEncoder) error {
		ae.Uint32(mode, bridge)
		return nil
	})
	setUp(t, "m0")
	if c, err := Probe("m0"); err != nil || c.NIC != "v0" || c.Kind != "macvlan" || c.Driver != "veth" || c.PHC != -1 {
		t.Errorf("a MAC VLAN of v0 is %+v, %v", c, err)
	}
	if _, err := ReadConfig("m0"); !errors.Is(err, clock.ErrNotSupported) {
		t.Errorf("timestamping configuration: got %v, want ErrNotSupported, as of v0", err)
	}
	sendOnly(t, "m0", "v1", "m0")
}

func TestSendOnly(t *testing.T) {
	namespace(t, func(t *testing.T) {
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

func TestWatchTellsOfInterfaces(t *testing.T) { namespace(t, watchTellsOfInterfaces) }

func watchTellsOfInterfaces(t *testing.T) {
	makeVeth(t)
	ctx, cancel := context.WithCancel(t.Context())
	events, done := make(chan Event, 64), make(chan error, 1)
	go func() { done <- Watch(ctx, func(e Event) { events <- e }) }()
	want := func(c Change, name string, up bool) (e Event) {
		t.Helper()
		for e.Change != c || e.Name != name || e.Up != up {
			e = next(t, events, c.String()+" of "+name)
		}
		return e
	}
	first := want(Added, "v1", true)
	setFlags(t, "v0", 0)
	want(LinkDown, "v1", false)
	setUp(t, "v0")
	want(LinkUp, "v1", true)
	setFlags(t, "v1", 0)
	renameLink(t, "v1", "w1")
	if e := want(Renamed, "w1", false); e.OldName != "v1" || e.Index != first.Index {
		t.Errorf("renamed from %s with index %d, want v1 with %d", e.OldName, e.Index, first.Index)
	}
	removeLink(t, "v0")
	want(Removed, "w1", false)
	makeVeth(t)
	if again := want(LinkUp, "v1", true); again.Index == first.Index {
		t.Errorf("made anew with the same index %d", again.Index)
	}
	cancel()
	if err := next(t, done, "end of Watch"); !errors.Is(err, context.Canceled) {
		t.Errorf("Watch ended with %v, want context.Canceled", err)
	}
}

// A Conn survives that its interface goes down and up. It does not survive its removal, but fails in a way that shows.
func TestConnOfAnInterfaceThatGoes(t *testing.T) { namespace(t, connOfAnInterfaceThatGoes) }

func connOfAnInterfaceThatGoes(t *testing.T) {
	makeVeth(t)
	group := Ethernet.Primary(0)
	config := Config{Network: Ethernet, Interface: "v0", Groups: []Addr{group}, Stamps: Kernel}
	a, aSaw := serve(t, config)
	config.Interface = "v1"
	_, bSaw := serve(t, config)
	a.tx.numbering = counted
	setFlags(t, "v0", 0)
	if _, err := a.Send([]byte("down"), group); err == nil {
		t.Error("sent by an interface that is down")
	}
	setUp(t, "v0")
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
	removeLink(t, "v0")
	if _, err := a.Send([]byte("gone"), group); err == nil {
		t.Error("sent by an interface that is gone")
	}
}
