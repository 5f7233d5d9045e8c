// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"testing"

	"gonum.org/v1/plot/plotter"
)

func flat(n int, y float64) plotter.XYs {
	points := make(plotter.XYs, n)
	for i := range points {
		points[i] = plotter.XY{X: float64(i), Y: y}
	}
	return points
}

// TestErrorAxis: a band that is much wider than the errors are usually gets an axis on which both can be seen.
func TestErrorAxis(t *testing.T) {
	c := curves{low: flat(10, -40), high: flat(10, 50), bound: flat(10, 900)}
	if log, most := errorAxis([]curves{c}); log != nil || most != 900 {
		t.Errorf("a logarithmic axis for errors of 50 ns in a band of %g", most)
	}
	c.bound[3].Y = 120_000
	log, most := errorAxis([]curves{c})
	if log == nil || most != 120_000 {
		t.Fatalf("%v up to %g ns, want a logarithmic axis up to 120000", log, most)
	}
	if at := log.Normalize(-most, most, 50); at < 0.55 || at > 0.75 {
		t.Errorf("50 ns are at %g of the axis", at)
	}
	low, middle, high := log.Normalize(-most, most, -most), log.Normalize(-most, most, 0), log.Normalize(-most, most, most)
	if low != 0 || middle != 0.5 || high != 1 {
		t.Errorf("the axis has its ends at %g and %g, and 0 at %g", low, high, middle)
	}
}

func TestTicks(t *testing.T) {
	got := ""
	for _, tick := range (signedLog{10}).Ticks(-200, 20_000) {
		got += fmt.Sprintf("%g=%s|", tick.Value, tick.Label)
	}
	if want := "0=0|10=10 ns|-10=-10 ns|100=100 ns|-100=-100 ns|1000=1 µs|10000=10 µs|"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, tick := range (wholeTicks{}).Ticks(0, 12500) {
		if tick.Label != "" && tick.Label != fmt.Sprint(tick.Value) {
			t.Errorf("%g has the label %s", tick.Value, tick.Label)
		}
	}
}
