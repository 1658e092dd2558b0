package infer

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/infer/port"
	"slipway/onnx"
)

// passing gives an image's own pixels, less 100, as its scores.
type passing struct{ scale float32 }

func (p passing) Info() Info   { return Info{Runtime: "passing"} }
func (p passing) Close() error { return nil }

func (p passing) Run(_ context.Context, batch Batch) (Logits, error) {
	values := make([]float32, len(batch.Pixels))
	for i, pixel := range batch.Pixels {
		values[i] = (pixel - 100) * p.scale
		if pixel == 255 {
			values[i] = float32(math.NaN())
		}
	}
	return Logits{N: batch.N, K: batch.C * batch.H * batch.W, Values: values}, nil
}

// several is a set of images 1×1×3 whose scores are told by their pixels: above 100 is told.
func several(t *testing.T) *dataset.Set {
	t.Helper()
	set, err := dataset.NewMultiLabelSet("several", []uint8{
		101, 0, 200, // 0 and 2: right
		0, 0, 0, // none: right
		150, 150, 0, // 0 and 1, has 0: wrong
		100, 0, 0, // on the threshold: not told, right
		0, 255, 0, // no answer
	}, [][]int32{{0, 2}, {}, {0}, {}, {1}}, 1, 1, 3, 3)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestEvaluateSeveralLabels(t *testing.T) {
	set := several(t)
	for _, batch := range []int{1, 2, 5} {
		result, err := Evaluate(t.Context(), passing{1}, set,
			EvaluateOptions{Batch: batch, Scale: port.OfIndependentLogits, KeepLogits: true})
		if err != nil {
			t.Fatal(err)
		}
		if result.Correct != 3 || result.Unanswered != 1 || result.Confusion != nil ||
			result.AccuracyName() != "Subset accuracy" {
			t.Errorf("%d right, %d unanswered", result.Correct, result.Unanswered)
		}
		want := []ClassFigures{{2, 1, 1, 1}, {Images: 1}, {1, 1, 1, 1}}
		if got := result.PerClass(); !slices.Equal(got, want) {
			t.Errorf("labels %+v", got)
		}
		var table bytes.Buffer
		if err := WritePredictions(&table, result); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(table.String(), "\n")
		for i, want := range []string{"0,0|2,0|2,true,", "1,,,true,", "2,0,0|1,false,", "3,,,true,",
			"4,1,NaN,false,"} {
			if !strings.HasPrefix(lines[i+1], want) {
				t.Errorf("%q, want %q", lines[i+1], want)
			}
		}
		if _, err := result.LabelMetrics(nil); err == nil {
			t.Error("figures of scores that are none")
		}
	}
	reference := &Reference{Logits: Logits{N: 4, K: 3, Values: []float32{1, -1, 2, -1, -1, -1, 3, 1,
		-1, 1, 1, 1}}}
	answered, err := set.Subset([]int{0, 1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	if counted, err := reference.Count(t.Context(), answered); err != nil || counted.Correct != 2 {
		t.Errorf("%+v, %v", counted, err)
	}
	if counted, err := reference.CountAt(t.Context(), answered, 0.9); err != nil ||
		counted.Correct != 3 || counted.Predictions[2] != counted.Labels[2] {
		t.Errorf("above 0.9: %+v, %v", counted, err)
	}
	result, err := Evaluate(t.Context(), passing{1}, answered,
		EvaluateOptions{Scale: port.OfIndependentLogits, KeepLogits: true})
	if err != nil {
		t.Fatal(err)
	}
	figures, err := result.LabelMetrics([]string{"a", "b", "c"})
	if err != nil || figures.Correct != result.Correct || figures.PerLabel[2].Name != "c" {
		t.Errorf("%+v, %v", figures, err)
	}
	record := onnx.TrainingRecord{TestImages: 4, TestAccuracy: 0.75}
	if err := CheckRecorded(result, record, 1e-5); err != nil {
		t.Error(err)
	}
	if record.TestAccuracy = 0.5; CheckRecorded(result, record, 1e-5) != nil {
		t.Error("the image on the threshold may be told otherwise")
	}
	if record.TestAccuracy = 0.25; CheckRecorded(result, record, 1e-5) == nil {
		t.Error("two images are told otherwise")
	}
}

// A threshold is a probability: of logits and of probabilities the same labels are told.
func TestThresholds(t *testing.T) {
	set := several(t)
	for _, threshold := range []float64{0, 0.3, 0.5, 0.9} {
		var told []string
		for _, runtime := range []struct {
			scale port.Scale
			Runtime
		}{{port.OfIndependentLogits, passing{0.01}},
			{port.OfIndependentProbabilities, sigmoids{passing{0.01}}}} {
			result, err := Evaluate(t.Context(), runtime, set,
				EvaluateOptions{Scale: runtime.scale, Threshold: threshold})
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			for i := range result.Images {
				text += result.labelText(result.Predictions[i]) + ";"
			}
			told = append(told, text)
		}
		if told[0] != told[1] {
			t.Errorf("above %v: %q and %q", threshold, told[0], told[1])
		}
	}
	for _, threshold := range []float64{-1, 1, 2, math.NaN()} {
		if _, err := Evaluate(t.Context(), passing{1}, set,
			EvaluateOptions{Scale: port.OfIndependentLogits, Threshold: threshold}); err == nil {
			t.Errorf("a threshold of %v", threshold)
		}
	}
	if _, err := Evaluate(t.Context(), passing{1}, set, EvaluateOptions{}); !errors.Is(err,
		dataset.ErrMultiLabel) {
		t.Errorf("a model of one class: %v", err)
	}
	wide, err := dataset.NewMultiLabelSet("wide", []uint8{1, 2, 3}, [][]int32{{3}}, 1, 1, 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Evaluate(t.Context(), passing{1}, wide,
		EvaluateOptions{Scale: port.OfIndependentLogits}); err == nil ||
		!strings.Contains(err.Error(), "there is the label 3") {
		t.Errorf("a label too many: %v", err)
	}
}

// sigmoids gives the probabilities of another's scores.
type sigmoids struct{ Runtime }

func (s sigmoids) Run(ctx context.Context, batch Batch) (Logits, error) {
	logits, err := s.Runtime.Run(ctx, batch)
	port.OfIndependentLogits.Probabilities(logits.Values)
	return logits, err
}

// A label that is told by one side alone counts, and whether rounding explains it.
func TestCompareSeveralLabels(t *testing.T) {
	zero, half := float32(0), float32(0.5)
	nan := float32(math.NaN())
	rows := func(values ...float32) Logits { return Logits{N: len(values) / 2, K: 2, Values: values} }
	for name, test := range map[string]struct {
		a, b            Logits
		differ, decided int
	}{
		"equal":                      {rows(1, -1, 2, 3), rows(1, -1, 2, 3), 0, 0},
		"another order":              {rows(1, 2, 5, -5), rows(2, 1, 5, -5), 0, 0},
		"within the tolerance":       {rows(1e-6, 4, -5, 5), rows(-1e-6, 4, -5, 5), 1, 0},
		"beyond it":                  {rows(1e-6, 4, -5, 5), rows(-1, 4, -5, 5), 1, 1},
		"one within and one beyond":  {rows(1e-6, 1, -5, 5), rows(-1e-6, -1, -5, 5), 1, 1},
		"no answer on either side":   {rows(nan, 4, -5, 5), rows(nan, 4, -5, 5), 1, 1},
		"no answer on one side":      {rows(nan, 4, -5, 5), rows(1e-6, 4, -5, 5), 1, 1},
		"no answer on the other":     {rows(1e-6, 4, -5, 5), rows(nan, 4, -5, 5), 1, 1},
		"the larger one is the same": {rows(5, -1, 1, 1), rows(5, 1, 1, -1), 2, 2},
	} {
		c, err := CompareAnswers(Answers{Scores: test.a}, Answers{Scores: test.b}, Head{},
			Allowance{Tolerance: 1e-5, Told: &zero})
		if err != nil || c.LabelsDiffer != test.differ || c.DecidedLabelsDiffer != test.decided {
			t.Errorf("%s: %d differ, %d decided, %v", name, c.LabelsDiffer, c.DecidedLabelsDiffer, err)
		}
	}
	c, err := CompareAnswers(Answers{Scores: rows(0.1, 4, -5, 5)},
		Answers{Scores: rows(-0.1, 4, -5, 5)}, Head{}, Allowance{Tolerance: 1e-2, Told: &zero})
	if err != nil || c.Agree() || !strings.Contains(c.Reason(), "the largest logit difference") {
		t.Errorf("%v, %v", c.Reason(), err)
	}
	c.MaxRelDiff, c.MaxAbsDiff, c.DecidedLabelsDiffer, c.Beyond = 0, 0, 1, 0
	if !strings.Contains(c.Reason(),
		"the labels of 1 images differ where a logit is further from the threshold") {
		t.Error(c.Reason())
	}
	// Of a model that ends in a Sigmoid the scores are told at 0.5.
	head := Head{Operator: port.Sigmoid}
	for name, test := range map[string]struct {
		a, b            Logits
		differ, decided int
	}{
		"equal":                {rows(1, -1, 2, 3), rows(1, -1, 2, 3), 0, 0},
		"within the tolerance": {rows(1e-6, 4, -5, 5), rows(-1e-6, 4, -5, 5), 1, 0},
		"beyond it":            {rows(1, 4, -5, 5), rows(-1, 4, -5, 5), 1, 1},
		"no answer on a side":  {rows(nan, 4, -5, 5), rows(1, 4, nan, 5), 2, 2},
	} {
		for _, shown := range []bool{true, false} {
			a, b := Answers{Scores: head.Apply(test.a)}, Answers{Scores: head.Apply(test.b)}
			if shown {
				a.Logits, b.Logits = test.a, test.b
			}
			c, err := CompareAnswers(a, b, head, Allowance{Tolerance: 1e-5, Told: &half})
			if err != nil || c.LabelsDiffer != test.differ || c.DecidedLabelsDiffer != test.decided {
				t.Errorf("Sigmoid, %s, logits shown %v: %d differ, %d decided, %v", name, shown, c.LabelsDiffer,
					c.DecidedLabelsDiffer, err)
			}
		}
	}
}
