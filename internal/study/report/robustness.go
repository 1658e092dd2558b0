package report

import (
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"

	"slipway/internal/statistics"
)

// robustnessName names the figure of the accuracy on corrupted images, and its data.
const robustnessName = "robustness"

func (s *Study) addRobustness(d *document) error {
	settings := slices.DeleteFunc(s.compared(), func(setting Setting) bool { return len(setting.Runs[0].Robustness) == 0 })
	if len(settings) == 0 {
		return nil
	}
	names := corruptions(settings[0].Runs[0])
	drawn, note := shown(settings)
	style := make(map[string]int)
	for i, setting := range drawn {
		style[setting.Name] = i
	}
	data := newTable("corruption", "setting", "strength", "runs", "mean_accuracy", "lowest", "highest")
	var plots []*plot.Plot
	var legend plot.Legend
	lowest := 1.0
	for _, name := range names {
		p := newPlot(name, "strength", "accuracy (%)")
		p.X.Tick.Marker = wholeTicks{}
		var all []series
		for _, setting := range settings {
			line := series{name: setting.Name, style: style[setting.Name], marks: true}
			for strength := range strengths(settings, name) + 1 {
				values := accuraciesAt(setting.Runs, name, strength)
				if len(values) == 0 {
					continue
				}
				mean, low, high := statistics.Mean(values), slices.Min(values), slices.Max(values)
				lowest = min(lowest, low)
				data.row(name, setting.Name, strconv.Itoa(strength), strconv.Itoa(len(values)), number(mean), number(low), number(high))
				line.x, line.y = append(line.x, float64(strength)), append(line.y, 100*mean)
				line.low, line.high = append(line.low, 100*low), append(line.high, 100*high)
			}
			if _, ok := style[setting.Name]; ok {
				all = append(all, line)
			}
		}
		var err error
		if legend, err = addSeries(p, all); err != nil {
			return err
		}
		plots = append(plots, p)
	}
	table, err := data.bytes()
	if err != nil {
		return err
	}
	for _, p := range plots {
		p.Y.Min, p.Y.Max = 100*lowest, 100
	}
	grid := inRows(plots, 4)
	svg, err := drawSVG(grid, &legend, pageWidth, vg.Length(len(grid))*5.2*vg.Centimeter+vg.Centimeter)
	if err != nil {
		return err
	}
	d.heading("Robustness")
	caption := "Accuracy on the test images under corruption by strength, 0 being the images as they are: mean over seeds, and the range from the lowest to the highest seed. All axes are the same."
	if note != "" {
		caption += " " + note
	}
	d.add(figure{name: robustnessName, caption: caption, svg: svg, data: table})
	t := tableBlock{head: append([]string{"mean over strengths"}, names...)}
	t.head = append(t.head, "all")
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
		t.rows = append(t.rows, append(row, plusMinus(all, 100, 2, " %")))
	}
	d.add(t)
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
