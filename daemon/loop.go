// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/clock/sysclock"
	"github.com/lockstep-time/lockstep/hwts"
	"github.com/lockstep-time/lockstep/hwts/nic"
	"github.com/lockstep-time/lockstep/ptp"
)

// kind of an event.
type kind uint8

const (
	ptpReceived kind = iota
	ptpUnicast
	ptpTransmitted
	ntpReceived
	ntpTransmitted
	crossed
	resolved
	linkChanged
	called
)

// event is what the edges post to the loop. It is passed by value, and its datagram lies in a buffer that goes back to
// the pool: nothing is allocated per datagram.
type event struct {
	kind     kind
	n        int    // port, association or pool
	serial   uint32 // of the socket: events of one that has been closed are dropped
	id       uint32
	buffer   *buffer
	ts       clock.Timestamp
	from     ptp.Address
	crossing clock.Crossing
	err      error
	addrs    []netip.Addr
	link     nic.Event
	call     func(now clock.Mono)
}

type buffer struct {
	bytes [hwts.DefaultMaxDatagram]byte
	n     int
}

func (b *buffer) data() []byte { return b.bytes[:b.n] }

// pool has the buffers that are not in use. The one that came back last is taken first: its memory is in the cache, and
// what a flood has needed is left alone afterwards.
type pool struct {
	mu   sync.Mutex
	free []*buffer
	made int // so far
}

// take returns a buffer, nil if all are in use.
func (p *pool) take() *buffer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		return b
	}
	if p.made == buffers {
		return nil
	}
	p.made++
	return new(buffer)
}

func (p *pool) put(b *buffer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, b)
}

const (
	queueLength = 512 // events that wait; more datagrams than that are dropped
	buffers     = 512
	batch       = 64 // events handled before due timers are looked at
)

// loop is the one goroutine in which everything is decided.
type loop struct {
	events  chan event
	urgent  chan event // what must not be lost behind a flood of datagrams
	pool    pool
	dropped atomic.Uint64
	alarm   func() (ringer, error) // makes the timer that the loop waits for
}

func newLoop() *loop {
	return &loop{events: make(chan event, queueLength), urgent: make(chan event, queueLength),
		alarm: func() (ringer, error) { return newAlarm() }}
}

// datagram posts a datagram; it is dropped if the loop is that far behind.
func (l *loop) datagram(e event, b []byte) {
	if e.buffer = l.pool.take(); e.buffer == nil {
		l.dropped.Add(1)
		return
	}
	e.buffer.n = copy(e.buffer.bytes[:], b)
	select {
	case l.events <- e:
	default:
		l.pool.put(e.buffer)
		l.dropped.Add(1)
	}
}

// transmitted posts a transmit timestamp.
func (l *loop) transmitted(e event) {
	select {
	case l.urgent <- e:
	default:
		l.dropped.Add(1)
	}
}

// post posts anything else; it waits for the loop if it has to.
func (l *loop) post(ctx context.Context, e event) bool {
	select {
	case l.urgent <- e:
		return true
	case <-ctx.Done():
		return false
	}
}

// waker is what is due at certain times. Wake may be called at others as well.
type waker interface {
	Wake(now clock.Mono)
	NextWake() clock.Mono
}

// ringer is the timer that the loop waits for, see alarm.
type ringer interface {
	set(at clock.Mono) error
	rings() <-chan struct{}
	heard()
	wait()
	close()
}

// run handles events and timers until ctx is done.
func (l *loop) run(ctx context.Context, w waker, handle func(now clock.Mono, e *event)) error {
	alarm, err := l.alarm()
	if err != nil {
		return fmt.Errorf("daemon: %w", err)
	}
	var waiting sync.WaitGroup
	waiting.Go(alarm.wait)
	defer waiting.Wait()
	defer alarm.close()
	var e event
	for ctx.Err() == nil { // in the select below a flood would be taken instead of the end, every other time
		w.Wake(sysclock.Monotonic())
		if !l.next(&e) { // a comparison that Wake has made, for example
			if err := alarm.set(w.NextWake()); err != nil {
				return fmt.Errorf("daemon: %w", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-alarm.rings():
				alarm.heard()
				continue
			case e = <-l.urgent:
			case e = <-l.events:
			}
		}
		l.handle(&e, handle)
		for n := 1; n < batch && l.next(&e); n++ {
			l.handle(&e, handle)
		}
	}
	return nil
}

// next takes an event that waits already, urgent ones first.
func (l *loop) next(e *event) bool {
	select {
	case *e = <-l.urgent:
		return true
	default:
	}
	select {
	case *e = <-l.events:
		return true
	default:
		return false
	}
}

func (l *loop) handle(e *event, handle func(now clock.Mono, e *event)) {
	handle(sysclock.Monotonic(), e)
	if e.buffer != nil {
		l.pool.put(e.buffer)
		e.buffer = nil
	}
}
