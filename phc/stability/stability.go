// SPDX-License-Identifier: Apache-2.0

// Package stability measures how steady a clock runs: Allan deviation, time deviation and maximum time interval error of
// a series of its phase (IEEE 1139-2022, ITU-T G.810 appendix II).
package stability

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// ErrTooFew: the series is too short for what is asked of it.
var ErrTooFew = errors.New("too few samples")

// Point is the statistics at one averaging time.
type Point struct {
	// Tau is the averaging time.
	Tau time.Duration `json:"tau_ns"`
	// ADEV is the overlapping Allan deviation, a ratio: 1e-9 is 1 ppb. 0 where the series is too short for it.
	ADEV float64 `json:"adev"`
	// TDEV is the time deviation in nanoseconds; nil where the series is too short for it.
	TDEV *float64 `json:"tdev_ns,omitempty"`
	// MTIE is the largest peak-to-peak phase within any window of Tau, in nanoseconds.
	MTIE float64 `json:"mtie_ns"`
	// N is the number of terms that ADEV averages.
	N int `json:"n"`
}

// Analyse returns the statistics of phases in nanoseconds, taken every interval, at the averaging times 1, 2, 4, … times
// interval, up to half of the series. Only differences matter, so any constant may have been subtracted.
func Analyse(phases []float64, interval time.Duration) ([]Point, error) {
	if len(phases) < 4 || interval <= 0 {
		return nil, fmt.Errorf("stability of %d samples every %v: %w: 4 are needed, at a positive interval",
			len(phases), interval, ErrTooFew)
	}
	var points []Point
	for m := 1; m <= (len(phases)-1)/2; m *= 2 {
		tau := time.Duration(m) * interval
		adev, n := ADEV(phases, interval, m)
		p := Point{Tau: tau, ADEV: adev, MTIE: MTIE(phases, m), N: n}
		if len(phases) >= 3*m {
			tdev := TDEV(phases, m)
			p.TDEV = &tdev
		}
		points = append(points, p)
	}
	return points, nil
}

// ADEV returns the overlapping Allan deviation at m times interval, and the number of terms; both are 0 if there are fewer
// than 2m + 1 phases.
func ADEV(phases []float64, interval time.Duration, m int) (deviation float64, n int) {
	n = len(phases) - 2*m
	if m < 1 || n < 1 {
		return 0, 0
	}
	sum := 0.0
	for i := range n {
		d := phases[i+2*m] - 2*phases[i+m] + phases[i]
		sum += d * d
	}
	return math.Sqrt(sum/(2*float64(n))) / (float64(m) * float64(interval)), n
}

// TDEV returns the time deviation at an averaging time of m intervals, in the unit of the phases; 0 if there are fewer than
// 3m.
func TDEV(phases []float64, m int) float64 {
	n := len(phases) - 3*m + 1
	if m < 1 || n < 1 {
		return 0
	}
	// The inner sum over m second differences moves along the series; it is updated instead of summed again.
	inner := 0.0
	for i := range m {
		inner += phases[i+2*m] - 2*phases[i+m] + phases[i]
	}
	sum := inner * inner
	for j := 1; j < n; j++ {
		inner += phases[j+3*m-1] - 3*phases[j+2*m-1] + 3*phases[j+m-1] - phases[j-1]
		sum += inner * inner
	}
	return math.Sqrt(sum/(6*float64(n))) / float64(m)
}

// MTIE returns the largest difference between two phases no more than m intervals apart; 0 if there are fewer than m + 1.
func MTIE(phases []float64, m int) float64 {
	if m < 1 || len(phases) <= m {
		return 0
	}
	// Indices of the candidates for the window's maximum and minimum, each a decreasing or increasing run.
	var high, low []int
	widest := 0.0
	for i, x := range phases {
		for len(high) > 0 && phases[high[len(high)-1]] <= x {
			high = high[:len(high)-1]
		}
		for len(low) > 0 && phases[low[len(low)-1]] >= x {
			low = low[:len(low)-1]
		}
		high, low = append(high, i), append(low, i)
		if high[0] < i-m {
			high = high[1:]
		}
		if low[0] < i-m {
			low = low[1:]
		}
		widest = max(widest, phases[high[0]]-phases[low[0]])
	}
	return widest
}
