// SPDX-License-Identifier: Apache-2.0

package estimate

// Lean learns which way measurements lean that took longer than the quickest ones. Where what delays a reading sits on
// one side of it, as in a register read over a bus, the same part of each delay goes into the offset.
type Lean struct {
	products, squares float64
}

const (
	leanMemory = 1 - 1.0/256 // per measurement
	leanMost   = 0.5         // all of the delay on one side
	leanDoubt  = 4 * 50 * 50 // ns²: what has to be exceeded before anything is believed
)

// Part returns the part of the excess delay that goes into the offset, −0.5 to 0.5.
func (l *Lean) Part() float64 {
	return max(-leanMost, min(leanMost, l.products/(l.squares+leanDoubt)))
}

// Learn takes in the excess delay of a measurement, in ns, and by how much its offset was more than expected.
func (l *Lean) Learn(excess, miss float64) {
	l.products = leanMemory*l.products + excess*miss
	l.squares = leanMemory*l.squares + excess*excess
}
