package infer

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/internal/networktest"
	"slipway/onnx"
	"slipway/onnx/picture"
)

// TestNetworksInTwoRuntimes takes every layer, and networks of the zoo, through ONNX: the shapes of
// all values are known, the graph can be drawn, and onnxruntime and native answer alike.
func TestNetworksInTwoRuntimes(t *testing.T) {
	networks := make(map[string]*builder.Network)
	for i, c := range builder.Cases() {
		network, err := c.Network("alone")
		if err != nil {
			t.Fatal(err)
		}
		if len(network.Input()) == 3 {
			networks[fmt.Sprintf("%s %d", c.Layer.Kind(), i)] = network
		}
	}
	for _, name := range zoo.Names() {
		network, err := zoo.New(name, builder.Shape{3, 64, 64}, 10)
		if err != nil {
			t.Fatal(err)
		}
		// The larger ones are of the same blocks, or of layers that are among the cases.
		if network.ParameterCount() < 5e6 {
			networks[name] = network
		}
	}
	for name, network := range networks {
		t.Run(name, func(t *testing.T) {
			model := networktest.Model(t, network)
			report := onnx.Inspect(model)
			if _, known := report.LiveBytes(); !known {
				for _, node := range report.Nodes {
					if len(node.Outputs) > 0 && !node.Outputs[0].HasShape {
						t.Errorf("the shape that %s %q gives is not known", node.Operator, node.Name)
					}
				}
			}
			if _, err := picture.SVG(report); err != nil {
				t.Error(err)
			}
			// Scores are counted by class: a case's output is one of features.
			shape := network.Input()
			batch := Batch{N: 6, C: shape[0], H: shape[1], W: shape[2],
				Pixels: make([]float32, 6*shape.Elements())}
			random := rand.New(rand.NewPCG(1, 2))
			for i := range batch.Pixels {
				batch.Pixels[i] = float32(random.NormFloat64())
			}
			var answers []Logits
			for _, name := range []string{RuntimeONNXRuntime, RuntimeNative} {
				runtime, err := OpenRuntime(t.Context(), name, model, RuntimeOptions{Device: DeviceCPU})
				if err != nil {
					t.Fatal(err)
				}
				answer, err := runtime.Run(t.Context(), batch)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if err := runtime.Close(); err != nil {
					t.Error(err)
				}
				answers = append(answers, answer)
			}
			comparison, err := Compare(answers[0], answers[1], DefaultTolerance)
			if err != nil || comparison.MaxRelDiff > DefaultTolerance {
				t.Errorf("%v, the largest difference is %.2g of the range", err, comparison.MaxRelDiff)
			}
		})
	}
}
