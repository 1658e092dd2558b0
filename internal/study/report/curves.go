package report

import (
	"fmt"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"

	"slipway/internal/chart"
	"slipway/internal/document"
	"slipway/internal/statistics"
	"slipway/train"
)

// mostLines is the most settings that one figure shows; more are told apart by no
// palette.
const mostLines = 14

// shown returns the settings that figures of lines show: all, or the reference and
// those with the highest test accuracy, in the order of the study. It says so if
// some are left out.
func shown(settings []Setting) (some []Setting, note string) {
	if len(settings) <= mostLines {
		return settings, ""
	}
	accuracy := metrics()[0]
	rank := slices.Clone(settings[1:])
	slices.SortStableFunc(rank, func(a, b Setting) int {
		x, y := statistics.Mean(accuracy.values(a.Runs)), statistics.Mean(accuracy.values(b.Runs))
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	kept := map[string]bool{settings[0].Name: true}
	for _, setting := range rank[:mostLines-1] {
		kept[setting.Name] = true
	}
	some = slices.DeleteFunc(slices.Clone(settings), func(s Setting) bool { return !kept[s.Name] })
	return some, fmt.Sprintf(
		"Drawn are the first setting and the %d with the highest test accuracy of %d; the data have all.",
		mostLines-1, len(settings))
}

// curve is a quantity by epoch over a setting's runs.
type curve struct {
	epochs          []int
	mean, low, high []float64
	runs            []int
}

// curveOf averages over the runs that reached the epoch and measured the quantity.
func curveOf(runs []Run, quantity func(train.Epoch) *float64) curve {
	var c curve
	longest := 0
	for _, run := range runs {
		longest = max(longest, len(run.History))
	}
	for i := range longest {
		var values []float64
		for _, run := range runs {
			if i < len(run.History) {
				if v := quantity(run.History[i]); v != nil {
					values = append(values, *v)
				}
			}
		}
		if len(values) == 0 {
			continue
		}
		c.epochs = append(c.epochs, i+1)
		c.mean = append(c.mean, statistics.Mean(values))
		c.low, c.high = append(c.low, slices.Min(values)), append(c.high, slices.Max(values))
		c.runs = append(c.runs, len(values))
	}
	return c
}

type quantity struct {
	key, name string
	scale     float64
	of        func(train.Epoch) *float64
}

// quantities are what a run measures each epoch. The loss without penalties is one of
// them where it is another than the loss with them.
func quantities(settings []Setting) []quantity {
	all := []quantity{
		{"mean_loss", "mean training loss", 1, func(e train.Epoch) *float64 { return &e.MeanLoss }},
		{"train_accuracy", "accuracy while training (%)", 100, func(e train.Epoch) *float64 {
			return &e.TrainAccuracy
		}},
		{"test_accuracy", "test accuracy (%)", 100, func(e train.Epoch) *float64 {
			return e.TestAccuracy
		}},
	}
	for _, setting := range settings {
		for _, run := range setting.Runs {
			for _, epoch := range run.History {
				if epoch.MeanCrossEntropy != epoch.MeanLoss {
					all[0].name = "mean training loss with penalties"
					without := quantity{"mean_cross_entropy", "mean training loss without penalties", 1,
						func(e train.Epoch) *float64 { return &e.MeanCrossEntropy }}
					return slices.Insert(all, 1, without)
				}
			}
		}
	}
	return all
}

func (s *Study) addCurves(d *document.Document) error {
	settings := s.compared()
	measured := quantities(settings)
	data := document.NewCSV("setting", "quantity", "epoch", "runs", "mean", "lowest", "highest")
	for _, setting := range settings {
		for _, q := range measured {
			c := curveOf(setting.Runs, q.of)
			for i, epoch := range c.epochs {
				data.Row(setting.Name, q.key, strconv.Itoa(epoch), strconv.Itoa(c.runs[i]),
					document.Number(c.mean[i]), document.Number(c.low[i]), document.Number(c.high[i]))
			}
		}
	}
	drawn, note := shown(settings)
	var plots []*plot.Plot
	var legend plot.Legend
	for _, q := range measured {
		p := chart.New(q.name, "epoch", "")
		p.X.Tick.Marker = chart.WholeTicks{}
		var all []chart.Series
		for i, setting := range drawn {
			c := curveOf(setting.Runs, q.of)
			line := chart.Series{Name: setting.Name, Style: i, Marks: len(c.epochs) <= 15}
			for j, epoch := range c.epochs {
				line.X = append(line.X, float64(epoch))
				line.Y = append(line.Y, q.scale*c.mean[j])
				line.Low, line.High = append(line.Low, q.scale*c.low[j]), append(line.High, q.scale*c.high[j])
			}
			all = append(all, line)
		}
		var err error
		if legend, err = chart.AddSeries(p, all); err != nil {
			return err
		}
		zoom(p, all)
		plots = append(plots, p)
	}
	columns := 2
	if len(plots) == 3 {
		columns = 3
	}
	grid := chart.InRows(plots, columns)
	svg, err := chart.SVG(grid, &legend, chart.PageWidth, vg.Length(len(grid))*7.5*vg.Centimeter)
	if err != nil {
		return err
	}
	table, err := data.Bytes()
	if err != nil {
		return err
	}
	d.Heading("Learning curves")
	caption := "By epoch: the mean over seeds, and the range from the lowest to the highest seed; each over the runs that got that far."
	if cut := cutNote(plots, measured, drawn); cut != "" {
		caption += " " + cut
	}
	if note != "" {
		caption += " " + note
	}
	d.Add(document.Figure{Name: "curves", Caption: caption, SVG: svg, Data: table})
	return nil
}

// zoom cuts a first epoch off that would flatten all others.
func zoom(p *plot.Plot, all []chart.Series) {
	var rest []float64
	for _, s := range all {
		for i := range s.X {
			if s.X[i] > 1 {
				rest = append(rest, s.Low[i], s.High[i])
			}
		}
	}
	if len(rest) == 0 {
		return
	}
	low, high := slices.Min(rest), slices.Max(rest)
	pad := 0.05 * (high - low)
	if p.Y.Max-p.Y.Min > 3*(high-low) && high > low {
		p.Y.Min, p.Y.Max = low-pad, high+pad
	}
}

// cutNote says which plots do not show the first epoch whole.
func cutNote(plots []*plot.Plot, measured []quantity, drawn []Setting) string {
	for i, q := range measured {
		for _, setting := range drawn {
			c := curveOf(setting.Runs, q.of)
			if len(c.epochs) > 0 &&
				(q.scale*c.high[0] > plots[i].Y.Max || q.scale*c.low[0] < plots[i].Y.Min) {
				return "Where the first epoch would flatten the others it is cut off."
			}
		}
	}
	return ""
}
