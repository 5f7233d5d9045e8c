// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"testing"

	"github.com/lockstep-time/lockstep/sim"
	"github.com/lockstep-time/lockstep/status"
)

// TestCoverage: a second without a bound is a miss where the host says that it knows the time.
func TestCoverage(t *testing.T) {
	within, beyond := sim.Sample{Error: 5, MaxError: 10, Bounded: true}, sim.Sample{Error: -50, MaxError: 10, Bounded: true}
	for _, c := range []struct {
		name    string
		sample  sim.Sample
		state   status.State
		n, held int
	}{
		{"within", within, status.Acquiring, 1, 1}, {"beyond", beyond, status.Unsynchronised, 1, 0},
		{"locked without a bound", sim.Sample{}, status.Locked, 1, 0}, {"holdover without a bound", sim.Sample{}, status.Holdover, 1, 0},
		{"nothing known yet", sim.Sample{}, status.Starting, 0, 0}, {"acquiring without a bound", sim.Sample{}, status.Acquiring, 0, 0},
	} {
		n, held := coverage([]sim.Sample{c.sample}, []sim.HostSample{{State: c.state}})
		if n != c.n || held != c.held {
			t.Errorf("%s: %d count, %d held; want %d and %d", c.name, n, held, c.n, c.held)
		}
	}
}
