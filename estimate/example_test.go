// SPDX-License-Identifier: Apache-2.0

package estimate_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/lockstep-time/lockstep/estimate"
)

// An oscillator that is 1000 ppb fast is measured once a second, with a noise of 50 ns.
func ExampleEstimator() {
	const noise = 50
	rng := rand.New(rand.NewPCG(1, 2))
	e := estimate.New()
	for s := range int64(300) {
		offset := 1000*s + int64(noise*rng.NormFloat64())
		e.Observe(estimate.Observation{Time: s * 1e9, Offset: offset, Variance: noise * noise})
	}
	base, state := e.At(300e9)
	fmt.Printf("%d µs ahead, %d ppb fast\n", (base+int64(math.Round(state.Offset))+500)/1000,
		int64(math.Round(state.Frequency)))
	verdict := e.Observe(estimate.Observation{Time: 300e9, Offset: 400_000, Variance: noise * noise})
	fmt.Println("100 µs more is an outlier:", verdict == estimate.Outlier)
	// Output:
	// 300 µs ahead, 1000 ppb fast
	// 100 µs more is an outlier: true
}
