// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"testing"

	"github.com/lockstep-time/lockstep/sim"
)

// TestCoverage: a second without a bound is a miss where the host says that the clock is locked.
func TestCoverage(t *testing.T) {
	for _, c := range []struct {
		name    string
		sample  sim.Sample
		n, held int
	}{
		{"within", sim.Sample{Error: 5, MaxError: 10, Bounded: true}, 1, 1},
		{"beyond", sim.Sample{Error: -50, MaxError: 10, Bounded: true}, 1, 0},
		{"locked without a bound", sim.Sample{Locked: true}, 1, 0}, {"nothing known yet", sim.Sample{}, 0, 0},
	} {
		n, held := coverage([]sim.Sample{c.sample})
		if n != c.n || held != c.held {
			t.Errorf("%s: %d count, %d held; want %d and %d", c.name, n, held, c.n, c.held)
		}
	}
}
