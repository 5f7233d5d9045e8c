// SPDX-License-Identifier: Apache-2.0

package ptp_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp"
	"github.com/lockstep-time/lockstep/ptp/ptptest"
	"github.com/lockstep-time/lockstep/ptp/wire"
)

func TestParseMasterID(t *testing.T) {
	id := wire.ClockIdentity{0, 0x11, 0x22, 0xff, 0xfe, 0x33, 0x44, 0x55}
	for text, want := range map[string]ptp.MasterID{
		"001122.fffe.334455":      {Clock: id},
		"001122FFFE334455":        {Clock: id},
		"00:11:22:ff:fe:33:44:55": {Clock: id},
		"00-11-22-ff-fe-33-44-55": {Clock: id},
		"00:11:22:33:44:55":       {Address: ptp.Address{MAC: [6]byte{0, 0x11, 0x22, 0x33, 0x44, 0x55}}},
		"192.0.2.1":               {Address: at4([4]byte{192, 0, 2, 1})},
		"::ffff:192.0.2.1":        {Address: at4([4]byte{192, 0, 2, 1})},
		"2001:db8::1":             {Address: ptp.Address{IP: netip.MustParseAddr("2001:db8::1")}},
		"fe80::1%eth0":            {Address: ptp.Address{IP: netip.MustParseAddr("fe80::1")}},
		"2001:db8:0:1:2:3:4:5":    {Address: ptp.Address{IP: netip.MustParseAddr("2001:db8:0:1:2:3:4:5")}},
	} {
		got, err := ptp.ParseMasterID(text)
		if err != nil || got != want {
			t.Errorf("%q is %+v, %v, want %+v", text, got, err, want)
		}
		if again, err := ptp.ParseMasterID(got.String()); err != nil || again != got {
			t.Errorf("%q is written %q, which is %+v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "x", "grandmaster", "0.0.0.0", "224.0.1.129", "ff0e::181", "01:1b:19:00:00:00",
		"00:00:00:00:00:00", "000000.0000.000000", "001122.fffe.33445", "001122.fffe.33445g", "001122.fffe.334455-1",
		"192.0.2.1:319",
		"192.0.2.0/24", "0011.22ff.fe33.4455.6677"} {
		if got, err := ptp.ParseMasterID(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

func FuzzParseMasterID(f *testing.F) {
	f.Add("001122.fffe.334455")
	f.Add("00:11:22:33:44:55")
	f.Add("fe80::1%eth0")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ptp.ParseMasterID(s)
		if err != nil {
			return
		}
		if again, err := ptp.ParseMasterID(m.String()); err != nil || again != m {
			t.Errorf("%q is %+v, written %q, which is %+v, %v", s, m, m, again, err)
		}
	})
}

// Of two masters only those are followed that the configuration names, by any of the three.
func TestAllowedMasters(t *testing.T) {
	for text, follows := range map[string]bool{
		"020000.fffe.000001": true,
		"10.0.0.1":           true,
		"020000.fffe.000003": false,
		"10.0.0.3":           false,
		"02:00:00:00:00:01":  false,
	} {
		id, err := ptp.ParseMasterID(text)
		if err != nil {
			t.Fatal(err)
		}
		n := newNet(t, 70, ptp.PortConfig{Masters: []ptp.MasterID{{Clock: wire.ClockIdentity{9}}, id}})
		n.addMaster(1, ptptest.Config{})
		better := n.addMaster(2, ptptest.Config{})
		better.master.Properties.Priority1 = 1
		n.run(20 * time.Second)
		s := n.port.Status(n.now)
		if s.HasParent != follows || follows && s.Parent.Port != portNumber(1) {
			t.Errorf("%s: parent %v of %d masters", text, s.Parent.Port, s.Masters)
		}
		if n.rejected(ptp.ReasonNotAllowed) < 15 {
			t.Errorf("%s: %d refused", text, n.rejected(ptp.ReasonNotAllowed))
		}
	}
}

// A MAC pins a master over Ethernet.
func TestAllowedMAC(t *testing.T) {
	id, err := ptp.ParseMasterID("02:00:00:00:00:01")
	if err != nil {
		t.Fatal(err)
	}
	n := newNet(t, 71, ptp.PortConfig{Masters: []ptp.MasterID{id}})
	for seq := range uint16(4) {
		for _, last := range []byte{1, 66} {
			a := announce(last, seq)
			a.Priority1 = 128 - last
			n.port.Receive(n.now, encode(t, &a), clock.Timestamp{}, ptp.Address{MAC: [6]byte{2, 0, 0, 0, 0, last}})
		}
		n.run(time.Second)
	}
	if s := n.port.Status(n.now); s.Parent.Port != portNumber(1) || s.Masters != 1 {
		t.Errorf("parent %v of %d masters", s.Parent.Port, s.Masters)
	}
}

// A master may answer by unicast; what else comes so is refused, and so is an answer to no request.
func TestUnicast(t *testing.T) {
	m := newManual(t, 72)
	answer := func(id uint32) []byte {
		t4, _ := wire.TimestampOf(epoch + int64(m.n.now) + 1000)
		r := wire.DelayResp{Header: sync(1, m.n.sequenceIDs[id]).Header, Receive: t4, Requesting: clientPort}
		return encode(t, &r)
	}
	id := m.request()
	m.stamped(id)
	m.n.port.ReceiveUnicast(m.n.now, answer(id), at4([4]byte{10, 0, 0, 66}))
	m.n.port.ReceiveUnicast(m.n.now, answer(id), m.h.addr)
	m.n.port.ReceiveUnicast(m.n.now, answer(id), m.h.addr)
	m.oneStep()
	m.n.port.ReceiveUnicast(m.n.now, answer(id), m.h.addr)
	a, s := announce(1, 12), sync(1, 13)
	f := wire.FollowUp{Header: s.Header}
	for _, b := range [][]byte{encode(t, &a), encode(t, &s), encode(t, &f)} {
		m.n.port.ReceiveUnicast(m.n.now, b, m.h.addr)
	}
	m.expect(1, map[ptp.Reason]uint64{ptp.ReasonAddress: 1, ptp.ReasonDuplicate: 1, ptp.ReasonUnmatched: 1,
		ptp.ReasonUnicast: 3})
}

// Delay_Req messages are numbered from a sequenceId that the caller draws.
func TestDelayReqSequence(t *testing.T) {
	n := newNet(t, 1, ptp.PortConfig{FirstSequenceID: 65534})
	n.addMaster(1, ptptest.Config{})
	n.run(20 * time.Second)
	for id, want := range []uint16{65534, 65535, 0, 1} {
		if got := n.sequenceIDs[uint32(id+1)]; got != want {
			t.Errorf("request %d has sequenceId %d, want %d", id+1, got, want)
		}
	}
	if len(n.measurements) == 0 || !n.measurements[len(n.measurements)-1].DelayKnown {
		t.Error("the path delay is not known")
	}
}

// Guessing answers 500 times a second, by multicast or unicast and with the master's address, moves the path delay nowhere.
func TestBlindDelayResp(t *testing.T) {
	n, h := locked(t, 73)
	n.loss = 0.05 // so that some requests stay open
	rng := rand.New(rand.NewPCG(7, 7))
	n.every(2*time.Millisecond, func() {
		r := wire.DelayResp{Header: sync(1, uint16(rng.Uint32())).Header, Requesting: clientPort,
			Receive: wire.Timestamp{Seconds: uint64(n.now)/1e9 + epoch/1e9, Nanoseconds: rng.Uint32N(1e9)}}
		n.port.ReceiveUnicast(n.now, encode(t, &r), h.addr)
	})
	n.run(10 * time.Minute)
	if d := n.port.Status(n.now).MeanPathDelay; d != 1000 {
		t.Errorf("path delay %v", d)
	}
	for _, m := range n.measurements {
		if m.DelayKnown && m.Offset.Abs() > time.Microsecond {
			t.Fatalf("offset %v", m.Offset)
		}
	}
}
