package report

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"slipway/internal/chart"
	"slipway/internal/palette"
)

// dotRow is a line of a dot plot: a setting with a value from each seed.
type dotRow struct {
	name   string
	values []float64
	// mean and interval are drawn if the interval is there, and wide too if it
	// is.
	mean           float64
	interval, wide *[2]float64
}

// dotPlot shows each row's values as dots, the mean and its interval over them.
func dotPlot(rows []dotRow, x string, zero bool) ([]byte, error) {
	p := chart.New("", x, "")
	ticks := make([]plot.Tick, len(rows))
	for i, row := range rows {
		y := float64(len(rows) - 1 - i)
		ticks[i] = plot.Tick{Value: y, Label: row.name}
		if err := addDots(p, row, y); err != nil {
			return nil, err
		}
	}
	p.Y.Tick.Marker = plot.ConstantTicks(ticks)
	p.Y.Tick.LineStyle.Width, p.Y.LineStyle.Width = 0, 0
	p.Y.Min, p.Y.Max = -0.6, float64(len(rows))-0.4
	if zero {
		p.X.Min, p.X.Max = min(p.X.Min, 0), max(p.X.Max, 0)
		line, err := plotter.NewLine(plotter.XYs{{X: 0, Y: p.Y.Min}, {X: 0, Y: p.Y.Max}})
		if err != nil {
			return nil, err
		}
		line.Color, line.Dashes = color.Gray{100}, []vg.Length{vg.Points(3), vg.Points(3)}
		p.Add(line)
	}
	room(p)
	return chart.SVG([][]*plot.Plot{{p}}, nil, chart.PageWidth,
		vg.Length(len(rows))*0.75*vg.Centimeter+2.2*vg.Centimeter)
}

// room widens the range a little, and a range of one value enough to have ticks.
func room(p *plot.Plot) {
	width := p.X.Max - p.X.Min
	if !(width > 0) {
		width = max(math.Abs(p.X.Max), 1) * 0.01
	}
	p.X.Min, p.X.Max = p.X.Min-0.03*width, p.X.Max+0.03*width
}

func addDots(p *plot.Plot, row dotRow, y float64) error {
	if len(row.values) > 0 {
		points := make(plotter.XYs, len(row.values))
		for i, v := range row.values {
			points[i] = plotter.XY{X: v, Y: y - 0.18}
		}
		dots, err := plotter.NewScatter(points)
		if err != nil {
			return fmt.Errorf("dots of %s: %w", row.name, err)
		}
		dots.GlyphStyle = draw.GlyphStyle{Color: chart.Translucent(palette.Colour(0), 0.45),
			Radius: vg.Points(2.2), Shape: draw.CircleGlyph{}}
		p.Add(dots)
	}
	bar := func(interval *[2]float64, width vg.Length, c color.Color) error {
		if interval == nil {
			return nil
		}
		line, err := plotter.NewLine(plotter.XYs{{X: interval[0], Y: y + 0.12},
			{X: interval[1], Y: y + 0.12}})
		if err != nil {
			return fmt.Errorf("interval of %s: %w", row.name, err)
		}
		line.Width, line.Color = width, c
		p.Add(line)
		return nil
	}
	if err := bar(row.wide, vg.Points(1), color.Gray{90}); err != nil {
		return err
	}
	if err := bar(row.interval, vg.Points(3), palette.Colour(1)); err != nil {
		return err
	}
	mean, err := plotter.NewScatter(plotter.XYs{{X: row.mean, Y: y + 0.12}})
	if err != nil {
		return fmt.Errorf("mean of %s: %w", row.name, err)
	}
	mean.GlyphStyle = draw.GlyphStyle{Color: palette.Colour(1), Radius: vg.Points(3.4),
		Shape: draw.CircleGlyph{}}
	p.Add(mean)
	return nil
}
