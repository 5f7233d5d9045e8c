// SPDX-License-Identifier: Apache-2.0

package estimate_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/lockstep-time/lockstep/estimate"
)

const stamps = 4.0 // ns

// TestPlateauAverages has delays scatter as queues make them; now and then one is absurd.
func TestPlateauAverages(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var p estimate.Plateau
	for i := range 2000 {
		delay := 200 + 100*(rng.ExpFloat64()+rng.ExpFloat64())
		if i%100 == 99 {
			delay += 1e6
		}
		p.Add(delay, stamps)
		if mean, n := p.Mean(); i > 300 && (math.Abs(mean-400) > 50 || n != 256) {
			t.Fatalf("after %d delays the mean of %d is %.0f ns, want 400", i, n, mean)
		}
	}
}

func TestPlateauStartsAnewWhereDelaysChange(t *testing.T) {
	for _, to := range []float64{20_400, 100} {
		rng := rand.New(rand.NewPCG(1, 3))
		var p estimate.Plateau
		for range 300 {
			p.Add(400+10*rng.NormFloat64(), stamps)
		}
		for range 4 {
			p.Add(to+10*rng.NormFloat64(), stamps)
		}
		if mean, n := p.Mean(); math.Abs(mean-to) > 30 || n != 4 {
			t.Errorf("mean %.0f of %d delays once four in a row were about %.0f ns", mean, n, to)
		}
		p.Forget()
		if _, n := p.Mean(); n != 0 {
			t.Errorf("%d delays after it was emptied", n)
		}
	}
}

// TestPlateauBeginsWithAnOddDelay has one of the very first delays be absurd.
func TestPlateauBeginsWithAnOddDelay(t *testing.T) {
	for odd := range 6 {
		rng := rand.New(rand.NewPCG(1, uint64(odd)))
		var p estimate.Plateau
		for i := range 12 {
			delay := 400 + 10*rng.NormFloat64()
			if i == odd {
				delay += 200_000
			}
			p.Add(delay, stamps)
			if mean, n := p.Mean(); n >= 4 && math.Abs(mean-400) > 50 {
				t.Errorf("the %d. delay was absurd: mean %.0f of %d", odd+1, mean, n)
			}
		}
		for range 4 {
			p.Add(5400, stamps)
		}
		if mean, _ := p.Mean(); math.Abs(mean-5400) > 10 {
			t.Errorf("the %d. delay was absurd: the path has become longer, and the mean is %.0f", odd+1, mean)
		}
	}
}
