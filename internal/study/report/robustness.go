package report

import (
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"

	"slipway/internal/chart"
	"slipway/internal/document"
	"slipway/internal/statistics"
)

// robustnessName names the figure of the accuracy on corrupted images, and its data.
const robustnessName = "robustness"

func (s *Study) addRobustness(d *document.Document) error {
	settings := slices.DeleteFunc(s.compared(), func(setting Setting) bool {
		return len(setting.Runs[0].Robustness) == 0
	})
	if len(settings) == 0 {
		return nil
	}
	names := corruptions(settings[0].Runs[0])
	drawn, note := shown(settings)
	style := make(map[string]int)
	for i, setting := range drawn {
		style[setting.Name] = i
	}
	data := document.NewCSV("corruption", "setting", "strength", "runs", "mean_accuracy", "lowest",
		"highest")
	var plots []*plot.Plot
	var legend plot.Legend
	lowest := 1.0
	for _, name := range names {
		p := chart.New(name, "strength", "accuracy (%)")
		p.X.Tick.Marker = chart.WholeTicks{}
		var all []chart.Series
		for _, setting := range settings {
			line := chart.Series{Name: setting.Name, Style: style[setting.Name], Marks: true}
			for strength := range strengths(settings, name) + 1 {
				values := accuraciesAt(setting.Runs, name, strength)
				if len(values) == 0 {
					continue
				}
				mean, low, high := statistics.Mean(values), slices.Min(values), slices.Max(values)
				lowest = min(lowest, low)
				data.Row(name, setting.Name, strconv.Itoa(strength), strconv.Itoa(len(values)),
					document.Number(mean), document.Number(low), document.Number(high))
				line.X, line.Y = append(line.X, float64(strength)), append(line.Y, 100*mean)
				line.Low, line.High = append(line.Low, 100*low), append(line.High, 100*high)
			}
			if _, ok := style[setting.Name]; ok {
				all = append(all, line)
			}
		}
		var err error
		if legend, err = chart.AddSeries(p, all); err != nil {
			return err
		}
		plots = append(plots, p)
	}
	table, err := data.Bytes()
	if err != nil {
		return err
	}
	for _, p := range plots {
		p.Y.Min, p.Y.Max = 100*lowest, 100
	}
	grid := chart.InRows(plots, 4)
	svg, err := chart.SVG(grid, &legend, chart.PageWidth,
		vg.Length(len(grid))*5.2*vg.Centimeter+vg.Centimeter)
	if err != nil {
		return err
	}
	d.Heading("Robustness")
	caption := "Accuracy on the test images under corruption by strength, 0 being the images as they are: mean over seeds, and the range from the lowest to the highest seed. All axes are the same."
	if note != "" {
		caption += " " + note
	}
	d.Add(document.Figure{Name: robustnessName, Caption: caption, SVG: svg, Data: table})
	t := document.Table{Head: append([]string{"mean over strengths"}, names...)}
	t.Head = append(t.Head, "all")
	for _, setting := range settings {
		row := []string{setting.Name}
		for _, name := range names {
			var values []float64
			for _, run := range setting.Runs {
				values = append(values, run.Robustness[name]...)
			}
			row = append(row, percent(statistics.Mean(values)))
		}
		var all []float64
		for _, run := range setting.Runs {
			if x, ok := robustAccuracy(run); ok {
				all = append(all, x)
			}
		}
		t.Rows = append(t.Rows, append(row, plusMinus(all, 100, 2, " %")))
	}
	d.Add(t)
	return nil
}

// strengths is the highest strength of a corruption.
func strengths(settings []Setting, name string) int {
	highest := 0
	for _, setting := range settings {
		for _, run := range setting.Runs {
			highest = max(highest, len(run.Robustness[name]))
		}
	}
	return highest
}

// accuraciesAt returns the accuracy of each run; strength 0 is no corruption.
func accuraciesAt(runs []Run, name string, strength int) []float64 {
	var values []float64
	for _, run := range runs {
		switch accuracies := run.Robustness[name]; {
		case strength == 0:
			values = append(values, run.TestAccuracy)
		case strength <= len(accuracies):
			values = append(values, accuracies[strength-1])
		}
	}
	return values
}
