// SPDX-License-Identifier: Apache-2.0

package estimate_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/lockstep-time/lockstep/estimate"
)

const (
	least = 200.0 // ns, of a path
	tick  = int64(1e9)
)

// TestFloorIsHardlyEverTooHigh adds two exponential delays to the least one, as a way there and back does.
func TestFloorIsHardlyEverTooHigh(t *testing.T) {
	for _, jitter := range []float64{1, 10, 100, 1e4} {
		for seed := range uint64(200) {
			rng := rand.New(rand.NewPCG(seed, 1))
			var f estimate.Floor
			for i := range int64(2000) {
				f.Add(i*tick, least+jitter*(rng.ExpFloat64()+rng.ExpFloat64()))
				if got := f.Least(); got > least+jitter/4 {
					t.Fatalf("jitter %g, seed %d, delay %d: %g ns, and the path has %g", jitter, seed, i, got, least)
				}
			}
			if got := f.Least(); got < least-jitter && jitter < least {
				t.Errorf("jitter %g, seed %d: only %g ns of %g are found", jitter, seed, got, least)
			}
		}
	}
}

func TestFloorTakesItsTime(t *testing.T) {
	var f estimate.Floor
	for i := range int64(300) {
		f.Add(i*tick/8, least)
	}
	if got := f.Least(); got != 0 {
		t.Errorf("%g ns after less than a minute: a queue may not have been empty yet", got)
	}
	for i := int64(300); i < 600; i++ {
		f.Add(i*tick/8, least)
	}
	if got := f.Least(); got != least {
		t.Errorf("%g ns, want %g", got, least)
	}
}

// TestFloorOnlySinks has the path become longer, then shorter than before.
func TestFloorOnlySinks(t *testing.T) {
	var f estimate.Floor
	now := int64(0)
	add := func(n int, delay float64) {
		for range n {
			now += tick
			f.Add(now, delay)
		}
	}
	add(200, least)
	add(5000, least+20_000)
	if got := f.Least(); got > least {
		t.Errorf("%g ns: the path may have become longer in one direction only", got)
	}
	add(1, 50)
	if got := f.Least(); got > 50 {
		t.Errorf("%g ns, and a delay was 50", got)
	}
	f.Forget()
	if got := f.Least(); got != 0 || math.IsNaN(got) {
		t.Errorf("%g ns after it was emptied", got)
	}
}
