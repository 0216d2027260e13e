package main

import (
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
)

var colours = map[string]color.Color{
	nameMount: color.RGBA{0x1b, 0x6c, 0xa8, 0xff},
	nameAsync: color.RGBA{0x7a, 0xb8, 0xe0, 0xff},
	nameSSHFS: color.RGBA{0xc0, 0x39, 0x2b, 0xff},
	nameClone: color.RGBA{0xe6, 0x9f, 0x2e, 0xff},
	nameSSH:   color.RGBA{0x6b, 0x6b, 0x6b, 0xff},
	nameSFTP:  color.RGBA{0xb5, 0xb5, 0xb5, 0xff},
}

// chart draws the works of one line and kind as groups of bars; false where there are none.
// Times are drawn on a logarithmic scale, since they differ by factors of a hundred.
func (t *table) chart(p *profile, bulk bool, file string) (bool, error) {
	works, peers := t.shown(p)
	var names []string
	var rows []*work
	for _, w := range works {
		if w.bulk == bulk {
			rows = append(rows, w)
			names = append(names, strings.ReplaceAll(w.name, ", ", ",\n"))
		}
	}
	if len(rows) == 0 {
		return false, nil
	}
	pl := plot.New()
	pl.Title.Text = p.describe()
	pl.Legend.Top = true
	pl.Y.Label.Text = "MB/s (more is better)"
	lowest, highest := math.Inf(1), 0.0
	each := func(f func(v float64)) {
		for _, w := range rows {
			for _, pe := range peers {
				if c := t.cell(p.name, w.name, pe.name); c.usable() {
					f(height(c))
				}
			}
		}
	}
	each(func(v float64) { lowest, highest = min(lowest, v), max(highest, v) })
	if math.IsInf(lowest, 1) {
		return false, nil
	}
	floor := 0.0
	if !bulk {
		floor = math.Pow(10, math.Floor(math.Log10(lowest))-0.3)
		pl.Y.Label.Text = "seconds (less is better)"
		pl.Y.Scale = plot.LogScale{}
		pl.Y.Tick.Marker = plot.LogTicks{Prec: -1}
	}
	width := vg.Points(56 / float64(len(peers)))
	for i, pe := range peers {
		values := make(plotter.Values, len(rows))
		for j, w := range rows {
			values[j] = floor
			if c := t.cell(p.name, w.name, pe.name); c.usable() {
				values[j] = height(c)
			}
		}
		// Bars reach down to zero, which a logarithmic scale does not have: clip draws them to the floor.
		bars, err := newBars(values, floor, width)
		if err != nil {
			return false, err
		}
		bars.Color = colours[pe.name]
		bars.LineStyle.Width = 0
		bars.Offset = width * vg.Length(float64(i)-float64(len(peers)-1)/2)
		pl.Add(bars)
		pl.Legend.Add(pe.name, bars)
	}
	pl.NominalX(names...)
	pl.X.Tick.Label.Rotation = math.Pi / 5
	pl.X.Tick.Label.XAlign = text.XRight
	pl.X.Tick.Label.YAlign = text.YCenter
	pl.Y.Min, pl.Y.Max = floor, highest*1.25
	if !bulk {
		pl.Y.Max = highest * 3
	}
	return true, pl.Save(vg.Length(len(rows))*vg.Points(78)+vg.Points(140), vg.Points(420), file)
}

func height(c cell) float64 {
	if c.work.bulk {
		return c.value / 1e6
	}
	return c.value
}

// newBars makes bars that stand on floor instead of zero.
func newBars(values plotter.Values, floor float64, width vg.Length) (*plotter.BarChart, error) {
	bars, err := plotter.NewBarChart(values, width)
	if err != nil || floor == 0 {
		return bars, err
	}
	base := make(plotter.Values, len(values))
	above := make(plotter.Values, len(values))
	for i, v := range values {
		base[i], above[i] = floor, v-floor
	}
	under, err := plotter.NewBarChart(base, width)
	if err != nil {
		return nil, err
	}
	if bars, err = plotter.NewBarChart(above, width); err != nil {
		return nil, err
	}
	bars.StackOn(under)
	return bars, nil
}
