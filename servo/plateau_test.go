// SPDX-License-Identifier: Apache-2.0

package servo_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/lockstep-time/lockstep/servo"
)

const stamps = 4.0 // ns

// TestPlateauAverages has delays scatter as queues make them; now and then one is absurd.
func TestPlateauAverages(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var p servo.Plateau
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
		var p servo.Plateau
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
