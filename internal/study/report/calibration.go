package report

import (
	"fmt"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"

	"slipway/internal/chart"
	"slipway/internal/document"
	"slipway/internal/statistics"
)

// fewImages is the least number of images, over all runs of a setting, for which a bin
// is drawn.
const fewImages = 20

func (s *Study) addCalibration(d *document.Document) error {
	settings := s.compared()
	data := document.NewCSV("setting", "confidence_from", "confidence_to", "images", "mean_confidence",
		"accuracy")
	drawn, note := shown(settings)
	style := make(map[string]int)
	for i, setting := range drawn {
		style[setting.Name] = i
	}
	diagram, shares := chart.New("reliability", "confidence",
		"accuracy"), chart.New("accuracy less confidence", "confidence", "points")
	var lines, differences []chart.Series
	for _, setting := range settings {
		line := chart.Series{Name: setting.Name, Style: style[setting.Name], Marks: true}
		difference := line
		for _, bin := range pool(setting.Runs) {
			data.Row(setting.Name, document.Number(bin.Range.Low), document.Number(bin.Range.High),
				strconv.Itoa(bin.Count), document.Number(bin.Confidence), document.Number(bin.Accuracy))
			if bin.Count >= fewImages {
				line.X, line.Y = append(line.X, bin.Confidence), append(line.Y, bin.Accuracy)
				difference.X, difference.Y = append(difference.X, bin.Confidence), append(difference.Y,
					100*(bin.Accuracy-bin.Confidence))
			}
		}
		if _, ok := style[setting.Name]; ok {
			lines, differences = append(lines, line), append(differences, difference)
		}
	}
	table, err := data.Bytes()
	if err != nil {
		return err
	}
	for _, p := range []*plot.Plot{diagram, shares} {
		slope := 1.0
		if p == shares {
			slope = 0
		}
		if err := chart.AddGuide(p, 0, 0, 1, slope); err != nil {
			return err
		}
	}
	legend, err := chart.AddSeries(diagram, lines)
	if err != nil {
		return err
	}
	if _, err := chart.AddSeries(shares, differences); err != nil {
		return err
	}
	svg, err := chart.SVG([][]*plot.Plot{{diagram, shares}}, &legend, chart.PageWidth, 9*vg.Centimeter)
	if err != nil {
		return err
	}
	d.Heading("Calibration")
	caption := fmt.Sprintf(
		"How often answers are right by the confidence that the network gives them, over all runs of a setting, in %d bins; bins of fewer than %d answers are not drawn. Below the dashed line a network is too sure of itself.",
		bins, fewImages)
	if note != "" {
		caption += " " + note
	}
	d.Add(document.Figure{Name: "calibration", Caption: caption, SVG: svg, Data: table})
	t := document.Table{Head: []string{"setting", "calibration error (ECE)", "Brier score",
		"mean confidence", "accuracy"}}
	for _, setting := range settings {
		var ece, brier, confidence, accuracy []float64
		for _, run := range setting.Runs {
			ece, brier = append(ece, run.CalibrationError), append(brier, run.Brier)
			accuracy, confidence = append(accuracy, run.TestAccuracy), append(confidence,
				meanConfidence(run))
		}
		t.Rows = append(t.Rows, []string{setting.Name, plusMinus(ece, 100, 2, " %"),
			plusMinus(brier, 1, 4, ""),
			percent(statistics.Mean(confidence)), percent(statistics.Mean(accuracy))})
	}
	d.Add(t)
	return nil
}

func meanConfidence(run Run) float64 {
	sum := 0.0
	for _, bin := range run.Bins {
		sum += float64(bin.Count) * bin.Confidence
	}
	return sum / float64(run.Scores.Len())
}

// pool adds the bins of several runs up.
func pool(runs []Run) []statistics.Bin {
	all := make([]statistics.Bin, bins)
	for _, run := range runs {
		for b, bin := range run.Bins {
			all[b].Range = bin.Range
			all[b].Count += bin.Count
			all[b].Confidence += float64(bin.Count) * bin.Confidence
			all[b].Accuracy += float64(bin.Count) * bin.Accuracy
		}
	}
	for b := range all {
		if n := float64(all[b].Count); n > 0 {
			all[b].Confidence /= n
			all[b].Accuracy /= n
		}
	}
	return all
}
