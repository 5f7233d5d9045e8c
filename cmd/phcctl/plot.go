// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"image/color"
	"path/filepath"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/lockstep-time/lockstep/internal/files"
)

const plotWidth, plotHeight = 24 * vg.Centimeter, 12 * vg.Centimeter

// checkPlotName refuses a form of picture that cannot be written, before anything is measured.
func checkPlotName(name string) error {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".svg", ".png", ".pdf":
		return nil
	}
	if name == "" {
		return nil
	}
	return usagef("--plot %s: want a name that ends in .svg, .png or .pdf", name)
}

// tryPlot finds out whether the file can be written, and leaves things as they are.
func tryPlot(name string) error {
	if name == "" {
		return nil
	}
	if err := files.Writable(name); err != nil {
		return fmt.Errorf("--plot: %w", err)
	}
	return nil
}

func savePlot(p *plot.Plot, name string) error {
	picture, err := p.WriterTo(plotWidth, plotHeight, strings.ToLower(strings.TrimPrefix(filepath.Ext(name), ".")))
	if err != nil {
		return fmt.Errorf("--plot: %w", err)
	}
	f, err := files.Create(name)
	if err != nil {
		return fmt.Errorf("--plot: %w", err)
	}
	_, err = picture.WriteTo(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("--plot: %w", err)
	}
	return nil
}

// plotOffsets draws offsets over time with their uncertainty as a band.
func plotOffsets(name string, all []comparison) error {
	p := plot.New()
	first := all[0]
	p.Title.Text = fmt.Sprintf("%s − %s", first.A, first.B)
	p.X.Label.Text = "seconds"
	p.Y.Label.Text = "offset, ns"
	base := first.Nanoseconds - first.Error
	if time.Duration(first.Error).Abs() > time.Second {
		base = first.Nanoseconds // so far off that a plot's numbers would not hold single nanoseconds
	}
	if base != 0 {
		p.Y.Label.Text = fmt.Sprintf("offset less %s, ns", span(base))
	}
	line := make(plotter.XYs, len(all))
	band := make(plotter.XYs, 2*len(all))
	for i, c := range all {
		x, y := float64(c.At-first.At)*1e-9, float64(c.Nanoseconds-base)
		line[i] = plotter.XY{X: x, Y: y}
		band[i] = plotter.XY{X: x, Y: y + float64(c.Uncertainty)}
		band[len(band)-1-i] = plotter.XY{X: x, Y: y - float64(c.Uncertainty)}
	}
	area, err := plotter.NewPolygon(band)
	if err != nil {
		return fmt.Errorf("--plot: %w", err)
	}
	area.Color, area.LineStyle.Width = color.RGBA{0xcc, 0xdd, 0xf0, 0xff}, 0
	curve, err := plotter.NewLine(line)
	if err != nil {
		return fmt.Errorf("--plot: %w", err)
	}
	curve.Color = color.RGBA{0x1f, 0x4e, 0x8c, 0xff}
	p.Add(plotter.NewGrid(), area, curve)
	return savePlot(p, name)
}

// plotStability draws the deviations over tau, both axes logarithmic, all in nanoseconds.
func plotStability(name string, s *stabilityInfo) error {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%s − %s, %d samples every %v", s.A, s.B, s.Samples, s.Interval)
	p.X.Label.Text, p.Y.Label.Text = "tau, s", "ns"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Legend.Top, p.Legend.Left = true, true
	var adev, tdev, mtie plotter.XYs
	for _, point := range s.Points {
		tau, deviation := point.Tau.Seconds(), 0.0
		if point.TDEV != nil {
			deviation = *point.TDEV
		}
		for _, to := range []struct {
			xy *plotter.XYs
			v  float64
		}{{&adev, point.ADEV * tau * 1e9}, {&tdev, deviation}, {&mtie, point.MTIE}} {
			if to.v > 0 { // a logarithmic axis has no place for anything else
				*to.xy = append(*to.xy, plotter.XY{X: tau, Y: to.v})
			}
		}
	}
	drawn := 0
	for _, series := range []struct {
		name  string
		xy    plotter.XYs
		color color.Color
	}{
		{"MTIE", mtie, color.RGBA{0xa0, 0x30, 0x30, 0xff}}, {"ADEV × tau", adev, color.RGBA{0x1f, 0x4e, 0x8c, 0xff}},
		{"TDEV", tdev, color.RGBA{0x2a, 0x7a, 0x3a, 0xff}},
	} {
		if len(series.xy) == 0 {
			continue
		}
		line, points, err := plotter.NewLinePoints(series.xy)
		if err != nil {
			return fmt.Errorf("--plot: %w", err)
		}
		line.Color, points.Color = series.color, series.color
		p.Add(line, points)
		p.Legend.Add(series.name, line, points)
		drawn += len(series.xy)
	}
	if drawn > 0 {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	} else { // the clocks did not part by a nanosecond
		p.Title.Text += ": no difference"
		p.X.Min, p.X.Max = s.Interval.Seconds(), s.Interval.Seconds()*float64(max(2, s.Samples))
		p.Y.Min, p.Y.Max = 0, 1
	}
	p.Add(plotter.NewGrid())
	return savePlot(p, name)
}
