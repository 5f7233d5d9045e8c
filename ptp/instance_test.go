// SPDX-License-Identifier: Apache-2.0

package ptp_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

// The data sets follow the parent, and are the instance's own before there is one and when it has gone.
func TestDataSets(t *testing.T) {
	n := newNet(t, 200, ptp.PortConfig{})
	slave := wire.ClockQuality{Class: 255, Accuracy: 0xfe, OffsetScaledLogVariance: 0xffff}
	own := ptp.ParentDS{Port: wire.PortIdentity{Clock: clientPort.Clock}, Grandmaster: clientPort.Clock, Priority1: 255,
		Priority2: 128, Quality: slave}
	none := func() {
		t.Helper()
		if got := n.instance.ParentDS(); got != own {
			t.Errorf("parentDS %+v without a parent", got)
		}
		if c, p := n.instance.CurrentDS(), n.instance.TimePropertiesDS(); c != (ptp.CurrentDS{}) || p != (wire.TimeProperties{}) {
			t.Errorf("currentDS %+v, timePropertiesDS %+v without a parent", c, p)
		}
	}
	none()
	h := n.addMaster(1, ptptest.Config{})
	h.master.Properties.StepsRemoved, h.master.Properties.Grandmaster = 2, wire.ClockIdentity{9}
	n.run(20 * time.Second)
	last := n.measurements[len(n.measurements)-1]
	want := ptp.CurrentDS{StepsRemoved: 3, OffsetFromMaster: last.Offset, MeanDelay: 1000}
	if got := n.instance.CurrentDS(); got != want {
		t.Errorf("currentDS %+v, want %+v", got, want)
	}
	good := ptptest.Good()
	if got, want := n.instance.ParentDS(), (ptp.ParentDS{Port: portNumber(1), Grandmaster: wire.ClockIdentity{9},
		Priority1: 128, Priority2: 128, Quality: good.Quality}); got != want {
		t.Errorf("parentDS %+v, want %+v", got, want)
	}
	if got := n.instance.TimePropertiesDS(); got != good.Time {
		t.Errorf("timePropertiesDS %+v", got)
	}
	other := n.addMaster(2, ptptest.Config{})
	other.master.Properties.Priority1 = 1
	n.onParent = func() { // nothing has been measured against it
		if got := n.instance.CurrentDS(); got != (ptp.CurrentDS{StepsRemoved: 1}) {
			t.Errorf("currentDS %+v at a new parent", got)
		}
	}
	n.run(10 * time.Second)
	if got := n.instance.ParentDS().Port; got != portNumber(2) {
		t.Errorf("parent %v", got)
	}
	n.cut = true
	n.run(20 * time.Second)
	none()
}

// recorder keeps the messages that a port sends.
type recorder struct {
	failing
	sent [][]byte
}

func (r *recorder) SendEvent(b []byte) (uint32, error) {
	r.sent = append(r.sent, bytes.Clone(b))
	return uint32(len(r.sent)), nil
}

// hear has a port hear three Announce messages of a master with that priority1, and a Sync.
func hear(t *testing.T, p *ptp.Port, in ptp.InstanceConfig, last, priority uint8) {
	t.Helper()
	addr := at4([4]byte{10, 0, 0, last})
	for seq := range uint16(3) {
		now := clock.Mono(seq) * clock.Mono(time.Second)
		a, s := announce(last, seq), sync(last, seq)
		a.Priority1 = priority
		a.Domain, a.SdoID, s.Domain, s.SdoID = in.Domain, in.SdoID, in.Domain, in.SdoID
		p.Receive(now, encode(t, &a), clock.Timestamp{}, addr)
		p.Receive(now, encode(t, &s), clock.At(clientPHC, epoch+int64(now)), addr)
		p.Wake(now.Add(500 * time.Millisecond))
	}
}

// Ports of an instance have its identity and their own numbers, and the best master of any of them is the instance's parent.
func TestPortsOfAnInstance(t *testing.T) {
	cfg := ptp.InstanceConfig{Identity: clientPort.Clock, Domain: 24, SdoID: 0xf123}
	i := ptp.NewInstance(cfg)
	cfg.SdoID &= wire.MaxSdoID
	var outs [3]recorder
	var ports [3]*ptp.Port
	rng := func() *rand.Rand { return rand.New(rand.NewPCG(3, 3)) }
	replaced := i.AddPort(7, ptp.PortConfig{}, rng(), &failing{})
	for n, number := range []uint16{7, 0, 65535} {
		ports[n] = i.AddPort(number, ptp.PortConfig{}, rng(), &outs[n])
	}
	d := i.DefaultDS()
	if d.Identity != cfg.Identity || d.NumberPorts != 3 || d.Domain != 24 || d.SdoID != 0x123 || !d.SlaveOnly ||
		d.Quality.Class != 255 {
		t.Errorf("defaultDS %+v", d)
	}
	hear(t, replaced, cfg, 9, 1)
	if got := i.ParentDS().Port.Clock; got != cfg.Identity {
		t.Errorf("the parent of a port that was replaced, %v, is the instance's", got)
	}
	for n, priority := range []uint8{20, 10, 30} {
		hear(t, ports[n], cfg, byte(n+1), priority)
	}
	if got := i.ParentDS().Port; got != portNumber(2) {
		t.Errorf("parent %v, want the best", got)
	}
	for n, number := range []uint16{7, 1, 65534} {
		if len(outs[n].sent) == 0 {
			t.Fatalf("port %d sends nothing", number)
		}
		var req wire.DelayReq
		if err := req.Parse(outs[n].sent[0]); err != nil {
			t.Fatal(err)
		}
		if req.Source != (wire.PortIdentity{Clock: cfg.Identity, Port: number}) || req.Domain != cfg.Domain ||
			req.SdoID != cfg.SdoID {
			t.Errorf("port %d sends %+v", number, req.Header)
		}
	}
	elsewhere := newPort(&failing{})
	idle := newPort(&failing{})
	hear(t, elsewhere, ptp.InstanceConfig{}, 4, 15)
	ranks := ptp.Rank([]*ptp.Port{ports[0], nil, ports[1], ports[2], idle, elsewhere})
	if want := []int{2, 0, 0, 3, 0, 1}; !slices.Equal(ranks, want) {
		t.Errorf("ranks %v, want %v", ranks, want)
	}
}

// Of two ways to the same grandmaster the shorter one is better, and none is if they are the same.
func TestRankOfEquals(t *testing.T) {
	var ports []*ptp.Port
	for _, steps := range []uint16{5, 1, 1} {
		p := newPort(&failing{})
		for seq := range uint16(3) {
			a := announce(1, seq)
			a.StepsRemoved = steps
			p.Receive(clock.Mono(seq)*clock.Mono(time.Second), encode(t, &a), clock.Timestamp{}, ptp.Address{})
		}
		ports = append(ports, p)
	}
	if ranks := ptp.Rank(ports); !slices.Equal(ranks, []int{2, 0, 0}) {
		t.Errorf("ranks %v", ranks)
	}
}
