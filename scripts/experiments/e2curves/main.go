// Command e2curves draws the mean training loss of E2 by epoch, in Slipway, in
// PyTorch and in the notebook that started the project, into docs/e2:
//
//	go run ./scripts/experiments/e2curves
//
// It reads docs/e2/slipway.csv, a copy of the run's history.csv, and
// docs/e2/pytorch.csv of scripts/experiments/e2_pytorch.py.
package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// notebook holds the figures that were read from the notebook: it printed them
// for these epochs, and went below 0.38 at about epoch 80.
var notebook = plotter.XYs{{X: 1, Y: 1.2139}, {X: 2, Y: 0.4912}, {X: 3, Y: 0.4521},
	{X: 10, Y: 0.4199}, {X: 20, Y: 0.4073}, {X: 80, Y: 0.38}}

func main() {
	if err := run(filepath.Join("docs", "e2")); err != nil {
		fmt.Fprintln(os.Stderr, "e2curves:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	slipway, err := readLosses(filepath.Join(dir, "slipway.csv"))
	if err != nil {
		return err
	}
	pytorch, err := readLosses(filepath.Join(dir, "pytorch.csv"))
	if err != nil {
		return err
	}
	p := plot.New()
	p.Title.Text = "E2: mean training loss, penalties included"
	p.X.Label.Text = "epoch"
	p.Y.Label.Text = "mean loss"
	p.Y.Min, p.Y.Max = 0.36, 0.56 // the first epoch's, 1.2 to 1.3, would flatten the rest
	p.Legend.Top = true
	p.Legend.XOffs, p.Legend.YOffs = -vg.Points(8), -vg.Points(8)
	p.Add(plotter.NewGrid())
	for i, curve := range []struct {
		label  string
		points plotter.XYs
		joined bool
	}{{"Slipway", slipway, true}, {"PyTorch", pytorch, true}, {"notebook", notebook, false}} {
		line, marks, err := plotter.NewLinePoints(curve.points)
		if err != nil {
			return fmt.Errorf("%s: %w", curve.label, err)
		}
		colour := []color.RGBA{{0, 114, 178, 255}, {213, 94, 0, 255}, {0, 158, 115, 255}}[i]
		line.Color, marks.Color, marks.Shape, marks.Radius = colour, colour, draw.CircleGlyph{},
			vg.Points(2)
		if curve.joined {
			p.Add(line)
		}
		p.Add(marks)
		p.Legend.Add(curve.label+"  ", marks)
	}
	threshold := plotter.NewFunction(func(float64) float64 { return 0.38 })
	threshold.Dashes = []vg.Length{vg.Points(3), vg.Points(3)}
	p.Add(threshold)
	return p.Save(18*vg.Centimeter, 10*vg.Centimeter, filepath.Join(dir, "curves.svg"))
}

// readLosses reads the columns epoch and mean_loss.
func readLosses(path string) (points plotter.XYs, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) < 2 {
		return nil, fmt.Errorf("%s has no epochs", path)
	}
	columns := make(map[string]int)
	for i, name := range rows[0] {
		columns[name] = i
	}
	at, ok := columns["mean_loss"]
	if !ok {
		return nil, fmt.Errorf("%s has no column mean_loss", path)
	}
	for _, row := range rows[1:] {
		epoch, err := strconv.ParseFloat(row[columns["epoch"]], 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		loss, err := strconv.ParseFloat(row[at], 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		points = append(points, plotter.XY{X: epoch, Y: loss})
	}
	return points, nil
}
