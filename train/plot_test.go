package train

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot"
)

// Any history has a picture: of one epoch, of equal values, of values that are no numbers
// or near the ends of float64.
func TestAnyHistoryIsDrawn(t *testing.T) {
	values := []float64{0, 1, -1, 0.1, math.Nextafter(0.1, 1), 1e-300, 5e-324, 1e6, 1e15, 1e16,
		math.Nextafter(1e16, 1e17), 1e17, 3e20, 1e30, 1e31, -1e20, 1e300, math.MaxFloat64,
		-math.MaxFloat64, math.Inf(1), math.Inf(-1), math.NaN()}
	var histories []History
	for _, x := range values {
		for _, y := range values {
			histories = append(histories, History{{Epoch: 1, MeanLoss: x, TrainAccuracy: y},
				{Epoch: 2, MeanLoss: y, TrainAccuracy: x}})
		}
		histories = append(histories,
			History{{Epoch: 3, MeanLoss: x, ValidationLoss: &x, TestAccuracy: &x}})
	}
	source := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var history History
		for i := range 1 + source.IntN(4) {
			loss := math.Float64frombits(source.Uint64())
			history = append(history,
				Epoch{Epoch: i + 1, MeanLoss: loss, TrainAccuracy: loss * (1 + 1e-12*source.Float64())})
		}
		histories = append(histories, history)
	}
	for _, history := range append(histories, nil, History{{}}) {
		svg, err := history.SVG("any")
		if err != nil {
			t.Fatalf("%+v: %v", history, err)
		}
		if err := wellFormed(string(svg)); err != nil {
			t.Errorf("%+v: %v", history, err)
		}
	}
}

// wellFormed reports what is no XML, or has a coordinate that is no number.
func wellFormed(svg string) error {
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		return errors.New("a coordinate is no number")
	}
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("the picture: %w", err)
		}
	}
}

// Accuracies are drawn in per cent, and a curve that there is nothing of has no name.
func TestWhatIsDrawn(t *testing.T) {
	accuracy := 0.75
	history := History{{Epoch: 1, MeanLoss: 2, TrainAccuracy: 0.5}, {Epoch: 2, MeanLoss: 1,
		TrainAccuracy: 0.9}}
	for _, test := range []struct {
		change func()
		names  []string
	}{
		{func() {}, []string{"training"}},
		{func() { history[1].TestAccuracy = &accuracy }, []string{"training", "test"}},
		{func() { history[1].ValidationAccuracy = &accuracy }, []string{"training", "test",
			"validation"}},
	} {
		test.change()
		svg, err := history.SVG("run")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"training", "test", "validation"} {
			if got := strings.Contains(string(svg),
				">"+name+" "); got != slices.Contains(test.names, name) {
				t.Errorf("a curve called %s: %t", name, got)
			}
		}
		if !strings.Contains(string(svg), ">50</text>") || !strings.Contains(string(svg),
			">90</text>") {
			t.Error("the accuracies are not drawn in per cent")
		}
	}
}

// A range is kept however small its values are, and one value is given one where package plot
// would not find any.
func TestRangesOfAxes(t *testing.T) {
	for _, test := range []struct{ low, high, wantLow, wantHigh float64 }{
		{1e-10, 2e-10, 1e-10, 2e-10}, {5, 5, 5, 5}, {1e8, 1e8, 0.5e8, 1.5e8}, {-1e8, -1e8, -1.5e8,
			-0.5e8},
		{8, math.Nextafter(8, 9), 4, 12},
	} {
		axis := plot.Axis{Min: test.low, Max: test.high}
		if widen(&axis); math.Abs(axis.Min-test.wantLow) > 1e-12*math.Abs(test.wantLow) ||
			math.Abs(axis.Max-test.wantHigh) > 1e-12*math.Abs(test.wantHigh) {
			t.Errorf("%g to %g become %g to %g, want %g to %g", test.low, test.high, axis.Min,
				axis.Max,
				test.wantLow, test.wantHigh)
		}
	}
}
