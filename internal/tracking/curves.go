package tracking

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"

	"slipway/internal/chart"
	"slipway/internal/display"
	"slipway/train"
)

// drawnMost is the largest value that is drawn: the plot's arithmetic overflows near the end of
// float64.
const drawnMost = 1e30

// Curves draws the histories of runs into one picture: a plot for each quantity that one of
// them has, with a line for each run.
func Curves(records []*Record) (svg []byte, err error) {
	defer func() {
		// The plot's packages panic where they cannot draw.
		if reason := recover(); reason != nil {
			svg, err = nil, fmt.Errorf("draw curves: %v", reason)
		}
	}()
	quantities := []struct {
		name  string
		scale float64
		of    func(train.Epoch) *float64
	}{
		{"training loss", 1, func(e train.Epoch) *float64 { return &e.MeanLoss }},
		{"training accuracy (%)", 100, func(e train.Epoch) *float64 { return &e.TrainAccuracy }},
		{"validation loss", 1, func(e train.Epoch) *float64 { return e.ValidationLoss }},
		{"validation accuracy (%)", 100, func(e train.Epoch) *float64 { return e.ValidationAccuracy }},
		{"test accuracy (%)", 100, func(e train.Epoch) *float64 { return e.TestAccuracy }},
	}
	var plots []*plot.Plot
	var legend plot.Legend
	for _, q := range quantities {
		var all []chart.Series
		for i, run := range records {
			line := chart.Series{Name: display.Printable(run.Name), Style: i, Marks: len(run.History) <= 15}
			for _, epoch := range run.History {
				if v := q.of(epoch); v != nil && math.Abs(*v) <= drawnMost {
					line.X, line.Y = append(line.X, float64(epoch.Epoch)), append(line.Y, q.scale**v)
				}
			}
			if len(line.X) > 0 {
				all = append(all, line)
			}
		}
		if len(all) == 0 {
			continue
		}
		p := chart.New(q.name, "epoch", "")
		p.X.Tick.Marker = chart.WholeTicks{}
		lines, err := chart.AddSeries(p, all)
		if err != nil {
			return nil, err
		}
		if len(plots) == 0 {
			legend = lines // every run that has an epoch has a loss
		}
		plots = append(plots, p)
	}
	if len(plots) == 0 {
		return nil, errors.New("draw curves: none of the runs has come to the end of an epoch")
	}
	grid := chart.InRows(plots, 2)
	return chart.SVG(grid, &legend, chart.PageWidth, vg.Length(len(grid))*7.5*vg.Centimeter)
}
