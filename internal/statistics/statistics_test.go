package statistics

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

func TestWhatDoesNotVary(t *testing.T) {
	same, other := []float64{0.5, 0.5, 0.5}, []float64{0.25, 0.25, 0.25}
	equal, err := Welch(same, same, 0.95)
	if err != nil || equal.P != 1 || equal.Difference != 0 {
		t.Errorf("equal constants: %+v (%v)", equal, err)
	}
	apart, err := PairedT(same, other, 0.95)
	if err != nil || apart.P != 0 || apart.Interval != (Interval{0.25, 0.25}) {
		t.Errorf("constants apart: %+v (%v)", apart, err)
	}
	if p, err := PairedPermutationTest(same, same, 0); err != nil || p.P != 1 {
		t.Errorf("no difference: %+v (%v)", p, err)
	}
	// Three pairs cannot say less than one in four, however far apart.
	if p, err := PairedPermutationTest(same, other, 0); err != nil || p.P != 0.25 {
		t.Errorf("three equal differences: %+v (%v)", p, err)
	}
	constant, err := Bootstrap(same, Mean, 100, 0.95, 0)
	if err != nil || constant.BCa != (Interval{0.5, 0.5}) || constant.Percentile != constant.BCa {
		t.Errorf("bootstrap of a constant: %+v (%v)", constant, err)
	}
	if p, err := McNemar(0, 0); err != nil || p != 1 {
		t.Errorf("McNemar without a difference: %v (%v)", p, err)
	}
}

// Where there are too many arrangements, drawn ones must come near the exact
// answer, known here from the same values a few less.
func TestDrawnArrangementsComeNearTheTTest(t *testing.T) {
	source := rand.New(rand.NewPCG(1, 1))
	a, b := make([]float64, 30), make([]float64, 30)
	for i := range a {
		a[i], b[i] = source.NormFloat64(), source.NormFloat64()+0.5
	}
	welch, err := Welch(a, b, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := PermutationTest(a, b, 1)
	if err != nil || drawn.Exact {
		t.Fatalf("%+v (%v)", drawn, err)
	}
	// For 30 normal values the two tests agree to a few thousandths.
	if math.Abs(drawn.P-welch.P) > 0.01 {
		t.Errorf("permutation test p = %v, Welch's %v", drawn.P, welch.P)
	}
	paired, err := PairedT(a, b, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	flipped, err := PairedPermutationTest(a, b, 1)
	if err != nil || flipped.Exact || math.Abs(flipped.P-paired.P) > 0.01 {
		t.Errorf("paired permutation test %+v, t-test's p %v (%v)", flipped, paired.P, err)
	}
	if again, _ := PermutationTest(a, b, 1); again != drawn {
		t.Errorf("the same seed gives %+v after %+v", again, drawn)
	}
}

// With equal rows only the images are a sample, with equal columns only the runs:
// then the interval is that of an ordinary bootstrap.
func TestCrossedBootstrapCountsBothSamples(t *testing.T) {
	const rows, columns, resamples = 8, 400, 20_000
	byRow, byColumn, both := make([][]int8, rows), make([][]int8, rows), make([][]int8, rows)
	var rowValues, columnValues []float64
	for i := range rows {
		for j := range columns {
			byRow[i] = append(byRow[i], int8(i%3))
			byColumn[i] = append(byColumn[i], int8(j%5/4))
			both[i] = append(both[i], int8(i%3+j%5/4))
			if i == 0 {
				columnValues = append(columnValues, float64(j%5/4))
			}
		}
		rowValues = append(rowValues, float64(i%3))
	}
	width := func(i Interval) float64 { return i.High - i.Low }
	crossed := func(table [][]int8) float64 {
		interval, err := CrossedBootstrap(table, resamples, 0.95, 3)
		if err != nil {
			t.Fatal(err)
		}
		return width(interval)
	}
	ordinary := func(values []float64) float64 {
		b, err := Bootstrap(values, Mean, resamples, 0.95, 4)
		if err != nil {
			t.Fatal(err)
		}
		return width(b.Percentile)
	}
	rowWidth, columnWidth := ordinary(rowValues), ordinary(columnValues)
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"equal columns", crossed(byRow), rowWidth},
		{"equal rows", crossed(byColumn), columnWidth},
		// The two add up as independent errors do.
		{"both", crossed(both), math.Hypot(rowWidth, columnWidth)},
	} {
		if math.Abs(c.got-c.want) > 0.05*c.want {
			t.Errorf("%s: interval %v wide, want %v", c.what, c.got, c.want)
		}
	}
}

func TestHalfOfAllIntervalsAtLevelAHalfHoldTheMean(t *testing.T) {
	source := rand.New(rand.NewPCG(2, 2))
	const trials = 4000
	held := 0
	for range trials {
		values := make([]float64, 5)
		for i := range values {
			values[i] = 3 + source.NormFloat64()
		}
		interval, err := MeanInterval(values, 0.5)
		if err != nil {
			t.Fatal(err)
		}
		if interval.Contains(3) {
			held++
		}
	}
	// The standard deviation of the share is √(¼/4000) = 0.008: four of them.
	if share := float64(held) / trials; math.Abs(share-0.5) > 0.032 {
		t.Errorf("%v of the intervals hold the mean", share)
	}
}

func TestQuantileInterpolates(t *testing.T) {
	for _, c := range []struct{ p, want float64 }{{0, 1}, {0.25, 1.75}, {0.5, 2.5}, {1, 4}} {
		if got := Quantile([]float64{4, 1, 3, 2}, c.p); got != c.want {
			t.Errorf("quantile %v is %v, want %v", c.p, got, c.want)
		}
	}
	if !math.IsNaN(Quantile(nil, 0.5)) || !math.IsNaN(Quantile([]float64{1}, math.NaN())) {
		t.Error("a quantile of nothing, or at NaN, is a number")
	}
}

func TestArgumentsOutOfRange(t *testing.T) {
	nan := math.NaN()
	good := []float64{1, 2}
	for name, call := range map[string]func() error{
		"Welch of one": func() error { _, err := Welch(good[:1], good, 0.95); return err },
		"level 1":      func() error { _, err := Welch(good, good, 1); return err },
		"level NaN":    func() error { _, err := PairedT(good, good, nan); return err },
		"unequal pairs": func() error {
			_, err := PairedT(good, good[:1], 0.95)
			return err
		},
		"interval of one": func() error {
			_, err := MeanInterval(good[:1], 0.95)
			return err
		},
		"prediction from one": func() error {
			_, err := PredictionInterval(good[:1], 0.95)
			return err
		},
		"prediction at level 0": func() error { _, err := PredictionInterval(good, 0); return err },
		"permutation of none": func() error {
			_, err := PermutationTest(nil, good, 0)
			return err
		},
		"no pairs": func() error {
			_, err := PairedPermutationTest(nil, nil, 0)
			return err
		},
		"pairs that are none": func() error {
			_, err := PairedPermutationTest(good, nil, 0)
			return err
		},
		"bootstrap of one": func() error {
			_, err := Bootstrap(good[:1], Mean, 10, 0.95, 0)
			return err
		},
		"one resample": func() error {
			_, err := Bootstrap(good, Mean, 1, 0.95, 0)
			return err
		},
		"bootstrap at level 0": func() error {
			_, err := Bootstrap(good, Mean, 10, 0, 0)
			return err
		},
		"crossed bootstrap of none": func() error {
			_, err := CrossedBootstrap(nil, 10, 0.95, 0)
			return err
		},
		"crossed bootstrap, ragged": func() error {
			_, err := CrossedBootstrap([][]int8{{1}, {1, 2}}, 10, 0.95, 0)
			return err
		},
		"crossed bootstrap, level 2": func() error {
			_, err := CrossedBootstrap([][]int8{{1}}, 10, 2, 0)
			return err
		},
		"three of two":    func() error { _, err := Wilson(3, 2, 0.95); return err },
		"none of none":    func() error { _, err := ClopperPearson(0, 0, 0.95); return err },
		"minus one image": func() error { _, err := McNemar(-1, 2); return err },
		"p above 1":       func() error { _, err := Holm([]float64{0.5, 1.5}); return err },
		"p NaN":           func() error { _, err := Holm([]float64{nan}); return err },
		"too few logits": func() error {
			_, err := NewScores(make([]float32, 3), 2, []int{0, 1})
			return err
		},
		"label out of range": func() error {
			_, err := NewScores(make([]float32, 2), 2, []int{2})
			return err
		},
		"a logit that is no number": func() error {
			_, err := NewScores([]float32{float32(nan), 0}, 2, []int{1})
			return err
		},
		"reliability without any bin": func() error { _, err := Scores{}.Reliability(0); return err },
	} {
		if err := call(); !errors.Is(err, ErrArgument) {
			t.Errorf("%s: error %v, want ErrArgument", name, err)
		}
	}
}
