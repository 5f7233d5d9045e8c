// SPDX-License-Identifier: Apache-2.0

package stability

import (
	"math"
	"time"
)

// Sample is a phase and when it was measured, both in nanoseconds.
type Sample struct {
	At, Phase int64
}

// Resample makes a series of phases, one every interval from the first sample on, of samples that were taken about every
// interval. Phases are relative to the first sample's, so that none is lost to rounding, and stay what they were measured to
// be but for the mean rate over the time that each came early or late: interpolating would average neighbours, and so their
// noise. It interpolates, linearly, only where no sample is within an eighth of an interval, and counts how often; that is
// everywhere if the samples are not about interval apart. Samples that do not advance in time are skipped.
func Resample(samples []Sample, interval time.Duration) (phases []float64, interpolated int) {
	if len(samples) == 0 || interval <= 0 {
		return nil, 0
	}
	samples = advancing(samples)
	first, last := samples[0], samples[len(samples)-1]
	if (last.At-first.At)/int64(interval) > int64(4*len(samples)) {
		return nil, 0 // mostly gaps: nothing that could be called a series
	}
	slots, step := place(samples, float64(interval))
	if math.Abs(step/float64(interval)-1) > 0.01 {
		if math.Abs(step-float64(interval))*float64(slots[len(slots)-1]) > float64(interval)/2 {
			phases = interpolate(samples, float64(interval))
			return phases, len(phases)
		}
		step = float64(interval) // a short series whose last sample is late
	}
	phases = interpolate(samples, step)
	if n := slots[len(slots)-1] + 1; len(phases) < n { // the last grid point may be beyond the last sample by a rounding
		phases = append(phases, float64(last.Phase-first.Phase))
	}
	taken := 0
	rate := 0.0
	if len(samples) > 1 {
		rate = float64(last.Phase-first.Phase) / float64(last.At-first.At)
	}
	previous := -1
	for i, s := range samples {
		early := float64(slots[i])*step - float64(s.At-first.At)
		if slots[i] == previous || slots[i] >= len(phases) || math.Abs(early) > step/8 {
			continue
		}
		phases[slots[i]] = float64(s.Phase-first.Phase) + rate*early
		previous = slots[i]
		taken++
	}
	return phases, len(phases) - taken
}

// advancing returns the samples that are later than all before.
func advancing(samples []Sample) []Sample {
	kept := make([]Sample, 0, len(samples))
	for _, s := range samples {
		if len(kept) == 0 || s.At > kept[len(kept)-1].At {
			kept = append(kept, s)
		}
	}
	return kept
}

// place gives each sample its number in the series, and returns how far apart those are by the clock of the samples, which
// need not run at the rate of the timer that took them.
func place(samples []Sample, interval float64) (slots []int, step float64) {
	slots = make([]int, len(samples))
	for i := 1; i < len(samples); i++ {
		ahead := float64(samples[i].At-samples[i-1].At) / interval
		slots[i] = slots[i-1] + int(math.Round(ahead))
	}
	n := slots[len(slots)-1]
	if n == 0 {
		return slots, interval
	}
	return slots, float64(samples[len(samples)-1].At-samples[0].At) / float64(n)
}

// interpolate puts samples onto a grid.
func interpolate(samples []Sample, step float64) []float64 {
	first, left := samples[0], samples[0]
	grid := []float64{0}
	for _, right := range samples[1:] {
		slope := float64(right.Phase-left.Phase) / float64(right.At-left.At)
		for {
			at := float64(len(grid)) * step
			if at > float64(right.At-first.At) {
				break
			}
			grid = append(grid, float64(left.Phase-first.Phase)+slope*(at-float64(left.At-first.At)))
		}
		left = right
	}
	return grid
}
