package train

import (
	"bytes"
	"fmt"
	"image/color"

	"slipway/internal/palette"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// SVG draws the history: above the mean loss by epoch, below the accuracies.
func (h History) SVG(title string) ([]byte, error) {
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
			if value := curve.value(epoch); value != nil {
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
	canvas := vgsvg.New(16*vg.Centimeter, 18*vg.Centimeter)
	tiles := draw.Tiles{Rows: 2, Cols: 1, PadY: 4 * vg.Millimeter, PadX: 4 * vg.Millimeter, PadRight: 4 * vg.Millimeter}
	canvases := plot.Align([][]*plot.Plot{{loss}, {accuracy}}, tiles, draw.New(canvas))
	loss.Draw(canvases[0][0])
	accuracy.Draw(canvases[1][0])
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return nil, fmt.Errorf("plot: %w", err)
	}
	return svg.Bytes(), nil
}

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
