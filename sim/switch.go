// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/ptp/wire"
	"github.com/lockstep-time/lockstep/sim/expr"
)

// Transparency says what a Switch does about the time that PTP messages spend in it.
type Transparency uint8

// The kinds of end-to-end transparent clocks (IEEE 1588-2019 §10.2).
const (
	// Opaque: nothing. PTP messages wait as all others do.
	Opaque Transparency = iota
	// OneStep writes the residence time of Sync and Delay_Req into these messages.
	OneStep
	// TwoStep writes it into the Follow_Up and Delay_Resp that belong to them.
	TwoStep
)

// SwitchConfig describes a Switch.
type SwitchConfig struct {
	// There and Back are how long packets stay in seconds, in the direction of a Link and against it, evaluated for each
	// packet. A negative one means that the packet is lost. Packets leave in the order in which they came.
	There, Back *expr.Program
	// Transparency, by residence times as Clock measures them, whose timescale and offset do not matter.
	Transparency Transparency
	Clock        ClockConfig
}

// Switch is a bridge, or an end-to-end transparent clock, on the way of any number of Links. Each Link has queues of its
// own in it.
type Switch struct {
	world *World
	name  string
	cfg   SwitchConfig
	clock *Clock
}

// NewSwitch puts a switch into the world, for Links to go through.
func (w *World) NewSwitch(name string, c SwitchConfig) *Switch {
	return &Switch{world: w, name: name, cfg: c, clock: w.newClock(name, clock.PHC(0), clock.TAI, c.Clock)}
}

// hop is a Switch on one Link.
type hop struct {
	*Switch
	residence [2]*quantity
	free      [2]int64 // when the latest packet leaves, by direction
	waiting   [8]measured
	turn      int
}

// measured is the residence time of an event message that waits for the general message which it is written into.
type measured struct {
	kind     wire.MessageType
	source   wire.PortIdentity
	sequence uint16
	// residence is 0 once it is used.
	residence wire.TimeInterval
}

func (s *Switch) newHop(link string) hop {
	h := hop{Switch: s}
	for side, p := range []*expr.Program{s.cfg.There, s.cfg.Back} {
		h.residence[side] = s.world.quantity(p, Delay, s.world.rand(s.name+" on "+link+[2]string{"", " and back"}[side]))
	}
	return h
}

// handle has a packet enter or leave a switch on its way.
func (l *Link) handle(e *event) {
	w, side, step := l.world, int(e.n&1), int(e.n>>1)
	k := step
	if side == 1 {
		k = len(l.hops) - 1 - step
	}
	h := &l.hops[k]
	next := *e
	e.packet = noPacket // it goes on
	b := w.packets.bytes[next.packet]
	if e.kind == ingress {
		l.vars(side, e.port, len(b))
		residence := h.residence[side].next(&w.vars)
		if residence < 0 {
			w.packets.release(next.packet)
			return
		}
		next.kind, next.ts = egress, h.clock.stamp(w.now)
		next.at = max(w.now+nanoseconds(residence), h.free[side])
		h.free[side] = next.at
		w.queue.push(next)
		return
	}
	entered := next.ts
	next.ts, next.n = clock.Timestamp{}, int32(side)
	split := false
	if h.cfg.Transparency != Opaque && (e.port == eventPort || e.port == generalPort) {
		residence := (h.clock.stamp(w.now).Nanoseconds() - entered.Nanoseconds()) << 16
		split = h.pass(b, wire.TimeInterval(residence))
	}
	l.forward(next, step+1)
	if split {
		l.followUp(next, step+1, h.latest())
	}
}

// pass has a transparent clock treat a message. split: a one-step Sync became a two-step one, whose Follow_Up is missing.
func (h *hop) pass(b []byte, residence wire.TimeInterval) (split bool) {
	var m wire.Header
	if m.Parse(b) != nil {
		return false
	}
	switch m.Type {
	case wire.MessageSync, wire.MessageDelayReq:
		if h.cfg.Transparency == OneStep {
			wire.AddCorrection(b, residence)
			return false
		}
		h.remember(measured{m.Type, m.Source, m.SequenceID, residence})
		if m.Type == wire.MessageSync && !m.Flags.Has(wire.FlagTwoStep) {
			wire.SetFlags(b, wire.FlagTwoStep)
			return true
		}
	case wire.MessageFollowUp:
		h.add(b, wire.MessageSync, m.Source, m.SequenceID)
	case wire.MessageDelayResp:
		var r wire.DelayResp
		if r.Parse(b) == nil {
			h.add(b, wire.MessageDelayReq, r.Requesting, r.SequenceID)
		}
	}
	return false
}

func (h *hop) remember(m measured) {
	h.waiting[h.turn] = m
	h.turn = (h.turn + 1) % len(h.waiting)
}

// add corrects a general message by the residence time of its event message.
func (h *hop) add(b []byte, of wire.MessageType, source wire.PortIdentity, sequence uint16) {
	for i := range h.waiting {
		m := &h.waiting[i]
		if m.kind == of && m.residence != 0 && m.source == source && m.sequence == sequence {
			wire.AddCorrection(b, m.residence)
			m.residence = 0
			return
		}
	}
}

// latest takes the residence time that was remembered last.
func (h *hop) latest() wire.TimeInterval {
	m := &h.waiting[(h.turn+len(h.waiting)-1)%len(h.waiting)]
	r := m.residence
	m.residence = 0
	return r
}

// followUp sends what a one-step Sync, the packet of e, lacks after a two-step transparent clock.
func (l *Link) followUp(e event, hops int, residence wire.TimeInterval) {
	w := l.world
	var s wire.Sync
	if s.Parse(w.packets.bytes[e.packet]) != nil {
		return
	}
	f := wire.FollowUp{Header: s.Header, PreciseOrigin: s.Origin}
	f.Flags, f.Correction = 0, residence
	b, err := f.Append(w.scratch[:0])
	if err != nil {
		return
	}
	w.scratch = b
	e.packet, e.port = w.packets.take(b), generalPort
	l.forward(e, hops)
}
