// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"math"
	"time"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/estimate"
	"github.com/lockstep-time/lockstep/servo"
)

const (
	historySize = 4096 // changes of a clock that are remembered: six minutes of a frequency with a quantum
	rmsSize     = 64   // updates of which the root mean square is shown
)

// node is one clock of the graph.
type node struct {
	id             clock.ID
	scale          clock.Scale
	servo          servo.Servo
	maxFrequency   float64
	applied        float64 // correction in force, ppb
	initialPPB     float64 // correction that was in force when it was added, ppb
	frequencySigma float64 // of -applied as the oscillator's error, ppb; 0: unknown
	history        *clock.History

	crossedAt float64 // correction in force at the last crossing, ppb
	toward    *edge   // scratch of Graph.path: the next edge on the way

	anchorMono clock.Mono // at which it read anchor
	anchor     clock.Timestamp
	goodMono   clock.Mono // the same for the last crossing that was as expected; goodFree is without steering
	goodFree   int64

	quantum     float64    // of its frequency, ppb; 0 if it is fine enough
	choice      clock.Mono // of the next multiple of the quantum
	residual    float64    // ns that the quantised frequency has put it ahead of where it was wanted
	wanted      float64    // correction that was wanted when applied was set, ppb
	steered     clock.Mono
	setAt       clock.Mono // of its frequency
	offset      float64    // against the source at the last update, ns
	squares     [rmsSize]float64
	updates     int
	locked      bool
	everLocked  bool
	within, out int // updates in a row
	steps       uint64
	err         error
}

func newNode(in Info, now clock.Mono) *node {
	n := &node{id: in.ID, scale: in.Scale, servo: in.Servo, maxFrequency: in.MaxFrequency, applied: in.Frequency,
		initialPPB: in.Frequency, frequencySigma: in.Sigma, history: clock.NewHistory(in.ID, historySize),
		anchorMono: now, anchor: in.Reading, quantum: in.Quantum, choice: clock.Never,
		wanted: in.Frequency, steered: now, everLocked: in.Trusted}
	n.history.SetFrequency(in.Reading.Add(-time.Hour), in.Frequency)
	if n.servo != nil {
		n.servo.SetLimit(in.MaxFrequency)
		if in.Sigma > 0 {
			n.servo.Learned(in.Frequency)
		}
	}
	return n
}

// anchorAt notes what the clock read when the event at now came from.
func (n *node) anchorAt(now clock.Mono, at clock.Timestamp) { n.anchorMono, n.anchor = now, at }

// markGood notes that the clock read at as expected.
func (n *node) markGood(now clock.Mono, at clock.Timestamp) {
	n.goodMono, n.goodFree = now, n.freeTime(at)
}

// strayed returns by how much the clock has gone on other than the time that has passed since it last read as expected; ns,
// ≥ 0.
func (n *node) strayed(now clock.Mono) int64 {
	return abs(n.freeTime(n.anchor) - n.goodFree - int64(now.Sub(n.goodMono)))
}

// reading returns about what the clock reads at now, which is good enough to extrapolate over: it goes on as time does, but
// for what steering adds to cancelling the oscillator's error.
func (n *node) reading(now clock.Mono) clock.Timestamp {
	d := now.Sub(n.anchorMono)
	return n.anchor.Add(clock.Sum(d, clock.Nanoseconds(float64(d)*(n.applied-n.servoHold())/1e9)))
}

// correction returns how far steering has moved the clock when it reads at.
func (n *node) correction(at clock.Timestamp) (whole int64, fraction float64) {
	d, f, _ := n.history.Correction(at)
	return int64(d), f
}

// freeTime returns what the free-running oscillator shows when the clock reads at.
func (n *node) freeTime(at clock.Timestamp) int64 {
	whole, _ := n.correction(at)
	return at.Nanoseconds() - whole
}

func (n *node) servoHold() float64 {
	if n.servo != nil {
		return n.servo.Hold()
	}
	return n.applied
}

// correctionAt returns how far steering has moved the clock when its oscillator shows free, which is about now.
func (n *node) correctionAt(free int64, now clock.Mono) (whole int64, fraction float64) {
	whole, _ = n.correction(n.reading(now))
	return n.correction(clock.At(n.id, free+whole))
}

// recordOffset enters an update: what the offset was, and whether that is locked.
func (n *node) recordOffset(est estimate.State, reach float64) (change Change, changed bool) {
	n.offset = est.Offset
	n.squares[n.updates%rmsSize] = est.Offset * est.Offset
	n.updates++
	near := max(reach, 3*est.Sigma())
	if math.Abs(est.Offset) <= near {
		n.within, n.out = n.within+1, 0
	} else {
		n.within, n.out = 0, n.out+1
	}
	switch {
	case !n.locked && n.within >= lockAfter:
		n.locked, n.everLocked = true, true
		return Locked, true
	case n.locked && n.out >= loseAfter && math.Abs(est.Offset) > loseFactor*near:
		n.locked = false
		return Lost, true
	}
	return 0, false
}

// A clock is locked after lockAfter updates within reach in a row, and not any more after loseAfter out of it of which the
// last is loseFactor times as far off. Chosen by simulation.
const (
	lockAfter  = 4
	loseAfter  = 4
	loseFactor = 5
)

func (n *node) rms() float64 {
	count := min(n.updates, rmsSize)
	if count == 0 {
		return 0
	}
	var sum float64
	for _, s := range n.squares[:count] {
		sum += s
	}
	return math.Sqrt(sum / float64(count))
}
