package convert_test

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"

	"slipway/builder"
	"slipway/infer"
	"slipway/internal/reference"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/onnx/onnxpb"
)

// golden returns the committed input of a network and what ONNX's reference
// evaluator answers to the committed model.
func golden(t *testing.T, name string) (input *onnxpb.TensorProto, output []float32) {
	t.Helper()
	inputs, outputs, err := onnx.ReadTestData(filepath.Join("testdata", "exports", name))
	if err != nil {
		t.Fatal(err)
	}
	if len(inputs) != 1 || len(outputs) != 1 {
		t.Fatalf("%d inputs and %d outputs, want one each", len(inputs), len(outputs))
	}
	if output, err = onnx.Floats(outputs[0]); err != nil {
		t.Fatal(err)
	}
	return inputs[0], output
}

func floats(t *testing.T, tensor *onnxpb.TensorProto) []float32 {
	t.Helper()
	values, err := onnx.Floats(tensor)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// requireClose allows 1e-5 of the range of what is wanted, the product's bound
// for float32 runtimes.
func requireClose(t *testing.T, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	tolerance := 1e-5 * float64(slices.Max(want)-slices.Min(want))
	for i := range got {
		if difference := math.Abs(float64(got[i]) - float64(want[i])); !(difference <= tolerance) {
			t.Fatalf("value %d is %v, want %v (they differ by %.2g, allowed are %.2g)", i, got[i], want[i],
				difference, tolerance)
		}
	}
}

// evaluate runs a network layer by layer in the plain Go reference.
func evaluate(t *testing.T, network *builder.Network, weights builder.Weights,
	values []float32) []float32 {
	t.Helper()
	for _, node := range network.Nodes() {
		in := node.Input
		var parameters [][]float32
		for _, parameter := range node.Tensors {
			tensor, _ := weights.Get(parameter.Name)
			parameters = append(parameters, tensor.Data)
		}
		pool := func(kernel, stride, padding builder.Size) reference.Pool2D {
			return reference.Pool2D{Batch: batch, Channels: in[0], Height: in[1], Width: in[2],
				KernelHeight: kernel.Height, KernelWidth: kernel.Width, StrideHeight: stride.Height,
				StrideWidth:   stride.Width,
				PaddingHeight: padding.Height, PaddingWidth: padding.Width}
		}
		switch layer := node.Layer.(type) {
		case builder.Conv2D:
			window := pool(layer.Kernel, layer.Stride, layer.Padding)
			values = reference.Conv2DForward(reference.Conv2D{Batch: batch, Channels: in[0], Height: in[1],
				Width: in[2], Filters: layer.Filters,
				KernelHeight: window.KernelHeight, KernelWidth: window.KernelWidth,
				StrideHeight: window.StrideHeight, StrideWidth: window.StrideWidth,
				PaddingHeight: window.PaddingHeight, PaddingWidth: window.PaddingWidth}, values, parameters[0],
				parameters[1])
		case builder.ReLU:
			values = reference.ReLUForward(values)
		case builder.MaxPool2D:
			values, _ = reference.MaxPool2DForward(pool(layer.Kernel, layer.Stride, layer.Padding), values)
		case builder.AvgPool2D:
			values = reference.AvgPool2DForward(pool(layer.Kernel, layer.Stride, layer.Padding), values)
		case builder.Dense:
			values = reference.DenseForward(reference.Dense{Batch: batch, In: in[0], Out: layer.Units},
				values, parameters[0], parameters[1])
		case builder.Softmax:
			values = reference.SoftmaxForward(batch, in[0], values)
		case builder.Flatten, builder.Dropout:
		default:
			t.Fatalf("the test does not know the layer %s", node.Layer.Kind())
		}
	}
	return values
}

// Computations that share no code agree on every network: ONNX's reference
// evaluator of the exported model (the committed output), our plain one, and
// the builder's other lowering, to Gorgonia.
func TestExportsMeanWhatTheNetworkDoes(t *testing.T) {
	for name, network := range networks(t) {
		t.Run(name, func(t *testing.T) {
			input, want := golden(t, name)
			weights := network.InitialWeights(1)
			t.Run("reference", func(t *testing.T) {
				requireClose(t, evaluate(t, network, weights, floats(t, input)), want)
			})
			classifier := withVector(t, network)
			for _, engine := range builder.EngineNames() {
				t.Run(engine, func(t *testing.T) {
					requireClose(t, runGraph(t, classifier, engine, weights, floats(t, input)), want)
				})
			}
		})
	}
}

// withVector appends Flatten to a network that ends in a map; an image
// classifier ends in a vector.
func withVector(t *testing.T, network *builder.Network) *builder.Network {
	t.Helper()
	if len(network.Output()) == 1 {
		return network
	}
	return extend(t, network, builder.Flatten{})
}

func extend(t *testing.T, network *builder.Network, layer builder.Layer) *builder.Network {
	t.Helper()
	var layers []builder.Layer
	for _, node := range network.Nodes() {
		layers = append(layers, node.Layer)
	}
	longer, err := builder.New(network.Name(), network.Input(), append(layers, layer)...)
	if err != nil {
		t.Fatal(err)
	}
	return longer
}

func runGraph(t *testing.T, network *builder.Network, engineName string, weights builder.Weights,
	input []float32) []float32 {
	t.Helper()
	engine, err := builder.NewEngine(engineName, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	variables, err := builder.NewVariables(network, engine, weights)
	if err != nil {
		t.Fatal(err)
	}
	graph, err := network.Lower(variables, builder.LowerOptions{Batch: batch})
	if err != nil {
		t.Fatal(err)
	}
	copy(graph.Images(), input)
	graph.Feed()
	machine := gorgonia.NewTapeMachine(graph.Expr)
	defer machine.Close()
	if err := machine.RunAll(); err != nil {
		t.Fatal(err)
	}
	values, ok := graph.Logits.Value().Data().([]float32)
	if !ok {
		t.Fatalf("the logits are %T", graph.Logits.Value().Data())
	}
	nodes := network.Nodes()
	if last := nodes[len(nodes)-1]; last.Layer.Kind() == (builder.Softmax{}).Kind() {
		values = reference.SoftmaxForward(batch, last.Input[0], values)
	}
	return values
}

func TestExportsInONNXRuntime(t *testing.T) {
	if os.Getenv("SLIPWAY_SKIP_ONNXRUNTIME") == "1" {
		t.Skip("SLIPWAY_SKIP_ONNXRUNTIME=1: nothing of onnxruntime is tested")
	}
	for name, network := range networks(t) {
		for _, options := range []convert.Options{{}, {FixedBatch: batch}} {
			t.Run(name, func(t *testing.T) {
				input, want := golden(t, name)
				model := export(t, withVector(t, network), options)
				session, err := infer.OpenONNXRuntime(t.Context(), model,
					infer.ONNXRuntimeOptions{Device: infer.DeviceCPU, Threads: 1})
				if err != nil {
					t.Fatal(err)
				}
				defer session.Close()
				images := infer.Batch{N: batch, C: 1, H: 1, W: 1, Pixels: floats(t, input)}
				if shape := network.Input(); len(shape) == 3 {
					images.C, images.H, images.W = shape[0], shape[1], shape[2]
				} else {
					images.W = shape[0]
				}
				answer, err := session.Run(t.Context(), images)
				if err != nil {
					t.Fatal(err)
				}
				requireClose(t, answer.Values, want)
			})
		}
	}
}
