// SPDX-License-Identifier: Apache-2.0

package discipline

import (
	"math"
	"time"
)

// Margins are what a maximum error allows for beyond what measurements leave open of a clock. Each is added to it as it is.
type Margins struct {
	// Jump is by how much the source has jumped since it is followed, with nothing but its own word for it.
	Jump time.Duration
	// Slow has the clocks take their time on the way after such a jump: there are others who may come to see that the source
	// is wrong. It means nothing while Jump is 0.
	Slow bool
	// Contradiction is by how much the sources contradict the host, which may be the one that is wrong.
	Contradiction time.Duration
	// UTC is by how much what is known of UTC may be wrong. Only clocks that keep UTC have it.
	UTC time.Duration
}

// SetMargins says what maximum errors allow for from now on. A margin counts as Unlimited at most.
func (g *Graph) SetMargins(m Margins) {
	m.Jump, m.Contradiction, m.UTC = min(m.Jump, Unlimited), min(m.Contradiction, Unlimited), min(m.UTC, Unlimited)
	g.margins = m
}

// Margins returns what maximum errors allow for at present.
func (g *Graph) Margins() Margins { return g.margins }

// Unlimited is a maximum error that says nothing. The parts of one are bounded by it, so that the sum of all four is none
// that wraps, and holds what has to be taken off it again.
const Unlimited time.Duration = math.MaxInt64 / 4
