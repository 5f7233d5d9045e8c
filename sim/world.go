// SPDX-License-Identifier: Apache-2.0

// Package sim runs hosts in virtual time: oscillators and networks are simulated, and what decides is the production code
// of package engine. A World, its seed and what is put into it determine all that happens; the same binary does the same on
// all machines whose arithmetic rounds alike, which on amd64 are those with FMA.
//
// True time is an integer of nanoseconds since the start of the simulation. It belongs to one goroutine.
package sim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/sim/expr"
)

// DefaultUTCOffset is TAI − UTC in seconds at the start of a simulation that does not say otherwise.
const DefaultUTCOffset = 37

// World is where everything happens.
type World struct {
	seed uint64
	// epoch is TAI at the start, in ns since 1970; utcOffset is TAI − UTC then, in seconds.
	epoch     int64
	utcOffset int64
	leap      leapSecond
	now       int64
	queue     queue
	current   event // the one being handled
	packets   packets
	calls     []func(now int64)
	hosts     []*Host
	clocks    []*Clock
	vars      expr.Vars
	scratch   []byte
	nodes     int
	// work counts what has been done, of which there may be limit, if not 0; look is when interrupt is looked at again
	work, limit, look uint64
	interrupt         <-chan struct{}
	fault             *Fault
}

// leapSecond is the one that the simulated day ends with, if length is not 0.
type leapSecond struct {
	at     int64 // true time, in ns, of the first instant with the new offset
	length int64 // in seconds
}

// NewWorld starts a world at an instant of UTC, with utcOffset seconds between TAI and UTC.
func NewWorld(seed uint64, start time.Time, utcOffset int) *World {
	return &World{seed: seed, epoch: start.UnixNano() + int64(utcOffset)*int64(time.Second), utcOffset: int64(utcOffset)}
}

// InsertLeap has the UTC day of the start end with a leap second: one more (1) or one less (−1).
func (w *World) InsertLeap(l clock.Leap) {
	const day = 86400 * int64(time.Second)
	utc := w.epoch - w.utcOffset*int64(time.Second)
	w.leap = leapSecond{(utc/day+1)*day - utc + min(int64(l), 0)*int64(time.Second), int64(l)}
}

// Now returns the true time.
func (w *World) Now() time.Duration { return time.Duration(w.now) }

// TAI returns what a perfect clock shows at a true time, in ns since 1970.
func (w *World) TAI(t int64) int64 { return w.epoch + t }

// UTC is the same on the UTC scale. During an inserted second it repeats the one before.
func (w *World) UTC(t int64) int64 {
	offset := w.utcOffset
	if t >= w.leap.at {
		offset += w.leap.length
	}
	return w.epoch + t - offset*int64(time.Second)
}

// scaled returns what a perfect clock of that scale shows.
func (w *World) scaled(s clock.Scale, t int64) int64 {
	if s == clock.TAI {
		return w.TAI(t)
	}
	return w.UTC(t)
}

// rand returns the chance of one object: it depends on its name and the seed, and not on what else there is.
func (w *World) rand(name string) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, name)
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

// nextNode numbers the nodes in the order in which they are made.
func (w *World) nextNode() int {
	w.nodes++
	return w.nodes
}

// At has something happen at a true time, in the order of the calls of At where times are equal.
func (w *World) At(t time.Duration, do func(now int64)) {
	w.calls = append(w.calls, do)
	w.queue.push(event{at: int64(t), to: w, n: int32(len(w.calls) - 1)})
}

func (w *World) handle(e *event) { w.calls[e.n](w.now) }

const (
	// eventWork is what an event counts as, in steps of expressions, which take about that much less time.
	eventWork = 100
	// lookInterval is the work after which an interruption is seen at the latest: milliseconds.
	lookInterval = 10_000 * eventWork
)

// Limit has Run end once the work of so many events has been done since the beginning: an event is one, and so are a
// hundred steps of expressions. 0: never.
func (w *World) Limit(events uint64) { w.limit = events * eventWork }

// Work returns how much has been done since the beginning, in the unit of Limit.
func (w *World) Work() uint64 { return w.work / eventWork }

// Interrupt has Run end soon after done is closed.
func (w *World) Interrupt(done <-chan struct{}) { w.interrupt = done }

// Fault returns the first expression that came to an impossible value, nil if there is none.
func (w *World) Fault() *Fault { return w.fault }

// spent counts an event, and reports whether it should not be handled any more.
func (w *World) spent() bool {
	w.work += eventWork
	if w.work >= w.look {
		w.look = w.work + lookInterval
		select {
		case <-w.interrupt:
			return true
		default:
		}
	}
	return w.fault != nil || w.limit > 0 && w.work > w.limit
}

// Run lets time pass up to and including the given true time. It is not ok if it ended before that: because of Limit,
// Interrupt, or a Fault.
func (w *World) Run(until time.Duration) (ok bool) {
	for w.queue.len() > 0 && w.queue.next() <= int64(until) {
		if w.spent() {
			return false
		}
		w.current = w.queue.pop()
		e := &w.current
		w.now = max(w.now, e.at)
		e.to.handle(e)
		if e.packet >= 0 {
			w.packets.release(e.packet)
		}
	}
	w.now = int64(until)
	return w.fault == nil
}

// mono is what the event loops of all hosts take for CLOCK_MONOTONIC: true time, and never 0, which stands for nothing.
func mono(t int64) clock.Mono { return clock.Mono(t + int64(time.Hour)) }

func trueTime(m clock.Mono) int64 {
	if m == clock.Never {
		return int64(m)
	}
	return int64(m) - int64(time.Hour)
}
