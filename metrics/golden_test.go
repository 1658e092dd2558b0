package metrics

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// goldenFigures are those of one case by scikit-learn, null where it calls one undefined.
type goldenFigures struct {
	Name             string     `json:"name"`
	Scores           []float32  `json:"scores"`
	Precision        []*float64 `json:"precision"`
	Recall           []*float64 `json:"recall"`
	F1               []*float64 `json:"f1"`
	Support          []int      `json:"support"`
	ROCAUC           []*float64 `json:"class_roc_auc"`
	AveragePrecision []*float64 `json:"class_average_precision"`
}

type golden struct {
	SingleLabel []struct {
		goldenFigures
		Labels        []int    `json:"labels"`
		Classes       int      `json:"classes"`
		Probabilities bool     `json:"probabilities"`
		TopKOf        int      `json:"top_k"`
		TopK          *float64 `json:"top_k_accuracy"`
		Accuracy      *float64 `json:"accuracy"`
		Balanced      *float64 `json:"balanced_accuracy"`
		Precision     *float64 `json:"macro_precision"`
		F1            *float64 `json:"macro_f1"`
		ROCAUC        *float64 `json:"roc_auc"`
		Average       *float64 `json:"average_precision"`
		LogLoss       *float64 `json:"log_loss"`
		Brier         *float64 `json:"brier_score"`
		ECE           *float64 `json:"ece"`
	} `json:"single_label"`
	MultiLabel []struct {
		goldenFigures
		Targets   []bool   `json:"targets"`
		Labels    int      `json:"labels"`
		Threshold float32  `json:"threshold"`
		Subset    *float64 `json:"subset_accuracy"`
		Hamming   *float64 `json:"hamming_loss"`
		Average   *float64 `json:"mean_average_precision"`
		ROCAUC    *float64 `json:"roc_auc"`
		MacroF1   *float64 `json:"macro_f1"`
		MicroF1   *float64 `json:"micro_f1"`
	} `json:"multi_label"`
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
	if len(g.SingleLabel) < 10 || len(g.MultiLabel) < 5 {
		t.Fatal("testdata/golden.json lacks cases; scripts/golden/make-golden metrics makes them")
	}
	return g
}

// near compares figures that are both float64 sums over the same numbers, in another order.
func near(t *testing.T, what string, got, want *float64) {
	t.Helper()
	const tolerance = 1e-12
	switch {
	case got == nil && want == nil:
	case got == nil || want == nil:
		t.Errorf("%s is defined: %v, by scikit-learn: %v", what, got != nil, want != nil)
	case !(math.Abs(*got-*want) <= tolerance*max(1, math.Abs(*want))):
		t.Errorf("%s = %.17g, scikit-learn has %.17g", what, *got, *want)
	}
}

func (g goldenFigures) check(t *testing.T, classes []Class) {
	t.Helper()
	if len(classes) != len(g.Support) {
		t.Fatalf("figures of %d classes, want %d", len(classes), len(g.Support))
	}
	for i, class := range classes {
		if class.Support != g.Support[i] {
			t.Errorf("class %d has %d images, want %d", i, class.Support, g.Support[i])
		}
		near(t, class.Name+": precision", class.Precision, g.Precision[i])
		near(t, class.Name+": recall", class.Recall, g.Recall[i])
		near(t, class.Name+": F1", class.F1, g.F1[i])
		near(t, class.Name+": ROC AUC", class.ROCAUC, g.ROCAUC[i])
		near(t, class.Name+": average precision", class.AveragePrecision, g.AveragePrecision[i])
	}
}

func TestMetricsAgreeWithScikitLearn(t *testing.T) {
	for _, c := range readGolden(t).SingleLabel {
		t.Run(c.Name, func(t *testing.T) {
			options := Options{TopK: c.TopKOf, Probabilities: c.Probabilities}
			m, err := New(t.Context(), c.Scores, c.Labels, c.Classes, options)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "accuracy", &m.Accuracy, c.Accuracy)
			near(t, "top-k accuracy", m.TopK, c.TopK)
			near(t, "balanced accuracy", m.BalancedAccuracy, c.Balanced)
			near(t, "macro precision", m.MacroPrecision, c.Precision)
			near(t, "macro F1", m.MacroF1, c.F1)
			near(t, "ROC AUC", m.ROCAUC, c.ROCAUC)
			near(t, "average precision", m.AveragePrecision, c.Average)
			near(t, "log loss", m.LogLoss, c.LogLoss)
			near(t, "Brier score", m.Brier, c.Brier)
			near(t, "calibration error", m.ECE, c.ECE)
			c.check(t, m.PerClass)
		})
	}
}

func TestMultiLabelAgreesWithScikitLearn(t *testing.T) {
	for _, c := range readGolden(t).MultiLabel {
		t.Run(c.Name, func(t *testing.T) {
			m, err := NewMultiLabel(c.Scores, c.Targets, c.Labels, c.Threshold, nil)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "subset accuracy", &m.SubsetAccuracy, c.Subset)
			near(t, "Hamming loss", &m.HammingLoss, c.Hamming)
			near(t, "mean average precision", m.MeanAveragePrecision, c.Average)
			near(t, "ROC AUC", m.ROCAUC, c.ROCAUC)
			near(t, "macro F1", m.MacroF1, c.MacroF1)
			near(t, "micro F1", m.MicroF1, c.MicroF1)
			c.check(t, m.PerLabel)
		})
	}
}
