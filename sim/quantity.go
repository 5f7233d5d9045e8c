// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/lockstep-time/lockstep/sim/expr"
)

// Quantity is what an expression stands for.
type Quantity uint8

// The quantities.
const (
	// Frequency is the error of an oscillator, in seconds per second.
	Frequency Quantity = iota
	// Jump is by how many seconds somebody sets a clock.
	Jump
	// Noise is added to a timestamp or a reading, in seconds.
	Noise
	// Window is how long a reading of a clock takes, or a part of it, in seconds.
	Window
	// StampDelay is how long the stamp of a packet that was sent keeps its sender waiting, in seconds.
	StampDelay
	// Delay of a packet in seconds. One that is negative loses the packet.
	Delay
	// Correction of a PTP message, in seconds.
	Correction
)

// Range returns the least and the greatest value.
func (q Quantity) Range() (least, most float64) {
	switch q {
	case Frequency:
		return -maxOwn, maxOwn
	case Jump:
		return -maxStep, maxStep
	case Window:
		return 0, 1
	case StampDelay:
		return 0, maxDelay
	case Delay:
		return -math.MaxFloat64, maxDelay
	}
	return -maxDelay, maxDelay
}

// Allowed says which values there may be.
func (q Quantity) Allowed() string {
	least, most := q.Range()
	if q == Delay {
		return fmt.Sprintf("at most %g s; what is negative loses the packet", most)
	}
	unit := " s"
	if q == Frequency {
		unit = ""
	}
	return fmt.Sprintf("%g to %g%s", least, most, unit)
}

// Variables returns those that the expression may ask for.
func (q Quantity) Variables() expr.Variables {
	switch q {
	case Delay:
		return expr.Packet
	case Correction:
		return expr.Correction
	}
	return expr.Clock
}

// Fault is an expression that came to a value which its quantity cannot have, at a true time.
type Fault struct {
	Program  *expr.Program
	Quantity Quantity
	Value    float64
	At       time.Duration
}

// Error tells the value, when it came, and what is allowed.
func (f *Fault) Error() string {
	return fmt.Sprintf("the value at %v is %g; allowed: %s", f.At, f.Value, f.Quantity.Allowed())
}

// quantity is an expression at work.
type quantity struct {
	expr        *expr.Expr
	world       *World
	program     *expr.Program
	kind        Quantity
	least, most float64
	work        uint64
}

// quantity puts an expression to work, with rng as its source of chance. It is nil if there is none.
func (w *World) quantity(p *expr.Program, kind Quantity, rng *rand.Rand) *quantity {
	if p == nil {
		return nil
	}
	q := &quantity{expr: p.New(rng), world: w, program: p, kind: kind, work: uint64(p.Work())}
	q.least, q.most = kind.Range()
	return q
}

// next evaluates the expression. A value that cannot be ends the run, and is 0 until then.
func (q *quantity) next(v *expr.Vars) float64 {
	w := q.world
	w.work += q.work
	x := q.expr.Next(v)
	if x >= q.least && x <= q.most {
		return x
	}
	if w.fault == nil {
		w.fault = &Fault{q.program, q.kind, x, time.Duration(w.now)}
	}
	return 0
}
