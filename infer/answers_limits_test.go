package infer

import (
	"math"
	"slices"
	"testing"

	"slipway/infer/port"
	"slipway/onnx"
)

// Logits are shown where there is one for each score.
func TestLogitsAreShown(t *testing.T) {
	scores := Logits{N: 2, K: 2, Values: make([]float32, 4)}
	for _, test := range []struct {
		logits Logits
		want   bool
	}{
		{Logits{N: 2, K: 2, Values: make([]float32, 4)}, true},
		{Logits{}, false},
		{Logits{N: 2, K: 2, Values: nil}, false},
		{Logits{N: 1, K: 2, Values: make([]float32, 2)}, false},
		{Logits{N: 2, K: 1, Values: make([]float32, 2)}, false},
	} {
		if got := (Answers{Scores: scores, Logits: test.logits}).shown(); got != test.want {
			t.Errorf("%d×%d logits of %d values: %v", test.logits.N, test.logits.K, len(test.logits.Values),
				got)
		}
	}
}

// The score that takes the largest change of logits is named with its place.
func TestTheWorstScoreIsNamed(t *testing.T) {
	head := Head{Operator: port.Sigmoid}
	logits := Logits{N: 3, K: 2, Values: []float32{-2, 2, 1, -1, 0, 0.5}} // a range of 4
	scores := head.Apply(logits)
	moved := Logits{N: 3, K: 2, Values: slices.Clone(logits.Values)}
	moved.Values[5] += 0.02
	other := head.Apply(moved)
	apart := math.Abs(float64(other.Values[5]) - float64(scores.Values[5]))
	alone, err := CompareAnswers(Answers{Scores: scores}, Answers{Scores: other}, head,
		Allowance{Tolerance: 1e-3})
	if err != nil || alone.WorstImage != 2 || alone.WorstClass != 1 ||
		math.Abs(alone.MaxAbsDiff-apart) > 1e-6 || math.Abs(alone.MaxRelDiff-0.005) > 1e-4 ||
		alone.Agree() || alone.Beyond != 1 {
		t.Errorf("scores alone: %+v, %v", alone, err)
	}
	both, err := CompareAnswers(Answers{scores, logits}, Answers{other, logits}, head,
		Allowance{Tolerance: 1e-3})
	if err != nil || both.ScoresImage != 2 || both.ScoresClass != 1 ||
		math.Abs(both.ScoresRelDiff-0.005) > 1e-4 || both.MaxAbsDiff != 0 || both.Agree() {
		t.Errorf("with the same logits: %+v, %v", both, err)
	}
	// What rounding explains stays a difference, and no change of logits.
	near := Logits{N: 3, K: 2, Values: slices.Clone(scores.Values)}
	near.Values[3] = math.Nextafter32(near.Values[3], 1)
	c, err := CompareAnswers(Answers{Scores: scores}, Answers{Scores: near}, head,
		Allowance{Tolerance: 1e-3})
	if err != nil || c.MaxRelDiff != 0 || c.MaxAbsDiff == 0 || !c.Agree() {
		t.Errorf("a rounding apart: %+v, %v", c, err)
	}
	even := Logits{N: 1, K: 2, Values: []float32{0.5, 0.5}} // of no range
	c, err = CompareAnswers(Answers{Scores: even}, Answers{Scores: even}, head,
		Allowance{Tolerance: 1e-3})
	if err != nil || c.MaxRelDiff != 0 || c.ScoresRelDiff != 0 || !c.Agree() {
		t.Errorf("the same of no range: %+v, %v", c, err)
	}
}

// A label that differs is decided where scores are apart by more than rounding, and their
// logits by more than the tolerance.
func TestLabelsThatAreDecided(t *testing.T) {
	nan := float32(math.NaN())
	clear := []float32{0.99, 0.009, 0.001} // gives the logits a range of 6.9
	for name, test := range map[string]struct {
		a, b            []float32
		tolerance       float64
		differ, decided int
	}{
		"the same":             {[]float32{0.6, 0.3, 0.1}, []float32{0.6, 0.3, 0.1}, 1e-5, 0, 0},
		"clear":                {[]float32{0.6, 0.3, 0.1}, []float32{0.3, 0.6, 0.1}, 1e-5, 1, 1},
		"clear, the other way": {[]float32{0.3, 0.6, 0.1}, []float32{0.6, 0.3, 0.1}, 1e-5, 1, 1},
		"by rounding": {[]float32{0.45, 0.4500001, 0.1}, []float32{0.4500001, 0.45, 0.1}, 1e-9,
			1, 0},
		"within the tolerance": {[]float32{0.5025, 0.4925, 0.005}, []float32{0.4925, 0.5025, 0.005}, 1e-2,
			1, 0},
		"the other way": {[]float32{0.4925, 0.5025, 0.005}, []float32{0.5025, 0.4925, 0.005}, 1e-2,
			1, 0},
		"beyond the tolerance": {[]float32{0.5025, 0.4925, 0.005}, []float32{0.4925, 0.5025, 0.005}, 1e-3,
			1, 1},
		"not answered":        {[]float32{0.4, 0.4, 0.2}, []float32{0.4, nan, 0.4}, 1e-2, 1, 1},
		"answered here alone": {[]float32{0.4, nan, 0.4}, []float32{0.4, 0.4, 0.2}, 1e-2, 1, 1},
	} {
		a, b := Logits{N: 2, K: 3, Values: append(test.a, clear...)}, Logits{N: 2, K: 3,
			Values: append(test.b, clear...)}
		c, err := CompareAnswers(Answers{Scores: a}, Answers{Scores: b}, Head{Operator: port.Softmax},
			Allowance{Tolerance: test.tolerance})
		if err != nil || c.LabelsDiffer != test.differ || c.DecidedLabelsDiffer != test.decided {
			t.Errorf("%s: %d differ, %d decided, %v; want %d and %d", name, c.LabelsDiffer,
				c.DecidedLabelsDiffer, err, test.differ, test.decided)
		}
	}
}

// The shape of the scores is the declared one, or where none is declared what inference knows.
func TestShapeOfScores(t *testing.T) {
	for name, change := range map[string]func(m *onnx.Model){
		"declared":     func(*onnx.Model) {},
		"not declared": func(m *onnx.Model) { m.Proto.Graph.Output[0].Type.GetTensorType().Shape = nil },
	} {
		model := endingIn(t)
		change(model)
		p, err := port.Find(model, "")
		if err != nil || len(p.OutputDims) != 2 || p.OutputDims[0] != port.Unknown ||
			p.OutputDims[1] < 2 || len(p.Tell(Info{}).Notes) > 0 {
			t.Errorf("%s: %v, %v", name, p.OutputDims, err)
		}
	}
}
