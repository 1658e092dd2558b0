package infer

import (
	"testing"

	"slipway/internal/graphmaker"
	"slipway/internal/networktest"
	"slipway/onnx"
)

// TestBatchIsChosenByBytes: images of which a few fill the memory are asked about a few at a time.
func TestBatchIsChosenByBytes(t *testing.T) {
	e1, err := onnx.Read("../graphs/e1.onnx")
	if err != nil {
		t.Fatal(err)
	}
	large := func(batch int64) *onnx.Model {
		return graphmaker.New(batch, 32, 512, 512).Node("a = Relu x").Node("y = GlobalAveragePool a").
			Model()
	}
	for name, test := range map[string]struct {
		model *onnx.Model
		want  int
	}{
		"e1":           {e1, DefaultBatch},
		"resnet20":     {networktest.Model(t, networktest.ResNet20(t, 16)), DefaultBatch},
		"32 MiB a map": {large(graphmaker.Free), 4},
		"a batch of 3": {large(3), 4},
		"more than all may": {graphmaker.New(graphmaker.Free, 64, 2048, 2048).Node("y = Relu x").
			Model(), 1},
	} {
		if got := BatchOf(test.model); got != test.want {
			t.Errorf("%s: batches of %d, want %d", name, got, test.want)
		}
	}
}
