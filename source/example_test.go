// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"fmt"
	"time"

	"github.com/lockstep-time/lockstep/source"
)

// Three sources say by how much the host's time is off; one of them cannot be right if the others are.
func ExampleSelector() {
	const us, ms = time.Microsecond, time.Millisecond
	candidates := []source.Candidate{
		{ID: "ptp:eth0", Kind: source.PTP, State: source.Usable, Offset: 2 * us, Sigma: us, MaxError: 10 * us},
		{ID: "ntp:192.0.2.1", Kind: source.NTP, State: source.Usable, Offset: -ms, Sigma: ms, MaxError: 5 * ms},
		{ID: "ntp:192.0.2.2", Kind: source.NTP, State: source.Usable, Offset: 90 * ms, Sigma: ms, MaxError: 5 * ms},
	}
	s := source.NewSelector(source.Policy{MinSources: 1, MaxDistance: time.Second,
		Kinds: []source.Kind{source.PTP, source.NTP}})
	result := s.Select(candidates, source.Own{})
	for i, v := range result.Verdicts {
		fmt.Printf("%s: %v: %v\n", candidates[i].ID, v.State, v.Reason)
	}
	// Output:
	// ptp:eth0: selected: best of the 2 of 3 sources that agree
	// ntp:192.0.2.1: usable: ptp:eth0 ranks higher
	// ntp:192.0.2.2: falseticker: offset 90ms ± 5ms does not overlap with the 2 of 3 sources that agree
}
