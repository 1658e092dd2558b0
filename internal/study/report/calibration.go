package report

import (
	"fmt"
	"image/color"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"slipway/internal/statistics"
)

// fewImages is the least number of images, over all runs of a setting, for which a bin
// is drawn.
const fewImages = 20

func (s *Study) addCalibration(d *document) error {
	settings := s.compared()
	data := newTable("setting", "confidence_from", "confidence_to", "images", "mean_confidence", "accuracy")
	drawn, note := shown(settings)
	style := make(map[string]int)
	for i, setting := range drawn {
		style[setting.Name] = i
	}
	diagram, shares := newPlot("reliability", "confidence", "accuracy"), newPlot("accuracy less confidence", "confidence", "points")
	var lines, differences []series
	for _, setting := range settings {
		line := series{name: setting.Name, style: style[setting.Name], marks: true}
		difference := line
		for _, bin := range pool(setting.Runs) {
			data.row(setting.Name, number(bin.Range.Low), number(bin.Range.High), strconv.Itoa(bin.Count), number(bin.Confidence), number(bin.Accuracy))
			if bin.Count >= fewImages {
				line.x, line.y = append(line.x, bin.Confidence), append(line.y, bin.Accuracy)
				difference.x, difference.y = append(difference.x, bin.Confidence), append(difference.y, 100*(bin.Accuracy-bin.Confidence))
			}
		}
		if _, ok := style[setting.Name]; ok {
			lines, differences = append(lines, line), append(differences, difference)
		}
	}
	table, err := data.bytes()
	if err != nil {
		return err
	}
	for _, p := range []*plot.Plot{diagram, shares} {
		slope := 1.0
		if p == shares {
			slope = 0
		}
		if err := addGuide(p, 0, 0, 1, slope); err != nil {
			return err
		}
	}
	legend, err := addSeries(diagram, lines)
	if err != nil {
		return err
	}
	if _, err := addSeries(shares, differences); err != nil {
		return err
	}
	svg, err := drawSVG([][]*plot.Plot{{diagram, shares}}, &legend, pageWidth, 9*vg.Centimeter)
	if err != nil {
		return err
	}
	d.heading("Calibration")
	caption := fmt.Sprintf("How often answers are right by the confidence that the network gives them, over all runs of a setting, in %d bins; bins of fewer than %d answers are not drawn. Below the dashed line a network is too sure of itself.", bins, fewImages)
	if note != "" {
		caption += " " + note
	}
	d.add(figure{name: "calibration", caption: caption, svg: svg, data: table})
	t := tableBlock{head: []string{"setting", "calibration error (ECE)", "Brier score", "mean confidence", "accuracy"}}
	for _, setting := range settings {
		var ece, brier, confidence, accuracy []float64
		for _, run := range setting.Runs {
			ece, brier = append(ece, run.CalibrationError), append(brier, run.Brier)
			accuracy, confidence = append(accuracy, run.TestAccuracy), append(confidence, meanConfidence(run))
		}
		t.rows = append(t.rows, []string{setting.Name, plusMinus(ece, 100, 2, " %"), plusMinus(brier, 1, 4, ""),
			percent(statistics.Mean(confidence)), percent(statistics.Mean(accuracy))})
	}
	d.add(t)
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

// addGuide draws a dashed line from (x0, y0) to (x1, y1).
func addGuide(p *plot.Plot, x0, y0, x1, y1 float64) error {
	line, err := plotter.NewLine(plotter.XYs{{X: x0, Y: y0}, {X: x1, Y: y1}})
	if err != nil {
		return err
	}
	line.Color, line.Dashes = color.Gray{100}, []vg.Length{vg.Points(3), vg.Points(3)}
	p.Add(line)
	return nil
}
