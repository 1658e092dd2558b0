package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"slipway/internal/chart"
	"slipway/internal/document"
	"slipway/internal/palette"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const searchName = "search"

// addSearch shows the test accuracy over each number that varied, where more than a
// few values of it were tried: as a search or a random draw does.
func (s *Study) addSearch(d *document.Document) error {
	const fewValues = 8
	values := make(map[string]map[float64]bool)
	for _, setting := range s.compared() {
		for _, run := range setting.Runs {
			for key, value := range run.Values {
				if x, ok := value.(float64); ok {
					if values[key] == nil {
						values[key] = make(map[float64]bool)
					}
					values[key][x] = true
				}
			}
		}
	}
	var keys []string
	for key, tried := range values {
		if len(tried) >= fewValues {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	slices.Sort(keys)
	data := document.NewCSV("parameter", "value", "setting", "seed", "test_accuracy")
	var plots []*plot.Plot
	for _, key := range keys {
		var points plotter.XYs
		for _, setting := range s.compared() {
			for _, run := range setting.Runs {
				if x, ok := run.Values[key].(float64); ok {
					points = append(points, plotter.XY{X: x, Y: 100 * run.TestAccuracy})
					data.Row(key, document.Exact(x), setting.Name, strconv.FormatUint(run.Seed, 10),
						document.Number(run.TestAccuracy))
				}
			}
		}
		p, err := scatterPlot(key, points)
		if err != nil {
			return err
		}
		plots = append(plots, p)
	}
	table, err := data.Bytes()
	if err != nil {
		return err
	}
	grid := chart.InRows(plots, 3)
	svg, err := chart.SVG(grid, nil, chart.PageWidth,
		vg.Length(len(grid))*6.5*vg.Centimeter+vg.Centimeter)
	if err != nil {
		return err
	}
	d.Heading("What was searched")
	d.Add(document.Figure{Name: searchName, SVG: svg, Data: table,
		Caption: "Test accuracy of every finished run over each number that varied; the other numbers vary too. The lowest tenth of the runs is cut off."})
	d.Say("Nothing was chosen by the test accuracy if the search had a validation set to go by; a search that goes by the test accuracy overstates it.")
	return nil
}

func scatterPlot(key string, points plotter.XYs) (*plot.Plot, error) {
	p := chart.New(key, "", "test accuracy (%)")
	var sizes, heights []float64
	for _, point := range points {
		sizes, heights = append(sizes, point.X), append(heights, point.Y)
	}
	if low, high := slices.Min(sizes), slices.Max(sizes); low > 0 && high/low >= 30 {
		for i := range points {
			points[i].X = math.Log10(points[i].X)
		}
		var ticks []plot.Tick
		for decade := math.Floor(math.Log10(low)); decade <= math.Ceil(math.Log10(high)); decade++ {
			ticks = append(ticks, plot.Tick{Value: decade, Label: fmt.Sprintf("1e%.0f", decade)})
		}
		p.X.Tick.Marker = plot.ConstantTicks(ticks)
	}
	scatter, err := plotter.NewScatter(points)
	if err != nil {
		return nil, fmt.Errorf("search over %s: %w", key, err)
	}
	scatter.GlyphStyle = draw.GlyphStyle{Color: chart.Translucent(palette.Colour(0), 0.6),
		Radius: vg.Points(2.5), Shape: draw.CircleGlyph{}}
	p.Add(scatter)
	slices.Sort(heights)
	p.Y.Min = heights[len(heights)/10]
	room(p)
	return p, nil
}
