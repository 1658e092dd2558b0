package convert_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"slipway/builder"
	"slipway/infer"
	"slipway/onnx"
	"slipway/onnx/convert"
)

// Every case of every layer answers in onnxruntime and in the native runtime what the trainer
// answers.
func TestEveryCaseInTheRuntimes(t *testing.T) {
	for i, c := range builder.Cases() {
		t.Run(fmt.Sprintf("%d-%s", i, c.Layer.Kind()), func(t *testing.T) {
			network, err := c.Network("case")
			if err != nil {
				t.Fatal(err)
			}
			weights := drawnWeights(network, uint64(i))
			model, err := convert.FromNetwork(network, weights, onnx.TrainingRecord{}, convert.Options{})
			if err != nil {
				t.Fatal(err)
			}
			source := rand.New(rand.NewPCG(3, uint64(i)))
			images := infer.Batch{N: batch, C: 1, H: 1, W: 1}
			if shape := network.Input(); len(shape) == 3 {
				images.C, images.H, images.W = shape[0], shape[1], shape[2]
			} else {
				images.W = shape[0]
			}
			for range batch * network.Input().Elements() {
				images.Pixels = append(images.Pixels, float32(3*source.NormFloat64()))
			}
			want := runGraph(t, network, builder.EngineNative, weights, images.Pixels)
			run := func(t *testing.T, runtime infer.Runtime, err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				defer runtime.Close()
				answer, err := runtime.Run(t.Context(), images)
				if err != nil {
					t.Fatal(err)
				}
				requireClose(t, answer.Values, want)
			}
			t.Run("native", func(t *testing.T) {
				runtime, err := infer.OpenNative(t.Context(), model, infer.NativeOptions{Threads: 1})
				run(t, runtime, err)
			})
			t.Run("onnxruntime", func(t *testing.T) {
				if os.Getenv("SLIPWAY_SKIP_ONNXRUNTIME") == "1" {
					t.Skip("SLIPWAY_SKIP_ONNXRUNTIME=1: nothing of onnxruntime is tested")
				}
				runtime, err := infer.OpenONNXRuntime(t.Context(), model,
					infer.ONNXRuntimeOptions{Device: infer.DeviceCPU, Threads: 1})
				run(t, runtime, err)
			})
		})
	}
}

// drawnWeights are initial weights, but for tensors that begin as a constant, such as a scale of
// ones: what has no effect in the beginning must be exported, too.
func drawnWeights(network *builder.Network, seed uint64) builder.Weights {
	source := rand.New(rand.NewPCG(4, seed))
	weights := network.InitialWeights(seed)
	for i, spec := range network.Tensors() {
		if spec.Initial == "" {
			continue
		}
		for k := range weights[i].Data {
			weights[i].Data[k] = float32(0.25 + source.Float64()) // also good as a variance
		}
	}
	return weights
}
