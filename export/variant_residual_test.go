package export

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/dataset"
	"slipway/infer"
	"slipway/internal/networktest"
	"slipway/onnx"
)

// smoothImages are images of a few soft spots, whose answers differ more than those of noise.
func smoothImages(t *testing.T, n, channels, height, width int, seed uint64) *dataset.Set {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 9))
	var images []uint8
	for range n {
		for range channels {
			y, x, spread := random.Float64()*float64(height), random.Float64()*float64(width), 8+
				40*random.Float64()
			for i := range height {
				for j := range width {
					d := (float64(i)-y)*(float64(i)-y) + (float64(j)-x)*(float64(j)-x)
					images = append(images, uint8(250*math.Exp(-d/spread)))
				}
			}
		}
	}
	set, err := dataset.NewSet("spots", images, make([]int32, n), channels, height, width, 10)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// residualModels are graphs with residual sums, projections, BatchNormalization,
// squeeze-and-excitation, depthwise convolutions and Concat.
func residualModels(t *testing.T) map[string]*onnx.Model {
	t.Helper()
	models := map[string]*onnx.Model{"resnet20": networktest.Model(t, networktest.ResNet20(t, 16)),
		"mobile": networktest.Mobile()}
	for _, name := range []string{"mobilenet_v2", "mobilenet_v3_small", "squeezenet1_1",
		"efficientnet_lite0"} {
		network, err := zoo.New(name, builder.Shape{3, 32, 32}, 10)
		if err != nil {
			t.Fatal(err)
		}
		models[name] = networktest.Model(t, network)
	}
	return models
}

// TestVariantsOfResidualNetworks makes every variant of networks that are graphs. onnxruntime and
// native run all of them; a form answers as its source, float16 and int8 nearly. Scores are
// compared, and not labels: where nobody has trained a network, scores are near each other.
func TestVariantsOfResidualNetworks(t *testing.T) {
	if testing.Short() {
		t.Skip("makes every variant of several networks")
	}
	for name, model := range residualModels(t) {
		dims := model.Inputs()[0].Dims
		images := smoothImages(t, 40, int(dims[1].Size), int(dims[2].Size), int(dims[3].Size), 1)
		test := smoothImages(t, 40, int(dims[1].Size), int(dims[2].Size), int(dims[3].Size), 2)
		record := onnx.TrainingRecord{PixelScale: 1.0 / 255}
		from := source{model: model, record: record}
		pixels, err := infer.PixelsOf(record)
		if err != nil {
			t.Fatal(err)
		}
		expected, err := askONNXRuntime(t.Context(), model, test, pixels)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			options    VariantOptions
			difference float64 // of the scores' range
		}{
			{VariantOptions{Precision: Float16}, 0x1p-9},
			{VariantOptions{Precision: Int8}, 0.1},
			{VariantOptions{Form: onnx.Form{Batch: 3}}, infer.DefaultTolerance},
			{VariantOptions{Form: onnx.Form{Bytes: true, PixelScale: 1.0 / 255}}, infer.DefaultTolerance},
			{VariantOptions{Precision: Int8, Form: onnx.Form{Batch: 2, Bytes: true, PixelScale: 1.0 / 255}},
				0.1},
		} {
			t.Run(fmt.Sprint(name, " ", c.options.Name()), func(t *testing.T) {
				c.options.Images, c.options.Calibration = images, images.Len()
				if c.options.Form.Batch != 0 && len(model.Outputs()[0].Dims) == 0 {
					c.options.Form.Batch = 0 // its output is declared without a shape
				}
				variant, err := makeVariant(t.Context(), from, c.options)
				if err != nil {
					t.Fatal(err)
				}
				fed := pixels
				if c.options.Form.Bytes {
					fed = dataset.Pixels{}
				}
				for _, runtime := range []string{infer.RuntimeONNXRuntime, infer.RuntimeNative} {
					r, err := infer.OpenRuntime(t.Context(), runtime, variant,
						infer.RuntimeOptions{Device: infer.DeviceCPU})
					if err != nil {
						t.Fatal(err)
					}
					got, err := infer.Evaluate(t.Context(), r, test,
						infer.EvaluateOptions{Pixels: fed, KeepLogits: true})
					if err != nil {
						t.Fatalf("%s: %v", runtime, err)
					}
					if err := r.Close(); err != nil {
						t.Error(err)
					}
					comparison, err := infer.Compare(expected.Logits, got.Logits, 0.5)
					if err != nil {
						t.Fatal(err)
					}
					t.Logf("%s: %d labels differ, %.2g of the range", runtime, comparison.LabelsDiffer,
						comparison.MaxRelDiff)
					if comparison.MaxRelDiff > c.difference {
						t.Errorf("%s: the largest difference is %.3g of the range; %.3g may be", runtime,
							comparison.MaxRelDiff, c.difference)
					}
				}
			})
		}
	}
}

// TestIntegersThroughResidualBlocks: of a quantized ResNet-20 no BatchNormalization is left, and
// what every convolution, sum, Concat and mean takes is of integers.
func TestIntegersThroughResidualBlocks(t *testing.T) {
	for name, model := range residualModels(t) {
		dims := model.Inputs()[0].Dims
		images := smoothImages(t, 8, int(dims[1].Size), int(dims[2].Size), int(dims[3].Size), 1)
		variant, err := makeVariant(t.Context(),
			source{model: model, record: onnx.TrainingRecord{PixelScale: 1.0 / 255}},
			VariantOptions{Precision: Int8, Images: images, Calibration: 8})
		if err != nil {
			t.Fatal(err)
		}
		makers := make(map[string]string)
		var joins int
		nodes := variant.Proto.GetGraph().GetNode()
		for _, node := range nodes {
			for _, output := range node.GetOutput() {
				makers[output] = node.GetOpType()
			}
		}
		for _, node := range nodes {
			switch node.GetOpType() {
			case "BatchNormalization":
				t.Errorf("%s: %s is left", name, node.GetName())
			case "Add", "Concat", "GlobalAveragePool", "Conv":
				joins++
				if name == "squeezenet1_1" && node.GetName() == "classifier.3" {
					continue // SqueezeNet's last mean gives the scores
				}
				for i, input := range node.GetInput() {
					if makers[input] != "DequantizeLinear" {
						t.Errorf("%s: %s %s takes input %d of %s", name, node.GetOpType(), node.GetName(), i,
							makers[input])
					}
				}
			}
		}
		if joins == 0 {
			t.Errorf("%s: nothing was looked at", name)
		}
	}
}
