// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/internal/nstest"
)

func TestInterfaces(t *testing.T) { nstest.Run(t, interfaces) }

func interfaces(t *testing.T) {
	makeVeth(t)
	veth, err := Probe("v0")
	if err != nil {
		t.Fatal(err)
	}
	if veth.NIC != "v0" || veth.Driver != "veth" || veth.Index != nstest.Index(t, "v0") || !veth.KernelTransmit() ||
		veth.Speed != 10000 || veth.PHC != -1 || veth.Clock() != 0 || veth.Hardware() || !veth.Up || veth.MAC == (hwts.MAC{}) {
		t.Errorf("v0 is %+v", veth)
	}
	all, err := Discover()
	named := func(name string) func(Capabilities) bool {
		return func(c Capabilities) bool { return c.Interface == name }
	}
	if err != nil || !slices.ContainsFunc(all, named("v1")) || slices.ContainsFunc(all, named("lo")) {
		t.Errorf("discovered %+v, %v, want v1 and no lo", all, err)
	}
	if _, err := SetConfig("v0", Config{TxOn, RxAll}); !errors.Is(err, clock.ErrNotSupported) {
		t.Errorf("a veth stamps in hardware: %v", err)
	}
}

func TestVLAN(t *testing.T) { nstest.Run(t, vlan) }

func vlan(t *testing.T) {
	makeVeth(t)
	nstest.MakeVLAN(t, "v0.7", "v0", 7)
	if c, err := Probe("v0.7"); err != nil || c.NIC != "v0" || c.Kind != "vlan" || c.PHC != -1 {
		t.Errorf("a VLAN of v0 is %+v, %v", c, err)
	}
}

// A MAC VLAN is found to be its parent's as a VLAN is, and more kernels have it.
func TestMACVLAN(t *testing.T) { nstest.Run(t, macVLAN) }

func macVLAN(t *testing.T) {
	makeVeth(t)
	nstest.MakeMACVLAN(t, "m0", "v0")
	if c, err := Probe("m0"); err != nil || c.NIC != "v0" || c.Kind != "macvlan" || c.Driver != "veth" || c.PHC != -1 {
		t.Errorf("a MAC VLAN of v0 is %+v, %v", c, err)
	}
	if _, err := ReadConfig("m0"); !errors.Is(err, clock.ErrNotSupported) {
		t.Errorf("timestamping configuration: got %v, want ErrNotSupported, as of v0", err)
	}
}

func TestWatchTellsOfInterfaces(t *testing.T) { nstest.Run(t, watchTellsOfInterfaces) }

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
	nstest.SetFlags(t, "v0", 0)
	want(LinkDown, "v1", false)
	nstest.SetUp(t, "v0")
	want(LinkUp, "v1", true)
	nstest.SetFlags(t, "v1", 0)
	nstest.Rename(t, "v1", "w1")
	if e := want(Renamed, "w1", false); e.OldName != "v1" || e.Index != first.Index {
		t.Errorf("renamed from %s with index %d, want v1 with %d", e.OldName, e.Index, first.Index)
	}
	nstest.Remove(t, "v0")
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

// patient is how long a test waits for what should come at once. It is that long so that only a failure meets it.
const patient = 20 * time.Second

// makeVeth makes v0 and v1 as nstest.MakeVeth does, and waits until both are up and have a carrier.
func makeVeth(t *testing.T) {
	t.Helper()
	nstest.MakeVeth(t)
	for deadline := time.Now().Add(patient); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		a, errA := Probe("v0")
		b, errB := Probe("v1")
		if err := errors.Join(errA, errB); err != nil {
			t.Fatal(err)
		}
		if a.Up && b.Up {
			return
		}
	}
	t.Fatal("v0 and v1 have no carrier")
}

func next[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patient):
		t.Fatalf("no %s", what)
	}
	return v
}
