// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/internal/files"
	"github.com/lockstep-time/lockstep/sim"
	"github.com/lockstep-time/lockstep/sim/scenario"
	"github.com/lockstep-time/lockstep/source"
)

const (
	plotWidth, plotHeight = 640, 420
	stripHeight           = 30
	margin                = 8
	// columns is how many points a curve has at most: the extremes of each stretch.
	columns = 160
)

// PlotFile writes a file with the plot of a host in a run, as Plot does: SVG, or PNG where the name ends in .png.
func PlotFile(name string, r *scenario.Result, host string) error {
	f, err := files.Create(name)
	if err != nil {
		return fmt.Errorf("write plot: %w", err)
	}
	width, height := vg.Points(plotWidth), vg.Points(plotHeight)
	var c canvas = vgsvg.New(width, height)
	if strings.HasSuffix(name, ".png") {
		c = vgimg.PngCanvas{Canvas: vgimg.New(width, height)}
	}
	err = plotOn(c, r, host)
	if err == nil {
		_, err = c.WriteTo(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write plot %s: %w", name, err)
	}
	return nil
}

// canvas is what can be drawn on and then written.
type canvas interface {
	vg.CanvasSizer
	io.WriterTo
}

// palette has a colour for each source in the order in which they were followed.
func palette() []color.Color {
	return []color.Color{color.RGBA{31, 119, 180, 255}, color.RGBA{255, 127, 14, 255}, color.RGBA{44, 160, 44, 255},
		color.RGBA{148, 103, 189, 255}, color.RGBA{140, 86, 75, 255}, color.RGBA{227, 119, 194, 255},
		color.RGBA{188, 189, 34, 255}, color.RGBA{23, 190, 207, 255}}
}

// curves are what is drawn of one clock.
type curves struct {
	id                    clock.ID
	low, high, bound, ppb plotter.XYs
}

// Plot writes, as SVG, the host of that name in a run, the first one without a name: the true error of its clocks with the
// stated maximum error as a band, the source that is followed as a strip, and the clocks' true frequency error below.
func Plot(w io.Writer, r *scenario.Result, host string) error {
	c := vgsvg.New(vg.Points(plotWidth), vg.Points(plotHeight))
	if err := plotOn(c, r, host); err != nil {
		return err
	}
	_, err := c.WriteTo(w)
	return err
}

func plotOn(c vg.CanvasSizer, r *scenario.Result, host string) error {
	h := r.Hosts[max(0, slices.IndexFunc(r.Hosts, func(h *sim.Host) bool { return h.Name() == host }))]
	from := settled(h)
	var all []curves
	for _, id := range h.Clocks() {
		all = append(all, curvesOf(h.Samples(id), id, from))
	}
	top, bottom := plot.New(), plot.New()
	top.Title.Text = r.Title() + ": " + h.Name()
	bottom.Y.Label.Text = "frequency error, ppb"
	bottom.X.Label.Text = "seconds"
	top.Y.Tick.Marker, bottom.Y.Tick.Marker = wholeTicks{}, wholeTicks{}
	if err := drawErrors(top, all); err != nil {
		return err
	}
	if err := drawFrequencies(bottom, all); err != nil {
		return err
	}
	end := float64(len(h.States()) - 1)
	for _, p := range []*plot.Plot{top, bottom} {
		p.X.Min, p.X.Max, p.X.Tick.Marker = float64(from), end, wholeTicks{}
		p.Add(plotter.NewGrid())
	}
	stretches := stretchesOf(h, from)
	if err := legend(top, stretches); err != nil {
		return err
	}
	whole := draw.New(c)
	third := vg.Length(plotHeight) * 0.34
	upper := draw.Crop(whole, 0, -margin, third+stripHeight, -margin)
	lower := draw.Crop(whole, 0, -margin, 0, -(vg.Length(plotHeight) - third))
	left, right := top.DataCanvas(upper).Min.X, bottom.DataCanvas(lower).Min.X
	upper, lower = draw.Crop(upper, max(0, right-left), 0, 0, 0), draw.Crop(lower, max(0, left-right), 0, 0, 0)
	top.Draw(upper)
	bottom.Draw(lower)
	area := top.DataCanvas(upper).Rectangle
	area.Max.Y = third + stripHeight - 6
	area.Min.Y = third + 8
	drawStrip(whole, area, stretches, float64(from), end)
	return nil
}

// settled is the second from which on curves are drawn: before, the clocks are far off.
func settled(h *sim.Host) int {
	for i, s := range h.States() {
		if s.State == "locked" {
			return i
		}
	}
	return 0
}

func curvesOf(samples []sim.Sample, id clock.ID, from int) curves {
	c := curves{id: id}
	step := max(1, (len(samples)-from+columns-1)/columns)
	for i := from; i < len(samples); i += step {
		part := samples[i:min(i+step, len(samples))]
		low, high, bound, ppb := math.Inf(1), math.Inf(-1), time.Duration(0), 0.0
		for _, s := range part {
			low, high = min(low, s.Error), max(high, s.Error)
			if s.Bounded {
				bound = max(bound, s.MaxError)
			}
			ppb += s.Frequency / float64(len(part))
		}
		x := float64(i) + float64(step-1)/2
		c.low, c.high = append(c.low, plotter.XY{X: x, Y: low}), append(c.high, plotter.XY{X: x, Y: high})
		c.bound = append(c.bound, plotter.XY{X: x, Y: float64(bound)})
		c.ppb = append(c.ppb, plotter.XY{X: x, Y: ppb})
	}
	return c
}

// unitFor returns a unit in ns that fits values up to most, and its name.
func unitFor(most float64) (float64, string) {
	switch {
	case most > 3e9:
		return 1e9, "s"
	case most > 3e6:
		return 1e6, "ms"
	case most > 3e3:
		return 1e3, "µs"
	}
	return 1, "ns"
}

// drawErrors draws the bands of the maximum errors behind the curves, on an axis on which both can be seen.
func drawErrors(p *plot.Plot, all []curves) error {
	colors := palette()
	log, most := errorAxis(all)
	unit := 1.0
	if log != nil {
		p.Y.Scale, p.Y.Tick.Marker, p.Y.Label.Text = log, log, "error"
	} else {
		var name string
		unit, name = unitFor(most)
		p.Y.Label.Text = "error, " + name
	}
	for k, c := range all {
		top := scaled(c.bound, unit)
		if err := band(p, top, scaled(c.bound, -unit), pale(colors[k%len(colors)], 40)); err != nil {
			return err
		}
	}
	for k, c := range all {
		high, low := scaled(c.high, unit), scaled(c.low, unit)
		if err := band(p, high, low, pale(colors[k%len(colors)], 130)); err != nil {
			return err
		}
		l, err := plotter.NewLine(high)
		if err != nil {
			return err
		}
		l.Color, l.Width = colors[k%len(colors)], vg.Points(0.6)
		p.Add(l)
		p.Legend.Add(c.id.String()+", pale: maximum error stated", l)
	}
	p.Legend.Top, p.Legend.Left, p.Legend.Padding = true, true, vg.Points(2)
	p.Legend.TextStyle.Font.Size = vg.Points(9)
	return nil
}

// band fills what is between two curves.
func band(p *plot.Plot, top, bottom plotter.XYs, c color.Color) error {
	points := append(plotter.XYs{}, top...)
	for i := len(bottom) - 1; i >= 0; i-- {
		points = append(points, bottom[i])
	}
	area, err := plotter.NewPolygon(points)
	if err != nil {
		return err
	}
	area.Color, area.LineStyle.Width = c, 0
	p.Add(area)
	return nil
}

func pale(c color.Color, alpha uint8) color.Color {
	r, g, b, _ := c.RGBA()
	return color.NRGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), alpha}
}

func scaled(points plotter.XYs, unit float64) plotter.XYs {
	list := make(plotter.XYs, len(points))
	for i, p := range points {
		list[i] = plotter.XY{X: p.X, Y: p.Y / unit}
	}
	return list
}

func drawFrequencies(p *plot.Plot, all []curves) error {
	colors := palette()
	for k, c := range all {
		l, err := plotter.NewLine(c.ppb)
		if err != nil {
			return err
		}
		l.Color, l.Width = colors[k%len(colors)], vg.Points(0.8)
		p.Add(l)
	}
	return nil
}

// stretch is a time in which one source was followed.
type stretch struct {
	id       source.ID
	from, to float64
	color    color.Color
}

// stretchesOf returns what was followed when; nothing is left out.
func stretchesOf(h *sim.Host, from int) (list []stretch) {
	states, colors, known := h.States(), palette(), map[source.ID]color.Color{}
	for i := from; i < len(states); {
		k := i
		for k < len(states) && states[k].Source == states[i].Source {
			k++
		}
		if id := states[i].Source; id != "" {
			if known[id] == nil {
				known[id] = colors[(len(known)+2)%len(colors)]
			}
			list = append(list, stretch{id, float64(i), float64(min(k, len(states)-1)), known[id]})
		}
		i = k
	}
	return list
}

// legend names the colours of the sources.
func legend(p *plot.Plot, list []stretch) error {
	seen := map[source.ID]bool{}
	for _, s := range list {
		if seen[s.id] {
			continue
		}
		seen[s.id] = true
		swatch, err := plotter.NewPolygon(plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 0}, {X: 1, Y: 1}})
		if err != nil {
			return err
		}
		swatch.Color, swatch.LineStyle.Width = s.color, 0
		p.Legend.Add("following "+string(s.id), swatch)
	}
	return nil
}

// drawStrip draws them side by side into an area that stands for the seconds from … to.
func drawStrip(c draw.Canvas, area vg.Rectangle, list []stretch, from, to float64) {
	x := func(second float64) vg.Length {
		return area.Min.X + vg.Length((second-from)/max(to-from, 1))*(area.Max.X-area.Min.X)
	}
	for _, s := range list {
		c.FillPolygon(s.color, []vg.Point{{X: x(s.from), Y: area.Min.Y}, {X: x(s.to), Y: area.Min.Y},
			{X: x(s.to), Y: area.Max.Y}, {X: x(s.from), Y: area.Max.Y}})
	}
}
