package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"slipway/internal/statistics"
)

// Metric is a figure of a run that settings are compared by.
type metric struct {
	key, name string
	// value returns the figure, not ok where the run does not have it.
	value func(Run) (x float64, ok bool)
	// share says that the figure is a share, shown in per cent, and differences in
	// percentage points.
	share bool
	// better is the word for a higher value that is significantly so.
	higher, lower string
	digits        int
}

// The metrics, in the order of the tables.
func metrics() []metric {
	always := func(value func(Run) float64) func(Run) (float64, bool) {
		return func(r Run) (float64, bool) {
			x := value(r)
			return x, !math.IsNaN(x) && !math.IsInf(x, 0)
		}
	}
	return []metric{
		{key: "test_accuracy", name: "test accuracy", share: true, higher: "higher", lower: "lower",
			value: always(func(r Run) float64 { return r.TestAccuracy })},
		{key: "gap", name: "train–test gap", share: true, higher: "larger", lower: "smaller",
			value: always(func(r Run) float64 { return r.TrainAccuracy - r.TestAccuracy })},
		{key: "test_loss", name: "test loss", digits: 4, higher: "higher", lower: "lower",
			value: always(func(r Run) float64 { return r.TestLoss })},
		{key: "loss_gap", name: "test loss less training loss", digits: 4, higher: "larger",
			lower: "smaller", value: always(func(r Run) float64 { return r.TestLoss - r.TrainLoss })},
		{key: "calibration_error", name: "calibration error (ECE)", share: true, higher: "larger",
			lower: "smaller", value: always(func(r Run) float64 { return r.CalibrationError })},
		{key: "robust_accuracy", name: "accuracy on corrupted images", share: true, higher: "higher",
			lower: "lower", value: robustAccuracy},
		{key: "noise_accuracy", name: "accuracy under noise", share: true, higher: "higher",
			lower: "lower", value: noiseAccuracy},
		{key: "unseen_accuracy", name: "accuracy on the UCI digits", share: true, higher: "higher",
			lower: "lower",
			value: func(r Run) (float64, bool) { return unseenAccuracy(r, digitsName) }},
	}
}

// robustAccuracy is the mean over all corruptions and strengths.
func robustAccuracy(r Run) (float64, bool) {
	var all []float64
	for _, name := range corruptions(r) {
		all = append(all, r.Robustness[name]...)
	}
	return statistics.Mean(all), len(all) > 0
}

// noiseAccuracy is the mean over the corruptions that are noise, and their strengths.
func noiseAccuracy(r Run) (float64, bool) {
	var all []float64
	for _, name := range corruptions(r) {
		if strings.HasSuffix(name, "noise") {
			all = append(all, r.Robustness[name]...)
		}
	}
	return statistics.Mean(all), len(all) > 0
}

func corruptions(r Run) []string {
	names := make([]string, 0, len(r.Robustness))
	for name := range r.Robustness {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// summary shows the mean and the standard deviation.
func (m metric) summary(values []float64) string {
	if m.share {
		return plusMinus(values, 100, 2, " %")
	}
	return plusMinus(values, 1, m.digits, "")
}

// difference shows a difference of two values, with its sign.
func (m metric) difference(x float64) string {
	if m.share {
		return signed(100*x, 2)
	}
	return signed(x, m.digits)
}

// unit is that of differences, with a leading space, or nothing.
func (m metric) unit() string {
	if m.share {
		return " points"
	}
	return ""
}

// values returns the figures of a setting's runs, those that have it.
func (m metric) values(runs []Run) []float64 {
	var values []float64
	for _, run := range runs {
		if x, ok := m.value(run); ok {
			values = append(values, x)
		}
	}
	return values
}

// had reports whether all runs of all settings have the figure.
func (m metric) had(settings []Setting) bool {
	for _, setting := range settings {
		if len(m.values(setting.Runs)) < len(setting.Runs) {
			return false
		}
	}
	return true
}

// spread is the mean over seeds of a figure, with Student's interval where there
// are two runs or more.
type spread struct {
	n                    int
	mean, deviation      float64
	interval             statistics.Interval
	smallest, largest    float64
	intervalIsMeaningful bool
}

func spreadOf(values []float64) spread {
	s := spread{n: len(values), mean: statistics.Mean(values),
		deviation: statistics.StandardDeviation(values)}
	s.interval = statistics.Interval{Low: s.mean, High: s.mean}
	if s.n == 0 {
		return s
	}
	s.smallest, s.largest = slices.Min(values), slices.Max(values)
	if interval, err := statistics.MeanInterval(values, level); err == nil {
		s.interval, s.intervalIsMeaningful = interval, true
	}
	return s
}

// plusMinus shows the mean, times a scale, and the standard deviation over seeds where
// there are two or more: "98.58 ± 0.12 %".
func plusMinus(values []float64, scale float64, digits int, unit string) string {
	text := minus(fmt.Sprintf("%.*f", digits, scale*statistics.Mean(values)))
	if len(values) > 1 {
		text += fmt.Sprintf(" ± %.*f", digits, scale*statistics.StandardDeviation(values))
	}
	return text + unit
}

// minus writes a minus sign for the hyphen.
func minus(text string) string { return strings.Replace(text, "-", "−", 1) }

// percent shows a share: "98.58 %".
func percent(x float64) string { return fmt.Sprintf("%.2f %%", 100*x) }

// signed shows a number with its sign, a true minus, and no sign where it rounds to
// zero.
func signed(x float64, digits int) string {
	text := fmt.Sprintf("%.*f", digits, math.Abs(x))
	switch zero := fmt.Sprintf("%.*f", digits, 0.0); {
	case text == zero:
		return "±" + text
	case x < 0:
		return "−" + text
	}
	return "+" + text
}

// pValue shows a p-value: "p = 0.012", or below what is worth telling apart.
func pValue(p float64) string {
	switch {
	case p < 0.0001:
		return "p < 0.0001"
	case p < 0.001:
		return fmt.Sprintf("p = %.4f", p)
	case p > 0.999:
		return "p = 1"
	}
	return fmt.Sprintf("p = %.3f", p)
}

// count shows a number of things: "1 run", "10 runs".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
