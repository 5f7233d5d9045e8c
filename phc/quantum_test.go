// SPDX-License-Identifier: Apache-2.0

package phc_test

import (
	"math"
	"testing"

	"github.com/lockstep-time/lockstep/phc"
	"github.com/lockstep-time/lockstep/phc/phctest"
)

func TestFrequencyQuantum(t *testing.T) {
	for _, c := range []struct {
		driver string
		most   float64
		want   float64
	}{
		{"igb", 999_999_881, 1e9 / 8388608.}, // 82576: 119.2 ppb
		{"igb", 62_499_999, 0},               // 82580, i210, i350: below 1 ppb
		{"igc", 999_999_881, 0}, {"ice", 100_000_000, 0}, {"", 0, 0},
	} {
		if got := phc.FrequencyQuantum(c.driver, c.most); got != c.want {
			t.Errorf("%s with ±%.0f ppb: %v, want %v", c.driver, c.most, got, c.want)
		}
	}
}

func TestQuantize(t *testing.T) {
	for _, c := range []struct{ ppb, set, applied float64 }{
		{0, 0, 0}, {4.9, 0, 0}, {-4.9, 0, 0}, {5, 15, 10}, {-5, -15, -10},
		{10, 15, 10}, {14.9, 15, 10}, {15.1, 25, 20}, {-10, -15, -10}, {-1004, -1005, -1000},
	} {
		if set, applied := phc.Quantize(c.ppb, 10); set != c.set || applied != c.applied {
			t.Errorf("%v ppb: set %v, applied %v, want %v, %v", c.ppb, set, applied, c.set, c.applied)
		}
	}
}

// A clock that cuts off as the 82576 does runs as Quantize says, though the kernel rounds what is set to its own unit.
func TestQuantizeIsWhatTheClockDoes(t *testing.T) {
	const max82576 = 999_999_881
	quantum := phc.FrequencyQuantum("igb", max82576)
	f := phctest.New(phctest.Config{Now: newWorld().Now, Quantum: quantum, Caps: phc.Caps{MaxAdjust: max82576}})
	r := seeded()
	for range 10_000 {
		ppb := (r.Float64() - 0.5) * 2 * math.Pow(10, 9*r.Float64())
		set, applied := phc.Quantize(ppb, quantum)
		if math.Abs(applied-ppb) > quantum/2*(1+1e-9) {
			t.Fatalf("%v ppb: %v is not the nearest multiple of %v", ppb, applied, quantum)
		}
		if math.Abs(set) > f.MaxFrequency() {
			continue
		}
		if err := f.SetFrequency(set); err != nil {
			t.Fatal(err)
		}
		if got := f.Adjustment(); math.Abs(got-applied) > 1e-6 {
			t.Fatalf("%v ppb, set as %v: the clock does %v, want %v", ppb, set, got, applied)
		}
	}
}
