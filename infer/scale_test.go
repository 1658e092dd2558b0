package infer

import (
	"math"
	"slices"
	"testing"

	"slipway/infer/port"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// Which probabilities scores stand for is told by the graph's end and by its record.
func TestScaleOf(t *testing.T) {
	end := func(operator string) []*onnxpb.NodeProto {
		return []*onnxpb.NodeProto{ending(operator, "p")}
	}
	for name, test := range map[string]struct {
		nodes    []*onnxpb.NodeProto
		recorded string
		want     Scale
	}{
		"logits":             {nil, "", port.OfLogits},
		"binary":             {nil, onnx.SigmoidOfScores, port.OfIndependentLogits},
		"a sigmoid":          {end("Sigmoid"), "", port.OfIndependentProbabilities},
		"binary, a sigmoid":  {end("Sigmoid"), onnx.SigmoidOfScores, port.OfIndependentProbabilities},
		"binary, a softmax":  {end("Softmax"), onnx.SigmoidOfScores, port.OfProbabilities},
		"softmax":            {end("Softmax"), "", port.OfProbabilities},
		"logarithms":         {end("LogSoftmax"), "", port.OfLogarithms},
		"something we don't": {end("Neg"), "", port.OfLogits},
	} {
		model := endingIn(t, test.nodes...)
		record, _, err := model.TrainingRecord()
		if err != nil {
			t.Fatal(err)
		}
		record.Probabilities = test.recorded
		if err := model.SetTrainingRecord(record); err != nil {
			t.Fatal(err)
		}
		if got := ScaleOf(model, ""); got != test.want {
			t.Errorf("%s: scale %d, want %d", name, got, test.want)
		}
	}
}

func TestProbabilitiesOfAScale(t *testing.T) {
	logits := Logits{N: 1, K: 2, Values: []float32{1, 3}}
	sigmoid := func(z float64) float32 { return float32(1 / (1 + math.Exp(-z))) }
	first := float32(1 / (1 + math.Exp(2)))
	for name, test := range map[string]struct {
		scale Scale
		want  []float32
	}{
		"logits":     {port.OfLogits, []float32{first, 1 / (1 + float32(math.Exp(-2)))}},
		"binary":     {port.OfIndependentLogits, []float32{sigmoid(1), sigmoid(3)}},
		"a sigmoid":  {port.OfIndependentProbabilities, logits.Values},
		"a softmax":  {port.OfProbabilities, logits.Values},
		"logarithms": {port.OfLogarithms, []float32{float32(math.E), float32(math.Exp(3))}},
	} {
		got := slices.Clone(logits.Values)
		test.scale.Probabilities(got)
		if !slices.EqualFunc(got, test.want, func(a, b float32) bool {
			return math.Abs(float64(a-b)) < 1e-6
		}) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	result := &Result{Images: 1, Correct: 1, Logits: logits, Labels: []int{1}, Classes: 2,
		Scale: port.OfIndependentLogits}
	if c := NewConfidence(result); math.Abs(c.Mean-float64(sigmoid(3))) > 1e-6 {
		t.Errorf("the confidence is %v", c.Mean)
	}
	for _, test := range []struct {
		scale  Scale
		scores []float32
		of     float64 // the probability of the image's class
	}{
		{port.OfLogits, []float32{1, 3}, 1 / (1 + math.Exp(-2))},
		{port.OfLogits, []float32{0.25, 0.75}, 0.75}, // they look like probabilities
		{port.OfProbabilities, []float32{0.25, 0.5}, 0.5},
	} {
		scores := Logits{N: 1, K: 2, Values: test.scores}
		result := &Result{Images: 1, Correct: 1, Logits: scores, Labels: []int{1}, Classes: 2,
			Scale: test.scale}
		m, err := result.Metrics(t.Context(), nil)
		if err != nil || math.Abs(*m.LogLoss+math.Log(test.of)) > 1e-6 {
			t.Errorf("%v of scale %d: %+v, %v; want a log loss of %v", test.scores, test.scale, m, err,
				-math.Log(test.of))
		}
	}
	m, err := result.Metrics(t.Context(), nil)
	want := -(math.Log(float64(sigmoid(3))) + math.Log(1-float64(sigmoid(1)))) / 2
	if err != nil || math.Abs(*m.LogLoss-want) > 1e-6 {
		t.Errorf("%+v, %v; want a log loss of %v", m, err, want)
	}
}
