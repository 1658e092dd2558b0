package infer

import (
	"math"
	"slices"
	"testing"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// Which probabilities scores stand for is told by the graph's end and by its record.
func TestScaleOf(t *testing.T) {
	for name, test := range map[string]struct {
		nodes    []*onnxpb.NodeProto
		recorded string
		want     Scale
	}{
		"logits":             {nil, "", ScaleSoftmax},
		"binary":             {nil, onnx.SigmoidOfScores, ScaleLogits},
		"a sigmoid":          {[]*onnxpb.NodeProto{ending("Sigmoid", "p")}, "", ScaleSigmoid},
		"binary, a sigmoid":  {[]*onnxpb.NodeProto{ending("Sigmoid", "p")}, onnx.SigmoidOfScores, ScaleSigmoid},
		"binary, a softmax":  {[]*onnxpb.NodeProto{ending("Softmax", "p")}, onnx.SigmoidOfScores, ScaleSoftmax},
		"softmax":            {[]*onnxpb.NodeProto{ending("Softmax", "p")}, "", ScaleSoftmax},
		"something we don't": {[]*onnxpb.NodeProto{ending("Neg", "p")}, "", ScaleSoftmax},
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
		if got, err := ScaleOf(model, ""); err != nil || got != test.want {
			t.Errorf("%s: scale %d, %v; want %d", name, got, err, test.want)
		}
	}
}

func TestProbabilitiesOfAScale(t *testing.T) {
	logits := Logits{N: 1, K: 2, Values: []float32{1, 3}}
	sigmoid := func(z float64) float32 { return float32(1 / (1 + math.Exp(-z))) }
	first := float32(1 / (1 + math.Exp(2)))
	for name, test := range map[string]struct {
		scale Scale
		head  Head
		want  []float32
	}{
		"logits":     {ScaleSoftmax, Head{}, []float32{first, 1 / (1 + float32(math.Exp(-2)))}},
		"binary":     {ScaleLogits, Head{}, []float32{sigmoid(1), sigmoid(3)}},
		"a sigmoid":  {ScaleSigmoid, Head{Operator: "Sigmoid"}, logits.Values},
		"a softmax":  {ScaleSoftmax, Head{Operator: "Softmax"}, logits.Values},
		"logarithms": {ScaleSoftmax, Head{Operator: "LogSoftmax"}, []float32{float32(math.E), float32(math.Exp(3))}},
	} {
		got := test.scale.Probabilities(test.head, logits).Values
		if !slices.EqualFunc(got, test.want, func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-6 }) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	result := &Result{Images: 1, Correct: 1, Logits: logits, Labels: []int{1}, Classes: 2, Scale: ScaleLogits}
	if c := NewConfidence(result); math.Abs(c.Mean-float64(sigmoid(3))) > 1e-6 {
		t.Errorf("the confidence is %v", c.Mean)
	}
	m, err := result.Metrics(t.Context(), nil)
	want := -(math.Log(float64(sigmoid(3))) + math.Log(1-float64(sigmoid(1)))) / 2
	if err != nil || math.Abs(*m.LogLoss-want) > 1e-6 {
		t.Errorf("%+v, %v; want a log loss of %v", m, err, want)
	}
}
