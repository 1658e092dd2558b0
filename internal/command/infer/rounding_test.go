package infer

import (
	"math"
	"strings"
	"testing"

	g "slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// cancellingNetwork adds a large part that all its classes share and takes it off
// again, so that what rounding does to it is a large part of what is left.
func cancellingNetwork(t *testing.T, edit func(values []float32)) *onnx.Model {
	t.Helper()
	const features, hidden, classes = 8 * 6 * 6, 16, 5
	graph := g.New(g.Free, 1, 8, 8).Weight("w", -0.3, 0.3, 8, 1, 3, 3).Weight("b", -1, 1, 8).
		Node("c = Conv x w b").Node("r = Relu c").Node("f = Flatten r")
	graph.Weight("shared", 0.98, 1.02, features, hidden).Node("s = Gemm f shared")
	graph.Weight("centre", -1, 1, hidden, classes).Node("y = Gemm s centre")
	model := graph.Model()
	for i, tensor := range model.Proto.Graph.Initializer {
		if tensor.GetName() != "centre" {
			continue
		}
		values := tensor.FloatData
		for class := range classes { // each column adds up to 0
			mean := float32(0)
			for row := range hidden {
				mean += values[row*classes+class] / hidden
			}
			for row := range hidden {
				values[row*classes+class] -= mean
			}
		}
		edit(values)
		model.Proto.Graph.Initializer[i] = tensor
	}
	return model
}

// TestMeasuredToleranceIsTold has a sound model that rounds by more than the default
// tolerance: it agrees by what was measured, which is said; a fault does not.
func TestMeasuredToleranceIsTold(t *testing.T) {
	needLibrary(t)
	var images, labels []byte
	for i := range 150 {
		labels = append(labels, byte(i%5))
		for k := range 64 {
			images = append(images, byte(i*i*31+k*k*7+i*k))
		}
	}
	data := writeSet(t, []int{8, 8}, images, labels)
	sound := writeModel(t, cancellingNetwork(t, func([]float32) {}))
	code, stdout, stderr := runCommand(t, "compare", sound, "-runtimes", "onnxruntime,native", "-data",
		data, "-device", "cpu")
	if code != 0 ||
		!strings.Contains(stdout, "of the range: 4 times the rounding measured between ") ||
		!strings.Contains(stdout, " on 64 images") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = runCommand(t, "-model", sound, "-data", data, "-device", "cpu",
		"-cross-validate", "-json")
	other := decoded(t, stdout)["compared"].([]any)[0].(map[string]any)
	tolerance, relative := other["tolerance"].(float64), other["max_rel_diff"].(float64)
	if code != 0 || !strings.HasPrefix(other["tolerance_from"].(string), "4 times") ||
		relative <= 1e-5 || tolerance < relative || tolerance > 1e-3 {
		t.Errorf("exit %d: %v; %s", code, other, stderr)
	}
	t.Logf("%.3g of the range apart, tolerance %.3g", relative, tolerance)
	code, stdout, _ = runCommand(t, "-model", sound, "-data", data, "-device", "cpu",
		"-cross-validate", "-tolerance", "1e-5")
	if code != 1 || !strings.Contains(stdout, "DISAGREES") || strings.Contains(stdout, "4 times") {
		t.Errorf("a tolerance that was given is changed: exit %d\n%s", code, stdout)
	}
	wrong := writeModel(t, cancellingNetwork(t, func(values []float32) {
		values[12] += float32(math.Abs(float64(values[12]))/4 + 0.1)
	}))
	code, stdout, _ = runCommand(t, "compare", sound, wrong, "-runtimes", "onnxruntime,native",
		"-data", data, "-device", "cpu")
	if code != 1 || !strings.Contains(stdout, `arises in Gemm "the_y"`) {
		t.Errorf("a fault agrees: exit %d\n%s", code, stdout)
	}
}

// TestQuantizedModelsAgree compares an int8 graph in two runtimes: where a value
// passes the edge of a step, few images differ by more than rounding, which is said.
func TestQuantizedModelsAgree(t *testing.T) {
	needLibrary(t)
	data := smallData(t, 800)
	quantized := func(edit func(graph *onnxpb.GraphProto)) string {
		model, err := onnx.Read(e1Graph)
		if err != nil {
			t.Fatal(err)
		}
		edit(model.Proto.Graph)
		names, err := onnx.QuantizedValues(model)
		if err != nil {
			t.Fatal(err)
		}
		ranges := make(map[string]onnx.Range)
		for _, name := range names {
			ranges[name] = onnx.Range{Min: -20, Max: 60}
		}
		ranges["image"] = onnx.Range{Min: 0, Max: 255}
		if model, err = onnx.Quantize(model, ranges); err != nil {
			t.Fatal(err)
		}
		return writeModel(t, model)
	}
	sound := quantized(func(*onnxpb.GraphProto) {})
	code, stdout, stderr := runCommand(t, "compare", sound, "-runtimes", "onnxruntime,native", "-data",
		data, "-device", "cpu", "-bisect=false")
	passed := !strings.Contains(stdout, "tolerance 1e-05") // a step, or more: it depends on the processor
	if code != 0 || passed &&
		(!strings.Contains(stdout, "steps") || !strings.Contains(stdout,
			"% of the images may differ by more than 1e-05")) {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	wrong := quantized(func(graph *onnxpb.GraphProto) {
		for i, tensor := range graph.Initializer {
			if tensor.GetName() == "conv2.bias" {
				graph.Initializer[i], _ = onnx.FloatTensor("conv2.bias", tensor.Dims,
					make([]float32, tensor.Dims[0]))
			}
		}
	})
	code, stdout, stderr = runCommand(t, "compare", sound, wrong, "-runtimes", "onnxruntime,native",
		"-data", data, "-device", "cpu", "-bisect=false")
	if code != 1 || !strings.Contains(stderr, "the answers disagree") {
		t.Errorf("a bias of 0 agrees: exit %d\n%s%s", code, stdout, stderr)
	}
}
