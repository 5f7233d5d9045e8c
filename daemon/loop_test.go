// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"testing"

	"github.com/lockstep-time/lockstep/clock"
)

// idle is a waker that never wants to be woken.
type idle struct{}

func (idle) Wake(clock.Mono)      {}
func (idle) NextWake() clock.Mono { return clock.Never }

// serve has the loop handle events until handle says that it is enough.
func serve(t *testing.T, l *loop, handle func(e *event) (more bool)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	err := l.run(ctx, idle{}, func(_ clock.Mono, e *event) {
		if !handle(e) {
			cancel()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFloodIsDropped posts more datagrams than are kept while nobody handles them: the rest is counted, and what is
// urgent gets through first.
func TestFloodIsDropped(t *testing.T) {
	l := newLoop()
	const sent = 3 * queueLength
	for i := range sent {
		l.datagram(event{kind: ptpReceived, n: i}, []byte{byte(i), byte(i >> 8)})
	}
	if got := l.dropped.Load(); got != sent-queueLength {
		t.Errorf("%d dropped, want %d", got, sent-queueLength)
	}
	l.transmitted(event{kind: ptpTransmitted})
	if !l.post(t.Context(), event{kind: called}) {
		t.Fatal("not posted")
	}
	var kinds []kind
	next, total := 0, 0
	serve(t, l, func(e *event) bool {
		if total++; len(kinds) < 4 {
			kinds = append(kinds, e.kind)
		}
		if e.kind == ptpReceived {
			if b := e.buffer.data(); e.n != next || len(b) != 2 || int(b[0])|int(b[1])<<8 != next {
				t.Fatalf("datagram %d came as number %d: % x", e.n, next, b)
			}
			next++
		}
		return total < queueLength+2
	})
	// one datagram may have been taken before it was seen that something urgent waits
	urgent := 0
	for _, k := range kinds[:3] {
		if k != ptpReceived {
			urgent++
		}
	}
	if urgent != 2 {
		t.Errorf("the first events were %v", kinds)
	}
	if free, made := len(l.pool.free), l.pool.made; free != made || made == 0 || made > buffers {
		t.Errorf("%d of %d buffers came back", free, made)
	}
}

func TestLateTransmitTimestampsAreCounted(t *testing.T) {
	l := newLoop()
	for range queueLength + 7 {
		l.transmitted(event{kind: ptpTransmitted})
	}
	if got := l.dropped.Load(); got != 7 {
		t.Errorf("%d dropped, want 7", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if l.post(ctx, event{}) {
		t.Error("posted although the loop is at its end")
	}
}

// TestOversizedDatagram is cut to what a buffer holds.
func TestOversizedDatagram(t *testing.T) {
	l := newLoop()
	l.datagram(event{}, make([]byte, 1<<16))
	serve(t, l, func(e *event) bool {
		if got := len(e.buffer.data()); got != len(e.buffer.bytes) {
			t.Errorf("%d bytes", got)
		}
		return false
	})
}

// due is a waker that wants to be woken at once, n times.
type due struct{ n int }

func (d *due) Wake(clock.Mono) { d.n-- }
func (d *due) NextWake() clock.Mono {
	if d.n > 0 {
		return 0
	}
	return clock.Never
}

// TestTimersRunBesideAFlood checks that events that never end do not keep what is due from being done.
func TestTimersRunBesideAFlood(t *testing.T) {
	l, w := newLoop(), &due{n: 3}
	ctx, cancel := context.WithCancel(t.Context())
	handled := 0
	post := func() { l.datagram(event{kind: ntpReceived}, []byte{1}) }
	post()
	_ = l.run(ctx, w, func(clock.Mono, *event) {
		if handled++; w.n == 0 || handled > 100*batch {
			cancel()
		}
		post()
	})
	if w.n != 0 || handled > 4*(batch+2) {
		t.Errorf("%d timers left after %d events", w.n, handled)
	}
}

// TestEndsBesideAFlood checks that events that never end do not put off the end either: no batch begins after it.
func TestEndsBesideAFlood(t *testing.T) {
	for range 20 { // what a select takes of what is ready is random
		l := newLoop()
		ctx, cancel := context.WithCancel(t.Context())
		handled := 0
		post := func() { l.datagram(event{kind: ptpReceived}, []byte{1}) }
		post()
		err := l.run(ctx, idle{}, func(clock.Mono, *event) {
			if handled++; handled == 1 {
				cancel()
			}
			post()
		})
		if err != nil || handled > batch+1 {
			t.Fatalf("%d events after the end, %v", handled-1, err)
		}
	}
}

func TestPostingAllocatesNothing(t *testing.T) {
	l, b := newLoop(), make([]byte, 100)
	var e event
	n := testing.AllocsPerRun(1000, func() {
		l.datagram(event{kind: ptpReceived}, b)
		if !l.next(&e) {
			t.Fatal("nothing came")
		}
		l.handle(&e, func(clock.Mono, *event) {})
	})
	if n != 0 {
		t.Errorf("%g allocations per datagram", n)
	}
}
