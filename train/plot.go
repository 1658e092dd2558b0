package train

import (
	"bytes"
	"fmt"
	"image/color"
	"math"

	"slipway/internal/palette"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// drawnMost is the largest value that is drawn: the plot's arithmetic overflows with those
// near the ends of float64.
const drawnMost = 1e30

// SVG draws the history: above the mean loss by epoch, below the accuracies. What is not
// finite, or above 1e30, is left out.
func (h History) SVG(title string) (svg []byte, err error) {
	defer func() {
		// The plot's packages panic where they cannot draw. A picture is worth no run.
		if reason := recover(); reason != nil {
			svg, err = nil, fmt.Errorf("plot: %v", reason)
		}
	}()
	loss := newPlot(title, "mean loss")
	loss.Legend.Top, loss.Legend.YOffs = true, -vg.Points(4)
	accuracy := newPlot("", "accuracy (%)")
	for _, curve := range []struct {
		on     *plot.Plot
		colour int
		label  string
		scale  float64
		value  func(Epoch) *float64
	}{
		{loss, 0, "training", 1, func(e Epoch) *float64 { return &e.MeanLoss }},
		{loss, 1, "validation", 1, func(e Epoch) *float64 { return e.ValidationLoss }},
		{accuracy, 0, "training", 100, func(e Epoch) *float64 { return &e.TrainAccuracy }},
		{accuracy, 1, "validation", 100, func(e Epoch) *float64 { return e.ValidationAccuracy }},
		{accuracy, 2, "test", 100, func(e Epoch) *float64 { return e.TestAccuracy }},
	} {
		var points plotter.XYs
		for _, epoch := range h {
			if value := curve.value(epoch); value != nil && math.Abs(*value) <= drawnMost {
				points = append(points, plotter.XY{X: float64(epoch.Epoch), Y: *value * curve.scale})
			}
		}
		if len(points) == 0 {
			continue
		}
		line, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, fmt.Errorf("plot of %s: %w", curve.label, err)
		}
		line.Color, marks.Color = palette.Colour(curve.colour), palette.Colour(curve.colour)
		marks.Shape, marks.Radius = draw.CircleGlyph{}, vg.Points(1.5)
		curve.on.Add(line, marks)
		curve.on.Legend.Add(curve.label+"  ", line)
	}
	for _, p := range []*plot.Plot{loss, accuracy} {
		widen(&p.Y)
	}
	canvas := vgsvg.New(16*vg.Centimeter, 18*vg.Centimeter)
	tiles := draw.Tiles{Rows: 2, Cols: 1, PadY: 4 * vg.Millimeter, PadX: 4 * vg.Millimeter,
		PadRight: 4 * vg.Millimeter}
	canvases := plot.Align([][]*plot.Plot{{loss}, {accuracy}}, tiles, draw.New(canvas))
	loss.Draw(canvases[0][0])
	accuracy.Draw(canvases[1][0])
	var file bytes.Buffer
	if _, err := canvas.WriteTo(&file); err != nil {
		return nil, fmt.Errorf("plot: %w", err)
	}
	return file.Bytes(), nil
}

// widen gives an axis of values that are all but equal a range that has ticks. Package
// plot goes from one below a single value to one above it, which is no range where the
// value is so large that adding one does not change it.
func widen(axis *plot.Axis) {
	const distinct = 1e-9
	largest := max(math.Abs(axis.Min), math.Abs(axis.Max))
	if math.IsInf(largest, 0) || axis.Max-axis.Min > distinct*largest {
		return // no points, or a range
	}
	if axis.Max == axis.Min && largest < distinct/epsilon64 {
		return
	}
	axis.Min -= largest / 2
	axis.Max += largest / 2
}

// epsilon64 is the distance from 1 to the next float64.
const epsilon64 = 0x1p-52

func newPlot(title, quantity string) *plot.Plot {
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text = "epoch"
	p.Y.Label.Text = quantity
	p.Legend.XOffs, p.Legend.YOffs = -vg.Points(8), vg.Points(4)
	p.BackgroundColor = color.White
	p.Add(plotter.NewGrid())
	return p
}
