// SPDX-License-Identifier: Apache-2.0

package report

import (
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
)

// signedLog is an axis of ns for values of either sign that differ by orders of magnitude: linear up to about linear, and
// logarithmic beyond.
type signedLog struct{ linear float64 }

func (s signedLog) scale(ns float64) float64 { return math.Asinh(ns / s.linear) }

// Normalize implements plot.Normalizer.
func (s signedLog) Normalize(least, most, ns float64) float64 {
	return (s.scale(ns) - s.scale(least)) / (s.scale(most) - s.scale(least))
}

// Ticks implements plot.Ticker: 0, and powers of ten with their units.
func (s signedLog) Ticks(least, most float64) []plot.Tick {
	ticks := []plot.Tick{{Value: 0, Label: "0"}}
	for ns := s.linear; ns <= max(-least, most); ns *= 10 {
		ticks = append(ticks, plot.Tick{Value: ns, Label: decade(ns)}, plot.Tick{Value: -ns, Label: "-" + decade(ns)})
	}
	return slices.DeleteFunc(ticks, func(t plot.Tick) bool { return t.Value < least || t.Value > most })
}

// decade names a power of ten of ns without digits that say nothing.
func decade(ns float64) string {
	for _, u := range []struct {
		ns   float64
		name string
	}{{1e9, " s"}, {1e6, " ms"}, {1e3, " µs"}} {
		if ns >= u.ns {
			return strconv.FormatFloat(math.Round(ns/u.ns), 'f', -1, 64) + u.name
		}
	}
	return strconv.FormatFloat(ns, 'g', 3, 64) + " ns"
}

// muchWider is from which multiple of the usual error on the widest maximum error gets a logarithmic axis.
const muchWider = 30

// errorAxis returns the axis on which all of the curves and bands can be seen: nil for a linear one.
func errorAxis(all []curves) (log *signedLog, most float64) {
	var errors []float64
	most = 1
	for _, c := range all {
		for i := range c.low {
			e := max(math.Abs(c.low[i].Y), math.Abs(c.high[i].Y))
			errors = append(errors, e)
			most = max(most, e, c.bound[i].Y)
		}
	}
	if len(errors) == 0 {
		return nil, most
	}
	slices.Sort(errors)
	usual := max(1, errors[len(errors)/2])
	if most <= muchWider*usual {
		return nil, most
	}
	return &signedLog{math.Pow(10, math.Floor(math.Log10(usual)))}, most
}

// wholeTicks are ticks whose labels have no more digits than they need.
type wholeTicks struct{}

// Ticks implements plot.Ticker.
func (wholeTicks) Ticks(least, most float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(least, most)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = strconv.FormatFloat(ticks[i].Value, 'g', 10, 64)
		}
	}
	return ticks
}
