package convert_test

import (
	"strings"
	"testing"

	"slipway/builder"
	"slipway/onnx"
	"slipway/onnx/convert"
)

// tinyModel is conv1 → relu1 → pool1 → flatten1 → fc1 on 1×6×6 images.
func tinyModel(t testing.TB) *onnx.Model {
	t.Helper()
	network, err := builder.New("tiny", builder.Shape{1, 6, 6},
		builder.Conv2D{Filters: 2, Kernel: builder.Square(3)}, builder.ReLU{},
		builder.MaxPool2D{Kernel: builder.Square(2)}, builder.Flatten{}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	model, err := convert.FromNetwork(network, network.InitialWeights(1),
		onnx.TrainingRecord{Seed: 1}, convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func encode(t testing.TB, model *onnx.Model) []byte {
	t.Helper()
	data, err := onnx.Encode(model)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// No model has no weights for any network.
func TestNoModelsWeights(t *testing.T) {
	for _, network := range networks(t) {
		for _, model := range []*onnx.Model{nil, {}} {
			if _, err := convert.WeightsFor(network, model); err == nil {
				t.Errorf("%v has weights", model)
			}
		}
	}
}

func TestWeightsForNoNetwork(t *testing.T) {
	if _, err := convert.WeightsFor(nil, tinyModel(t)); err == nil ||
		!strings.Contains(err.Error(), "there is no network or no model") {
		t.Error(err)
	}
}
