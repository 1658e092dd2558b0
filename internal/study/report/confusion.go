package report

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/palette"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"slipway/internal/chart"
	"slipway/internal/document"
	"slipway/internal/statistics"
)

// mostClasses is the most classes whose confusion is drawn.
const mostClasses = 20

func (s *Study) addConfusion(d *document.Document) error {
	settings := s.compared()
	for _, setting := range settings {
		if mostScores(setting.Runs) > mostClasses {
			return nil
		}
	}
	data := document.NewCSV("setting", "label", "answer", "images_per_run")
	matrices := make(map[string][][]float64)
	for _, setting := range settings {
		matrix := meanConfusion(setting.Runs)
		matrices[setting.Name] = matrix
		for label, row := range matrix {
			for answer, n := range row {
				data.Row(setting.Name, strconv.Itoa(label), strconv.Itoa(answer), document.Number(n))
			}
		}
	}
	table, err := data.Bytes()
	if err != nil {
		return err
	}
	drawn := []Setting{settings[0]}
	if best := bestSetting(settings); best.Name != settings[0].Name {
		drawn = append(drawn, best)
	}
	largest := 0.0
	for _, setting := range drawn {
		for label, row := range matrices[setting.Name] {
			for answer, n := range row {
				if label != answer {
					largest = max(largest, n)
				}
			}
		}
	}
	var row []*plot.Plot
	for _, setting := range drawn {
		p, err := confusionPlot(setting.Name, matrices[setting.Name], largest)
		if err != nil {
			return err
		}
		row = append(row, p)
	}
	width := chart.PageWidth / 2 * vg.Length(len(row))
	svg, err := chart.SVG([][]*plot.Plot{row}, nil, width, chart.PageWidth/2)
	if err != nil {
		return err
	}
	d.Heading("Confusion")
	caption := "Wrong answers: images of a label (row) that get an answer (column), mean over seeds; right answers are left out."
	if len(drawn) > 1 {
		caption += " The first setting, and the one with the highest mean accuracy; the data have all."
	}
	d.Add(document.Figure{Name: "confusion", Caption: caption, SVG: svg, Data: table})
	if label, answer, n := mostConfused(matrices[settings[0].Name]); n > 0 {
		d.Say(fmt.Sprintf("Of %s the most frequent error is to take a %d for a %d: %.1f images a run.",
			settings[0].Name, label, answer, n))
	}
	return nil
}

func meanConfusion(runs []Run) [][]float64 {
	var mean [][]float64
	for _, run := range runs {
		for label, row := range run.Scores.Confusion() {
			if len(mean) <= label {
				mean = append(mean, make([]float64, len(row)))
			}
			for answer, n := range row {
				mean[label][answer] += float64(n) / float64(len(runs))
			}
		}
	}
	return mean
}

func bestSetting(settings []Setting) Setting {
	accuracy := metrics()[0]
	return slices.MaxFunc(settings, func(a, b Setting) int {
		switch x, y := statistics.Mean(accuracy.values(a.Runs)),
			statistics.Mean(accuracy.values(b.Runs)); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
}

func mostConfused(matrix [][]float64) (label, answer int, n float64) {
	for i, row := range matrix {
		for j, count := range row {
			if i != j && count > n {
				label, answer, n = i, j, count
			}
		}
	}
	return label, answer, n
}

// confusionGrid has label 0 at the top. Its diagonal is NaN, and so is what is 0.
type confusionGrid [][]float64

func (g confusionGrid) Dims() (columns, rows int) { return len(g), len(g) }
func (g confusionGrid) X(column int) float64      { return float64(column) }
func (g confusionGrid) Y(row int) float64         { return float64(row) }
func (g confusionGrid) Z(column, row int) float64 {
	label := len(g) - 1 - row
	if label == column || g[label][column] == 0 {
		return math.NaN()
	}
	return g[label][column]
}

// shades goes from white to a dark orange.
type shades struct{}

func (shades) Colors() []color.Color {
	all := make([]color.Color, 64)
	for i := range all {
		t := float64(i) / 63
		all[i] = color.RGBA{uint8(255 - 42*t), uint8(250 - 156*t), uint8(240 - 240*t), 255}
	}
	return all
}

var _ palette.Palette = shades{}

func confusionPlot(title string, matrix [][]float64, largest float64) (*plot.Plot, error) {
	p := chart.New(title, "answer", "label")
	if largest > 0 {
		heat := plotter.NewHeatMap(confusionGrid(matrix), shades{})
		heat.Min, heat.Max = 0, largest
		heat.NaN = color.White
		p.Add(heat)
	}
	var labels plotter.XYLabels
	var ticks, reversed []plot.Tick
	for label, row := range matrix {
		y := len(matrix) - 1 - label
		ticks = append(ticks, plot.Tick{Value: float64(label), Label: strconv.Itoa(label)})
		reversed = append(reversed, plot.Tick{Value: float64(y), Label: strconv.Itoa(label)})
		for answer, n := range row {
			text := ""
			switch {
			case label == answer || n == 0:
				continue
			case n < 9.95:
				text = strconv.FormatFloat(n, 'f', 1, 64)
			default:
				text = strconv.FormatFloat(n, 'f', 0, 64)
			}
			labels.XYs = append(labels.XYs, plotter.XY{X: float64(answer), Y: float64(y)})
			labels.Labels = append(labels.Labels, text)
		}
	}
	if len(labels.XYs) > 0 {
		texts, err := plotter.NewLabels(labels)
		if err != nil {
			return nil, err
		}
		for i := range texts.TextStyle {
			texts.TextStyle[i].Font.Variant, texts.TextStyle[i].Font.Size = chart.Sans, 8
			texts.TextStyle[i].XAlign, texts.TextStyle[i].YAlign = draw.XCenter, draw.YCenter
		}
		p.Add(texts)
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.ConstantTicks(ticks), plot.ConstantTicks(reversed)
	edge := float64(len(matrix)) - 0.5
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -0.5, edge, -0.5, edge
	return p, nil
}
