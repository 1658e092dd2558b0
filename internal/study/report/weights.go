package report

import (
	"fmt"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"

	"slipway/internal/chart"
	"slipway/internal/document"
	"slipway/internal/safetensors"
)

// Weights counts a run's weights, biases not, by the decimal logarithm of their size.
type Weights struct {
	// Bins counts weights of |w| in [10^(logLow+i·logStep), 10^(logLow+(i+1)·logStep));
	// the first and last bins have those outside.
	Bins []int
	// Total of them, Small are below smallWeight, Zero are 0.
	Total, Small, Zero int
}

const (
	logLow, logStep, logBins = -8.0, 0.25, 36
	// smallWeight is what Adam at a learning rate of 1e-3 moves a weight in a
	// single step at most: one that is smaller has been pulled to zero.
	smallWeight = 1e-3
)

func countWeights(file *safetensors.File) (Weights, error) {
	w := Weights{Bins: make([]int, logBins)}
	for _, tensor := range file.Tensors {
		if len(tensor.Shape) < 2 {
			continue
		}
		values, err := tensor.Float32s()
		if err != nil {
			return w, err
		}
		for _, v := range values {
			size := math.Abs(float64(v))
			w.Total++
			if size < smallWeight {
				w.Small++
			}
			if size == 0 {
				w.Zero++
			}
			bin := 0
			if size > 0 {
				bin = int(math.Floor((math.Log10(size) - logLow) / logStep))
			}
			w.Bins[min(max(bin, 0), logBins-1)]++
		}
	}
	return w, nil
}

// sparsity is the share of small weights.
func (w Weights) sparsity() float64 {
	if w.Total == 0 {
		return 0
	}
	return float64(w.Small) / float64(w.Total)
}

func (s *Study) addWeights(d *document.Document) error {
	settings := s.compared()
	data := document.NewCSV("setting", "log10_from", "log10_to", "share_of_weights")
	drawn, note := shown(settings)
	style := make(map[string]int)
	for i, setting := range drawn {
		style[setting.Name] = i
	}
	var all []chart.Series
	for _, setting := range settings {
		shares := meanShares(setting.Runs)
		line := chart.Series{Name: setting.Name, Style: style[setting.Name], StepShaped: true}
		for bin, share := range shares {
			from := logLow + float64(bin)*logStep
			data.Row(setting.Name, document.Number(from), document.Number(from+logStep),
				document.Number(share))
			line.X, line.Y = append(line.X, from+logStep/2), append(line.Y, 100*share)
		}
		if _, ok := style[setting.Name]; ok {
			all = append(all, line)
		}
	}
	table, err := data.Bytes()
	if err != nil {
		return err
	}
	p := chart.New("", "size |w|", "share of weights (%)")
	var ticks []plot.Tick
	for decade := int(logLow); decade <= 1; decade++ {
		ticks = append(ticks, plot.Tick{Value: float64(decade), Label: "1e" + strconv.Itoa(decade)})
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	legend, err := chart.AddSeries(p, all)
	if err != nil {
		return err
	}
	p.Y.Min = 0
	svg, err := chart.SVG([][]*plot.Plot{{p}}, &legend, chart.PageWidth, 9*vg.Centimeter)
	if err != nil {
		return err
	}
	d.Heading("Weights")
	caption := fmt.Sprintf(
		"Sizes of the weights (biases not among them), in %v of a decade, mean over seeds. What is smaller than 1e%v is in the first bin.",
		logStep, logLow)
	if note != "" {
		caption += " " + note
	}
	d.Add(document.Figure{Name: "weights", Caption: caption, SVG: svg, Data: table})
	t := document.Table{Head: []string{"setting", fmt.Sprintf("weights below %v", smallWeight),
		"exactly 0", "of"}}
	for _, setting := range settings {
		small, zero, total := 0.0, 0.0, setting.Runs[0].Weights.Total
		for _, run := range setting.Runs {
			small += run.Weights.sparsity() / float64(len(setting.Runs))
			zero += float64(run.Weights.Zero) / float64(max(1, run.Weights.Total)) / float64(
				len(setting.Runs))
		}
		t.Rows = append(t.Rows, []string{setting.Name, percent(small), percent(zero),
			strconv.Itoa(total)})
	}
	d.Add(t)
	return nil
}

func meanShares(runs []Run) []float64 {
	shares := make([]float64, logBins)
	for _, run := range runs {
		for bin, n := range run.Weights.Bins {
			shares[bin] += float64(n) / float64(max(1, run.Weights.Total)) / float64(len(runs))
		}
	}
	return shares
}
