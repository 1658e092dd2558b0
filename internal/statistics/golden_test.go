package statistics

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
)

type golden struct {
	Level       float64
	Comparisons []struct {
		A, B              []float64
		Welch             goldenT
		Paired            *goldenT
		Permutation       goldenPermutation
		PairedPermutation *goldenPermutation `json:"paired_permutation"`
	}
	Predictions []struct {
		Values   []float64
		Interval Interval
	}
	Bootstraps []struct {
		Statistic            string
		Values, Distribution []float64
		Percentile           Interval
		BCa                  Interval `json:"BCa"`
		PercentileOfMany     Interval `json:"percentile_of_50000"`
		BCaOfMany            Interval `json:"BCa_of_50000"`
	}
	Proportions []struct {
		Successes, N   int
		Wilson         Interval
		ClopperPearson Interval `json:"clopper_pearson"`
	}
	McNemar []struct {
		First, Second int
		P             float64
	} `json:"mcnemar"`
	Holm        []struct{ P, Adjusted []float64 }
	Calibration []struct {
		Logits               []float32
		Classes, Bins        int
		Labels, Counts       []int
		Confidence, Accuracy []float64
		ECE                  float64 `json:"ece"`
		Brier                float64
		Confusion            [][]int
	}
}

type goldenT struct {
	T, DF, P float64
	Interval Interval
}

type goldenPermutation struct {
	P            float64
	Arrangements int
}

func readGolden(t *testing.T) golden {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Comparisons) == 0 || len(g.Predictions) == 0 || len(g.Bootstraps) == 0 ||
		len(g.Proportions) == 0 || len(g.McNemar) == 0 || len(g.Holm) == 0 || len(g.Calibration) == 0 {
		t.Fatal("testdata/golden.json lacks cases; make it again: scripts/golden/make-golden statistics")
	}
	return g
}

// tolerance is relative, for float64 through other orders of summation and other
// series: Gonum's t quantile and inverse incomplete beta are good to about 1e-10.
const tolerance = 1e-9

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*max(1e-3, math.Abs(want))) {
		t.Errorf("%s = %.15g, want %.15g", what, got, want)
	}
}

func nearInterval(t *testing.T, what string, got, want Interval) {
	t.Helper()
	near(t, what+" from", got.Low, want.Low)
	near(t, what+" to", got.High, want.High)
}

func TestComparisonsAgreeWithSciPy(t *testing.T) {
	g := readGolden(t)
	for i, c := range g.Comparisons {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			welch, err := Welch(c.A, c.B, g.Level)
			checkT(t, "Welch", welch, err, c.Welch)
			permutation, err := PermutationTest(c.A, c.B, 0)
			checkPermutation(t, "permutation test", permutation, err, c.Permutation)
			if c.Paired == nil {
				return
			}
			paired, err := PairedT(c.A, c.B, g.Level)
			checkT(t, "paired t", paired, err, *c.Paired)
			permutation, err = PairedPermutationTest(c.A, c.B, 0)
			checkPermutation(t, "paired permutation test", permutation, err, *c.PairedPermutation)
		})
	}
}

func TestPredictionIntervalsAgreeWithSciPy(t *testing.T) {
	g := readGolden(t)
	for _, c := range g.Predictions {
		interval, err := PredictionInterval(c.Values, g.Level)
		if err != nil {
			t.Fatal(err)
		}
		nearInterval(t, fmt.Sprint("prediction from ", c.Values), interval, c.Interval)
	}
}

func checkT(t *testing.T, what string, got TTest, err error, want goldenT) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	near(t, what+": t", got.T, want.T)
	near(t, what+": degrees of freedom", got.DegreesOfFreedom, want.DF)
	near(t, what+": p", got.P, want.P)
	nearInterval(t, what+": interval", got.Interval, want.Interval)
}

func checkPermutation(t *testing.T, what string, got Permutation, err error,
	want goldenPermutation) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	near(t, what+": p", got.P, want.P)
	if got.Arrangements != want.Arrangements || !got.Exact {
		t.Errorf("%s: %d arrangements (exact: %v), want %d", what, got.Arrangements, got.Exact,
			want.Arrangements)
	}
}

func TestBootstrapAgreesWithSciPy(t *testing.T) {
	g := readGolden(t)
	statistics := map[string]func([]float64) float64{"mean": Mean, "deviation": StandardDeviation}
	for i, c := range g.Bootstraps {
		t.Run(fmt.Sprint(i, c.Statistic), func(t *testing.T) {
			// From SciPy's own resamples the intervals are the same.
			same, err := bootstrapIntervals(c.Values, statistics[c.Statistic], c.Distribution, g.Level)
			if err != nil {
				t.Fatal(err)
			}
			nearInterval(t, "percentile", same.Percentile, c.Percentile)
			nearInterval(t, "BCa", same.BCa, c.BCa)
			// From resamples of our own they are near: an end of the interval is a
			// quantile of 50,000 draws, whose standard error is √(0.025·0.975/50000)
			// = 0.0007 in probability, a few per cent of the interval's width
			// where the distribution is thin.
			own, err := Bootstrap(c.Values, statistics[c.Statistic], 50_000, g.Level, 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, end := range []struct {
				what      string
				got, want Interval
			}{{"percentile", own.Percentile, c.PercentileOfMany}, {"BCa", own.BCa, c.BCaOfMany}} {
				width := end.want.High - end.want.Low
				if math.Abs(end.got.Low-end.want.Low) > 0.03*width ||
					math.Abs(end.got.High-end.want.High) > 0.03*width {
					t.Errorf("%s interval %v, SciPy's %v", end.what, end.got, end.want)
				}
			}
			again, err := Bootstrap(c.Values, statistics[c.Statistic], 50_000, g.Level, 1)
			if err != nil || again != own {
				t.Errorf("the same seed gives %v after %v (%v)", again, own, err)
			}
		})
	}
}

func TestProportionsAgreeWithStatsmodels(t *testing.T) {
	g := readGolden(t)
	for _, c := range g.Proportions {
		wilson, err := Wilson(c.Successes, c.N, g.Level)
		if err != nil {
			t.Fatal(err)
		}
		nearInterval(t, fmt.Sprintf("Wilson of %d/%d", c.Successes, c.N), wilson, c.Wilson)
		exact, err := ClopperPearson(c.Successes, c.N, g.Level)
		if err != nil {
			t.Fatal(err)
		}
		nearInterval(t, fmt.Sprintf("Clopper-Pearson of %d/%d", c.Successes, c.N), exact,
			c.ClopperPearson)
	}
	for _, c := range g.McNemar {
		p, err := McNemar(c.First, c.Second)
		if err != nil {
			t.Fatal(err)
		}
		near(t, fmt.Sprintf("McNemar of %d and %d", c.First, c.Second), p, c.P)
	}
	for _, c := range g.Holm {
		adjusted, err := Holm(c.P)
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.Adjusted {
			near(t, fmt.Sprintf("Holm of %v, %d", c.P, i), adjusted[i], c.Adjusted[i])
		}
	}
}

func TestCalibrationAgreesWithSciPy(t *testing.T) {
	for i, c := range readGolden(t).Calibration {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			scores, err := NewScores(c.Logits, c.Classes, c.Labels)
			if err != nil {
				t.Fatal(err)
			}
			bins, err := scores.Reliability(c.Bins)
			if err != nil {
				t.Fatal(err)
			}
			for b, bin := range bins {
				if bin.Count != c.Counts[b] {
					t.Errorf("bin %d has %d images, want %d", b, bin.Count, c.Counts[b])
				}
				near(t, fmt.Sprintf("confidence of bin %d", b), bin.Confidence, c.Confidence[b])
				near(t, fmt.Sprintf("accuracy of bin %d", b), bin.Accuracy, c.Accuracy[b])
			}
			near(t, "expected calibration error", CalibrationError(bins), c.ECE)
			near(t, "Brier score", scores.Brier(), c.Brier)
			if got := scores.Confusion(); fmt.Sprint(got) != fmt.Sprint(c.Confusion) {
				t.Errorf("confusion matrix %v, want %v", got, c.Confusion)
			}
			right := 0
			for k, correct := range scores.Correct() {
				if class, _ := scores.Answer(k); correct != (class == c.Labels[k]) {
					t.Errorf("image %d is called correct: %v", k, correct)
				}
				if correct {
					right++
				}
			}
			trace := 0
			for k := range c.Confusion {
				trace += c.Confusion[k][k]
			}
			if right != trace {
				t.Errorf("%d images are right, the matrix says %d", right, trace)
			}
		})
	}
}
