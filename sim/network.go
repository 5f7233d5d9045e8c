// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math/rand/v2"
	"net/netip"

	"github.com/lockstep-time/lockstep/sim/expr"
)

// PathConfig describes one direction of a Link.
type PathConfig struct {
	// Delay in seconds, evaluated for each packet. One that is negative means that the packet is lost.
	Delay *expr.Program
	// Loss and Duplicate are the probabilities that a packet gets lost, or comes twice.
	Loss, Duplicate float64
}

// Link joins two nodes. Packets take their delays independently of each other, so they may overtake.
type Link struct {
	world *World
	ends  [2]endpoint
	paths [2]path
	// Cut loses everything that is sent from then on.
	cut bool
	// extra is added to the delay in each direction, ns.
	extra [2]int64
}

// endpoint is where a packet arrives: a port or association of a node.
type endpoint struct {
	node    receiver
	n       int32
	number  int
	address netip.Addr
}

type path struct {
	delay           *expr.Expr
	loss, duplicate float64
	rng             *rand.Rand
}

const (
	// maxDelay bounds the time that a packet is under way, in seconds.
	maxDelay = 1000
	// maxEvents bounds what is under way: beyond, packets are lost.
	maxEvents = 200_000
)

func (w *World) newPath(name string, c PathConfig) path {
	rng := w.rand(name)
	return path{delay: c.Delay.New(rng), loss: c.Loss, duplicate: c.Duplicate, rng: w.rand(name + " loss")}
}

// Cut loses what is sent from now on, both ways, until it is undone.
func (l *Link) Cut(cut bool) { l.cut = cut }

// Connected reports whether the link is not cut.
func (l *Link) Connected() bool { return !l.cut }

// Extend makes the two ways longer by so many ns each than their expressions say: a change of route.
func (l *Link) Extend(there, back int64) { l.extra = [2]int64{there, back} }

// SetLoss changes the probability that a packet gets lost, in both directions.
func (l *Link) SetLoss(p float64) { l.paths[0].loss, l.paths[1].loss = p, p }

// send has a packet go from end side, 0 or 1, to the other one. id and port are for the receiver.
func (l *Link) send(side int, b []byte, port float64, id uint32) {
	p := &l.paths[side]
	if l.cut || p.loss > 0 && p.rng.Float64() < p.loss {
		return
	}
	l.deliver(side, b, port, id)
	if p.duplicate > 0 && p.rng.Float64() < p.duplicate {
		l.deliver(side, b, port, id)
	}
}

func (l *Link) deliver(side int, b []byte, port float64, id uint32) {
	w, p := l.world, &l.paths[side]
	w.vars = expr.Vars{Time: float64(w.now) / 1e9, From: float64(l.ends[side].number),
		To: float64(l.ends[1-side].number), Port: port, Length: float64(len(b))}
	delay := p.delay.Next(&w.vars)
	ns := int64(min(delay, maxDelay)*1e9+0.5) + l.extra[side]
	if delay < 0 || ns < 0 || w.queue.len() > maxEvents {
		return
	}
	to := &l.ends[1-side]
	w.queue.push(event{at: w.now + ns, to: to.node, kind: arrival, n: to.n, packet: w.packets.take(b), id: id, from: l})
}
