// SPDX-License-Identifier: Apache-2.0

package estimate

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestDelaySpreadKnowsTheLeastDelay(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var d DelaySpread
	var alike, truth float64
	for range 1000 {
		there, back := rng.ExpFloat64()*1000, rng.ExpFloat64()*1000
		a, own := d.Variances(5000+there+back, 4)
		alike += a / 1000
		truth += (there - back) * (there - back) / 4 / 1000
		if own < 0 || math.IsNaN(own) {
			t.Fatalf("variance %g", own)
		}
	}
	if d.Min() < 5000 || d.Min() > 5500 {
		t.Errorf("least delay %g, want a little more than 5000", d.Min())
	}
	if d.mean < 1000 || d.mean > 3000 {
		t.Errorf("mean excess %g, want about 2000", d.mean)
	}
	if alike < truth/3 || alike > truth*3 {
		t.Errorf("variance %g for all delays alike, the true one is %g", alike, truth)
	}
}

func TestDelaySpreadPrefersQuickMeasurements(t *testing.T) {
	var d DelaySpread
	for i := range 20 {
		d.Variances(1000+float64(i%5)*100, 4)
	}
	_, quick := d.Variances(1000, 4)
	_, slow := d.Variances(9000, 4)
	if quick*100 > slow {
		t.Errorf("variance %g of a quick measurement, %g of one with 8 µs more", quick, slow)
	}
}

func TestDelaySpreadStarts(t *testing.T) {
	var d DelaySpread
	if d.Min() != 0 || d.mean != 0 {
		t.Errorf("empty: least %g, mean %g", d.Min(), d.mean)
	}
	alike, own := d.Variances(4000, 10)
	if alike != 100+1e6 || own != 0 {
		t.Errorf("first delay: %g and %g", alike, own)
	}
	d.Forget()
	if d.Min() != 0 {
		t.Errorf("least %g of a path that was forgotten", d.Min())
	}
}

func TestDelaySpreadForgetsOldPaths(t *testing.T) {
	var d DelaySpread
	d.Variances(100, 4)
	for range spreadMemory {
		d.Variances(700, 4)
	}
	if d.Min() != 700 {
		t.Errorf("least delay %g of %d at 700", d.Min(), spreadMemory)
	}
}

// TestDelaySpreadOutlastsAnAbsurdDelay has one delay of a second among thousands of nanoseconds.
func TestDelaySpreadOutlastsAnAbsurdDelay(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var d DelaySpread
	usual := func() (float64, float64) { return d.Variances(5000+1000*rng.ExpFloat64(), 4) }
	for range 100 {
		usual()
	}
	before := d.mean
	if _, own := d.Variances(1e9, 4); own < 1e16 {
		t.Errorf("variance %g of a measurement that took a second longer", own)
	}
	alike, own := usual()
	if d.mean > 2*before || alike > 1e7 || own > 1e8 {
		t.Errorf("mean excess %g, was %g; the next variances are %g and %g", d.mean, before, alike, own)
	}
}

// TestDelaySpreadFollowsTheTraffic has all delays scatter a hundred times more from some instant on.
func TestDelaySpreadFollowsTheTraffic(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var d DelaySpread
	for range 100 {
		d.Variances(5000+100*rng.ExpFloat64(), 4)
	}
	for range spreadMemory {
		d.Variances(5000+1e4*rng.ExpFloat64(), 4)
	}
	if d.mean < 5e3 || d.mean > 2e4 {
		t.Errorf("mean excess %g, want about 1e4", d.mean)
	}
}
