package native_test

import (
	"math/rand/v2"
	"testing"

	"slipway/builder"
	"slipway/infer/native"
	"slipway/internal/networktest"
	"slipway/onnx"
)

// TestNetworksThatAreGraphs: residual sums, normalisation, squeeze-and-excitation, depthwise
// convolutions and Concat are answered as by onnxruntime.
func TestNetworksThatAreGraphs(t *testing.T) {
	startONNXRuntime(t)
	for name, test := range map[string]struct {
		model *onnx.Model
		shape []int
	}{
		"resnet20": {networktest.Model(t, networktest.ResNet20(t, 16)), []int{9, 3, 32, 32}},
		"residual": {networktest.Model(t, networktest.Residual(t, builder.Shape{1, 9, 7}, 3)),
			[]int{9, 1, 9, 7}},
		"mobile": {networktest.Mobile(), []int{9, 3, 12, 12}},
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(5, 6))
			n := 1
			for _, d := range test.shape {
				n *= d
			}
			values := make([]float32, n)
			for i := range values {
				values[i] = float32(random.NormFloat64())
			}
			x := tensors{{Shape: test.shape, Data: values}}
			want, err := inONNXRuntime(t, test.model, x)
			if err != nil {
				t.Fatal(err)
			}
			got, err := inNative(t, test.model, []*native.Tensor{x[0]})
			if err != nil {
				t.Fatal(err)
			}
			requireSame(t, got[0], want[0], agreement)
		})
	}
}
