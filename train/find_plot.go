package train

import (
	"bytes"
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"slipway/internal/palette"
)

// SVG draws the loss by the learning rate, which goes by its logarithm: each step's, and the
// smoothed one as a line, with the points of its steepest fall and its lowest value. Losses far
// above the line are left out.
func (c RateCurve) SVG(title string) (svg []byte, err error) {
	defer func() {
		// The plot's packages panic where they cannot draw.
		if reason := recover(); reason != nil {
			svg, err = nil, fmt.Errorf("plot of learning rates: %v", reason)
		}
	}()
	p := newPlot(title, "loss")
	p.X.Label.Text = "learning rate"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Legend.Top, p.Legend.Left, p.Legend.XOffs = true, true, vg.Points(8)
	highest := 0.0
	var smoothed, single plotter.XYs
	for _, point := range c {
		if point.Smoothed <= drawnMost {
			highest = max(highest, point.Smoothed)
			smoothed = append(smoothed, plotter.XY{X: point.Rate, Y: point.Smoothed})
		}
	}
	for _, point := range c {
		if point.Loss <= 1.5*highest {
			single = append(single, plotter.XY{X: point.Rate, Y: point.Loss})
		}
	}
	if err := addMarks(p, single, "each step", 2, 1.2); err != nil {
		return nil, err
	}
	if len(smoothed) > 0 {
		line, err := plotter.NewLine(smoothed)
		if err != nil {
			return nil, fmt.Errorf("plot of learning rates: %w", err)
		}
		line.Color = palette.Colour(0)
		p.Add(line)
		p.Legend.Add("smoothed  ", line)
	}
	lowest := c.Lowest()
	marks := []struct {
		label string
		point RatePoint
		drawn bool
	}{{"lowest", lowest, true}, {"steepest", RatePoint{}, false}}
	marks[1].point, marks[1].drawn = c.Steepest()
	for i, mark := range marks {
		if !mark.drawn || mark.point.Smoothed > drawnMost {
			continue
		}
		at := plotter.XYs{{X: mark.point.Rate, Y: mark.point.Smoothed}}
		label := fmt.Sprintf("%s, at %.2g", mark.label, mark.point.Rate)
		if err := addMarks(p, at, label, 1+2*i, 4); err != nil {
			return nil, err
		}
	}
	widen(&p.Y)
	p.X.Min, p.X.Max = c[0].Rate/1.2, c[len(c)-1].Rate*1.2 // a single rate is no range, too
	canvas := vgsvg.New(16*vg.Centimeter, 10*vg.Centimeter)
	p.Draw(draw.New(canvas))
	var file bytes.Buffer
	if _, err := canvas.WriteTo(&file); err != nil {
		return nil, fmt.Errorf("plot of learning rates: %w", err)
	}
	return file.Bytes(), nil
}

// addMarks adds points to a plot, if there are any.
func addMarks(p *plot.Plot, points plotter.XYs, label string, colour int, radius vg.Length) error {
	if len(points) == 0 {
		return nil
	}
	marks, err := plotter.NewScatter(points)
	if err != nil {
		return fmt.Errorf("plot of learning rates: %w", err)
	}
	marks.Shape, marks.Radius, marks.Color = draw.CircleGlyph{}, vg.Points(
		float64(radius)), palette.Colour(colour)
	p.Add(marks)
	p.Legend.Add(label+"  ", marks)
	return nil
}
