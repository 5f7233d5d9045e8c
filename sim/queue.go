// SPDX-License-Identifier: Apache-2.0

package sim

import "github.com/lockstep-time/lockstep/clock"

// receiver is told of events.
type receiver interface {
	handle(e *event)
}

// event is something that happens to a receiver at a true time. What the other fields mean is its kind's business.
type event struct {
	at     int64
	to     receiver
	kind   kind
	n      int32 // port, association, pool; of a packet in a switch its direction, and twice how many it came through
	packet packet
	label
	from *Link
	ts   clock.Timestamp
}

type kind uint8

const (
	arrival     kind = iota // of a packet
	transmitted             // the stamp of one that was sent
	wake
	crossing
	resolve
	ingress // of a packet, to a switch
	egress
)

// queue is a heap of events, earliest first, in the order in which they were pushed where times are equal. Events are
// kept in slots of their own, so that the heap moves little and nothing is allocated in steady state.
type queue struct {
	heap   []entry
	slots  []event
	free   []int32
	serial uint64
}

type entry struct {
	at     int64
	serial uint64
	slot   int32
}

func (a entry) before(b entry) bool { return a.at < b.at || a.at == b.at && a.serial < b.serial }

func (q *queue) len() int { return len(q.heap) }

func (q *queue) next() int64 { return q.heap[0].at }

// push adds an event. Only one from a link carries a packet.
func (q *queue) push(e event) {
	if e.from == nil {
		e.packet = noPacket
	}
	var slot int32
	if n := len(q.free); n > 0 {
		slot, q.free = q.free[n-1], q.free[:n-1]
		q.slots[slot] = e
	} else {
		slot = int32(len(q.slots))
		q.slots = append(q.slots, e)
	}
	q.serial++
	q.heap = append(q.heap, entry{e.at, q.serial, slot})
	for i := len(q.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !q.heap[i].before(q.heap[up]) {
			break
		}
		q.heap[i], q.heap[up] = q.heap[up], q.heap[i]
		i = up
	}
}

func (q *queue) pop() event {
	first := q.heap[0]
	last := len(q.heap) - 1
	q.heap[0] = q.heap[last]
	q.heap = q.heap[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			break
		}
		if down+1 < last && q.heap[down+1].before(q.heap[down]) {
			down++
		}
		if !q.heap[down].before(q.heap[i]) {
			break
		}
		q.heap[i], q.heap[down] = q.heap[down], q.heap[i]
		i = down
	}
	q.free = append(q.free, first.slot)
	return q.slots[first.slot]
}

// packet names the bytes of a datagram under way.
type packet int32

const noPacket packet = -1

// packets are the datagrams under way.
type packets struct {
	bytes [][]byte
	free  []packet
}

func (p *packets) take(b []byte) packet {
	var k packet
	if n := len(p.free); n > 0 {
		k, p.free = p.free[n-1], p.free[:n-1]
	} else {
		k = packet(len(p.bytes))
		p.bytes = append(p.bytes, make([]byte, 0, 128))
	}
	p.bytes[k] = append(p.bytes[k][:0], b...)
	return k
}

func (p *packets) release(k packet) { p.free = append(p.free, k) }
