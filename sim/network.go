// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math/rand/v2"
	"time"

	"github.com/lockstep-time/lockstep/ptp/wire"
	"github.com/lockstep-time/lockstep/sim/expr"
)

// PathConfig describes one direction of a Link.
type PathConfig struct {
	// Delay in seconds, evaluated for each packet. One that is negative means that the packet is lost.
	Delay *expr.Program
	// Correction in seconds, if not nil, is added to the correctionField of PTP event messages, as if the whole path were
	// a transparent clock. Its variable delay is what Delay came to.
	Correction *expr.Program
	// Loss and Duplicate are the probabilities that a packet gets lost, or comes twice.
	Loss, Duplicate float64
	// Subnet is the variable of that name.
	Subnet float64
}

// Link joins two nodes. Packets take their delays independently of each other, so they may overtake.
type Link struct {
	world *World
	ends  [2]endpoint
	paths [2]path
	// hops are the switches on the way from ends[0] to ends[1].
	hops []hop
	// Cut loses everything that is sent from then on.
	cut bool
	// extra is added to the delay in each direction, ns.
	extra [2]int64
}

// endpoint is where a packet arrives: a port or association of a node.
type endpoint struct {
	node   receiver
	n      int32
	number int
}

type path struct {
	delay, correction *quantity
	loss, duplicate   float64
	subnet            float64
	rng               *rand.Rand
}

const (
	// maxDelay bounds the time that a packet is under way, in seconds.
	maxDelay = 1000
	// maxPending bounds what is under way: beyond, packets are lost.
	maxPending = 200_000
)

func (w *World) newPath(name string, c PathConfig) path {
	return path{delay: w.quantity(c.Delay, Delay, w.rand(name)),
		correction: w.quantity(c.Correction, Correction, w.rand(name+" correction")),
		loss:       c.Loss, duplicate: c.Duplicate, subnet: c.Subnet, rng: w.rand(name + " loss")}
}

// newLink makes one; there is the direction from ends[0].
func (w *World) newLink(name string, ends [2]endpoint, there, back PathConfig, through []*Switch) *Link {
	l := &Link{world: w, ends: ends, paths: [2]path{w.newPath(name, there), w.newPath(name+" and back", back)}}
	for _, s := range through {
		l.hops = append(l.hops, s.newHop(name))
	}
	return l
}

// Cut loses what is sent from now on, both ways, until it is undone.
func (l *Link) Cut(cut bool) { l.cut = cut }

// Connected reports whether the link is not cut.
func (l *Link) Connected() bool { return !l.cut }

// Extend makes the two ways longer by so many ns each than their expressions say: a change of route.
func (l *Link) Extend(there, back int64) { l.extra = [2]int64{there, back} }

// SetLoss changes the probability that a packet gets lost, in both directions.
func (l *Link) SetLoss(p float64) { l.paths[0].loss, l.paths[1].loss = p, p }

// side returns at which end a node is.
func (l *Link) side(r receiver) int {
	if l.ends[0].node == r {
		return 0
	}
	return 1
}

// label is what a packet has beside its bytes: the UDP port, the number of the node that sent it first, and what the
// receiver tells associations apart by.
type label struct {
	port uint16
	src  int32
	id   uint32
}

// send has a packet go from end side, 0 or 1, to the other one.
func (l *Link) send(side int, b []byte, port uint16, id uint32) {
	l.carry(side, b, label{port, int32(l.ends[side].number), id})
}

func (l *Link) carry(side int, b []byte, a label) {
	p := &l.paths[side]
	if l.cut || p.loss > 0 && p.rng.Float64() < p.loss {
		return
	}
	l.deliver(side, b, a)
	if p.duplicate > 0 && p.rng.Float64() < p.duplicate {
		l.deliver(side, b, a)
	}
}

func (l *Link) deliver(side int, b []byte, a label) {
	w, p := l.world, &l.paths[side]
	l.vars(side, a.port, len(b))
	delay := p.delay.next(&w.vars)
	ns := nanoseconds(delay) + l.extra[side]
	if delay < 0 || ns < 0 || w.queue.len() > maxPending {
		return
	}
	e := event{at: w.now + ns, packet: w.packets.take(b), label: a, from: l, n: int32(side)}
	var h wire.Header
	if p.correction != nil && a.port == eventPort && h.Parse(b) == nil {
		w.vars.Delay = delay
		wire.AddCorrection(w.packets.bytes[e.packet], wire.TimeInterval(p.correction.next(&w.vars)*1e9*65536))
	}
	l.forward(e, 0)
}

// vars sets what expressions may ask of a packet that is sent from a side.
func (l *Link) vars(side int, port uint16, length int) {
	w := l.world
	w.vars = expr.Vars{Time: float64(w.now) / 1e9, From: float64(l.ends[side].number), To: float64(l.ends[1-side].number),
		Port: float64(port), Length: float64(length), Subnet: l.paths[side].subnet}
}

// forward has a packet, which has come through so many switches, arrive at the next one, or at the other end.
func (l *Link) forward(e event, hops int) {
	side := e.n & 1
	if hops < len(l.hops) {
		e.to, e.kind, e.n = l, ingress, side|int32(hops)<<1
	} else {
		to := &l.ends[1-side]
		e.to, e.kind, e.n = to.node, arrival, to.n
	}
	l.world.queue.push(e)
}

// nanoseconds converts a number of seconds, which is bounded by maxDelay to either side.
func nanoseconds(seconds float64) int64 {
	ns := max(-maxDelay, min(maxDelay, seconds)) * 1e9
	if ns < 0 {
		return -int64(0.5 - ns)
	}
	return int64(ns + 0.5)
}

// Hub is a shared segment: what one station sends, all others hear. It carries PTP; a station's Link may take time.
type Hub struct {
	world  *World
	name   string
	number int
	links  []*Link
}

// NewHub puts a hub without stations into the world.
func (w *World) NewHub(name string) *Hub { return &Hub{world: w, name: name, number: w.nextNode()} }

func (h *Hub) handle(e *event) {
	b := h.world.packets.bytes[e.packet]
	for _, l := range h.links {
		if l != e.from {
			l.carry(l.side(h), b, e.label)
		}
	}
}

// Attach joins a grandmaster with a hub: there is the direction from the master to the hub.
func (m *Master) Attach(hub *Hub, there, back PathConfig, through ...*Switch) *Link {
	l := m.world.newLink(m.name+" to "+hub.name, [2]endpoint{m.end(), {node: hub, number: hub.number}}, there, back, through)
	m.links = append(m.links, l)
	hub.links = append(hub.links, l)
	return l
}

// Attach joins a port of the host, by index in the configuration, with a hub: there is the direction from the hub to the
// host.
func (h *Host) Attach(port int, hub *Hub, there, back PathConfig, through ...*Switch) *Link {
	l := h.world.newLink(h.linkName(hub.name, port), [2]endpoint{{node: hub, number: hub.number}, h.end(port)}, there, back,
		through)
	h.ports[port] = append(h.ports[port], l)
	hub.links = append(hub.links, l)
	return l
}

// bounded returns d, or the bound that it is beyond.
func bounded(ns float64, bound time.Duration) int64 {
	return int64(max(-float64(bound), min(float64(bound), ns)))
}
