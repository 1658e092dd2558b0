package infer

import (
	"fmt"
	"image/color"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"slipway/dataset/corrupt"
	"slipway/internal/atomicfile"
	"slipway/internal/palette"
)

// plotColumns is the number of panels in a row.
const plotColumns = 4

// draw draws accuracy over the strength, strength 0 being the data as it is: a panel
// a corruption and one of the mean, a curve a model.
func (r *robustness) draw(path string) error {
	var panels []*plot.Plot
	for c, name := range r.options.corruptions {
		p, err := r.panel(name, func(model *robustnessModel, strength int) float64 {
			return model.measured.Corruptions[c].Strengths[strength-1].Accuracy
		})
		if err != nil {
			return err
		}
		panels = append(panels, p)
	}
	mean, err := r.panel("mean of all", func(model *robustnessModel, strength int) float64 {
		return model.measured.MeanAt(strength)
	})
	if err != nil {
		return err
	}
	panels = append(panels, mean)
	if err := r.addLegend(panels[0]); err != nil {
		return err
	}
	columns := min(plotColumns, len(panels))
	grid := make([][]*plot.Plot, (len(panels)-1)/columns+1)
	for i := range grid {
		grid[i] = make([]*plot.Plot, columns)
		copy(grid[i], panels[i*columns:min((i+1)*columns, len(panels))])
	}
	const side = 5 * vg.Centimeter
	canvas := vgsvg.New(side*vg.Length(columns), side*vg.Length(len(grid)))
	tiles := draw.Tiles{
		Rows: len(grid), Cols: columns, PadX: 3 * vg.Millimeter, PadY: 3 * vg.Millimeter,
		PadTop: 2 * vg.Millimeter, PadBottom: 2 * vg.Millimeter, PadLeft: 2 * vg.Millimeter,
		PadRight: 2 * vg.Millimeter,
	}
	whole := draw.New(canvas)
	whole.SetColor(color.White)
	whole.Fill(whole.Rectangle.Path())
	for i, row := range plot.Align(grid, tiles, whole) {
		for j, place := range row {
			if grid[i][j] != nil {
				grid[i][j].Draw(place)
			}
		}
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := canvas.WriteTo(w)
		return err
	})
}

func (r *robustness) panel(title string,
	accuracy func(model *robustnessModel, strength int) float64) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.BackgroundColor = title, color.White
	p.Y.Min, p.Y.Max, p.X.Min, p.X.Max = 0, 100, 0, corrupt.Strengths
	var strengths, accuracies plot.ConstantTicks
	for s := range corrupt.Strengths + 1 {
		strengths = append(strengths, plot.Tick{Value: float64(s), Label: strconv.Itoa(s)})
	}
	for percent := 0; percent <= 100; percent += 20 {
		accuracies = append(accuracies, plot.Tick{Value: float64(percent), Label: strconv.Itoa(percent)})
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = strengths, accuracies
	p.Add(plotter.NewGrid())
	for i, model := range r.models {
		points := plotter.XYs{{X: 0, Y: 100 * model.measured.Clean.Accuracy}}
		for s := 1; s <= corrupt.Strengths; s++ {
			points = append(points, plotter.XY{X: float64(s), Y: 100 * accuracy(model, s)})
		}
		line, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, fmt.Errorf("curve of %s: %w", model.modelPath, err)
		}
		line.Color, marks.Color = palette.Colour(i), palette.Colour(i)
		marks.Shape, marks.Radius = draw.CircleGlyph{}, vg.Points(1.5)
		p.Add(line, marks)
	}
	return p, nil
}

// addLegend names the curves, and what the axes are, in one panel for all.
func (r *robustness) addLegend(p *plot.Plot) error {
	p.X.Label.Text, p.Y.Label.Text = "strength", "accuracy (%)"
	for i, model := range r.models {
		line, err := plotter.NewLine(plotter.XYs{{}, {}})
		if err != nil {
			return err
		}
		line.Color = palette.Colour(i)
		p.Legend.Add(strings.TrimSuffix(filepath.Base(model.modelPath), ".onnx")+"  ", line)
	}
	p.Legend.XOffs, p.Legend.YOffs = -vg.Points(4), vg.Points(2)
	return nil
}
