package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"image/color"
	"os"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"slipway/internal/atomicfile"
	"slipway/internal/palette"
)

// plotBatches draws bench-batch's table: above the images a second, below the
// milliseconds a step, each over the batch size, one curve a number of threads.
func plotBatches(o options) error {
	if o.csv == "" || o.output == "" {
		return errors.New("plot: -csv and -o are needed")
	}
	curves, err := readCurves(o.csv)
	if err != nil {
		return err
	}
	rate := newPlot("E1: cost against work", "images/s")
	rate.Y.Min = 0
	cost := newPlot("", "ms a step")
	cost.Y.Scale, cost.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	var threads []int
	for t := range curves {
		threads = append(threads, t)
	}
	slices.Sort(threads)
	for i, t := range threads {
		label := fmt.Sprintf("%d threads", t)
		if t == 1 {
			label = "1 thread"
		}
		if err := errors.Join(add(rate, i, label, curves[t].rate),
			add(cost, i, label, curves[t].cost)); err != nil {
			return err
		}
	}
	canvas := vgsvg.New(16*vg.Centimeter, 18*vg.Centimeter)
	tiles := draw.Tiles{Rows: 2, Cols: 1, PadY: 4 * vg.Millimeter, PadX: 4 * vg.Millimeter,
		PadRight: 4 * vg.Millimeter}
	canvases := plot.Align([][]*plot.Plot{{rate}, {cost}}, tiles, draw.New(canvas))
	rate.Draw(canvases[0][0])
	cost.Draw(canvases[1][0])
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return fmt.Errorf("plot %s: %w", o.output, err)
	}
	return atomicfile.WriteBytes(o.output, svg.Bytes())
}

type curve struct{ rate, cost plotter.XYs }

// readCurves reads the columns batch, threads, ms_median and images_per_s.
func readCurves(path string) (map[int]*curve, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	reader := csv.NewReader(file)
	reader.Comment = '#'
	rows, err := reader.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(rows) < 2 {
		return nil, fmt.Errorf("%s has no rows", path)
	}
	curves := make(map[int]*curve)
	for line, row := range rows[1:] {
		values := make(map[string]float64)
		for _, column := range []string{"batch", "threads", "ms_median", "images_per_s"} {
			at := slices.Index(rows[0], column)
			if at < 0 {
				return nil, fmt.Errorf("%s has no column %s", path, column)
			}
			if values[column], err = strconv.ParseFloat(row[at], 64); err != nil {
				return nil, fmt.Errorf("%s, row %d, %s: %w", path, line+1, column, err)
			}
		}
		threads := int(values["threads"])
		if curves[threads] == nil {
			curves[threads] = new(curve)
		}
		c := curves[threads]
		c.rate = append(c.rate, plotter.XY{X: values["batch"], Y: values["images_per_s"]})
		c.cost = append(c.cost, plotter.XY{X: values["batch"], Y: values["ms_median"]})
	}
	return curves, nil
}

func newPlot(title, quantity string) *plot.Plot {
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text = "batch size (images)"
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = powersOfTwo{}
	p.Y.Label.Text = quantity
	p.BackgroundColor = color.White
	p.Add(plotter.NewGrid())
	return p
}

func add(p *plot.Plot, i int, label string, points plotter.XYs) error {
	line, marks, err := plotter.NewLinePoints(points)
	if err != nil {
		return fmt.Errorf("curve %s: %w", label, err)
	}
	line.Color, marks.Color = palette.Colour(i), palette.Colour(i)
	marks.Shape, marks.Radius = draw.CircleGlyph{}, vg.Points(2)
	p.Add(line, marks)
	p.Legend.Add(label, line)
	return nil
}

// powersOfTwo marks 8, 16, 32 …
type powersOfTwo struct{}

func (powersOfTwo) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for x := 1.0; x <= high; x *= 2 {
		if x >= low {
			ticks = append(ticks, plot.Tick{Value: x, Label: strconv.Itoa(int(x))})
		}
	}
	return ticks
}
