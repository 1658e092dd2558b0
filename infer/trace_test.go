package infer

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/onnxpb"
)

// names of the values inside of graphs/e1.onnx, with their sizes for an image.
var e1Values = map[string][]int{
	"conv1.output": {32, 24, 24}, "pool1.output": {32, 12, 12}, "relu2.output": {64, 8, 8},
	"flatten.output": {1024}, "fc1.output": {128}, "logits": {10},
}

// TestTrace shows what E1 computes inside in every runtime: shapes as inferred,
// values that agree, and the scores those of Run. The batch is larger than
// onnx-go's graph.
func TestTrace(t *testing.T) {
	needLibrary(t)
	model, err := LoadModel("../graphs/e1.onnx")
	if err != nil {
		t.Fatal(err)
	}
	batch := Batch{N: 11, C: 1, H: 28, W: 28, Pixels: make([]float32, 11*784)}
	for i := range batch.Pixels {
		batch.Pixels[i] = float32((i*i + 7*i) % 256)
	}
	names := make([]string, 0, len(e1Values))
	for name := range e1Values {
		names = append(names, name)
	}
	slices.Sort(names)
	var first []Tensor
	for _, name := range RuntimeNames() {
		runtime, err := OpenRuntime(t.Context(), name, model,
			RuntimeOptions{Device: DeviceCPU, Worker: workerCommand()})
		if err != nil {
			t.Fatal(err)
		}
		defer runtime.Close()
		tracer, ok := runtime.(Tracer)
		if !ok {
			t.Errorf("%s is no Tracer", name)
			continue
		}
		tensors, err := tracer.Trace(t.Context(), batch, names)
		if err != nil {
			t.Fatal(err)
		}
		if len(tensors) != len(names) {
			t.Fatalf("%s shows %d of %d values", name, len(tensors), len(names))
		}
		scores, err := runtime.Run(t.Context(), batch)
		if err != nil {
			t.Fatal(err)
		}
		for i, tensor := range tensors {
			if want := append([]int{11}, e1Values[names[i]]...); tensor.Missing != nil ||
				!slices.Equal(tensor.Shape, want) {
				t.Errorf("%s, %s: shape %v (%v), want %v", name, names[i], tensor.Shape, tensor.Missing, want)
				continue
			}
			if names[i] == "logits" {
				wantNear(t, name+" traced and run", scores.Values, tensor.Values)
			}
			if first != nil {
				wantNear(t, name+", "+names[i], first[i].Values, tensor.Values)
			}
		}
		if first == nil {
			first = tensors
		}
		if _, err := tracer.Trace(t.Context(), Batch{}, names); err == nil {
			t.Errorf("%s: an empty batch is traced", name)
		}
		if err := runtime.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestNativeTraceOfWhatItDoesNotSupport asks for a value that the scores do not
// need and the runtime cannot compute, between two that it can.
func TestNativeTraceOfWhatItDoesNotSupport(t *testing.T) {
	model, err := LoadModel("../graphs/e1.onnx")
	if err != nil {
		t.Fatal(err)
	}
	graph := model.Proto.Graph
	graph.Node = append(graph.Node, &onnxpb.NodeProto{OpType: proto.String("Hardmax"),
		Input: []string{"fc1.output"}, Output: []string{"side"}})
	if err := model.Check(); err != nil {
		t.Fatal(err)
	}
	runtime, err := OpenNative(t.Context(), model, NativeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.Close()
	tensors, err := runtime.(Tracer).
		Trace(t.Context(), testBatch(3), []string{"conv1.output", "side", "logits"})
	if err != nil {
		t.Fatal(err)
	}
	if tensors[0].Missing != nil || tensors[2].Missing != nil ||
		!slices.Equal(tensors[2].Shape, []int{3, 10}) {
		t.Errorf("%v, %v", tensors[0].Missing, tensors[2].Missing)
	}
	if missing := tensors[1].Missing; missing == nil || !strings.Contains(missing.Error(), "Hardmax") {
		t.Errorf("the value that is not supported: %v", missing)
	}
	for _, names := range [][]string{{"side"}, {"side", "logits"}} {
		tensors, err := runtime.(Tracer).Trace(t.Context(), testBatch(3), names)
		if err != nil || len(tensors) != len(names) || tensors[0].Missing == nil {
			t.Errorf("%q: %d values (%v)", names, len(tensors), err)
		}
	}
	if _, err := runtime.(Tracer).Trace(t.Context(), testBatch(3), []string{"nowhere"}); err == nil {
		t.Error("a value that does not exist is traced")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := runtime.(Tracer).
		Trace(ended, testBatch(3), []string{"logits"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
}

func wantNear(t *testing.T, what string, want, got []float32) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	largest := 0.0
	for i := range want {
		largest = max(largest, math.Abs(float64(want[i])-float64(got[i])))
	}
	if limit := DefaultTolerance * valueRange(want); largest > limit {
		t.Errorf("%s: off by %g, allowed %g", what, largest, limit)
	}
}

// TestTraceOfAFixedBatch joins the pieces of a graph that takes 4 images at a time.
func TestTraceOfAFixedBatch(t *testing.T) {
	fixed, err := openONNXRuntime(t, "fixed4.onnx", ONNXRuntimeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	open, err := openONNXRuntime(t, "small.onnx", ONNXRuntimeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	native, err := openNative(t, "testdata/fixed4.onnx", NativeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	name := native.(*nativeRuntime).ports.Output
	for _, n := range []int{3, 4, 10} {
		var answers [][]Tensor
		for _, runtime := range []Runtime{open, fixed, native} {
			tensors, err := runtime.(Tracer).Trace(t.Context(), testBatch(n), []string{name})
			if err != nil {
				t.Fatal(err)
			}
			answers = append(answers, tensors)
		}
		for _, answer := range answers[1:] {
			if a, b := answer[0], answers[0][0]; !slices.Equal(a.Shape, b.Shape) || a.Shape[0] != n {
				t.Errorf("%d images: shapes %v and %v", n, a.Shape, b.Shape)
			} else {
				wantNear(t, "fixed batch", b.Values, a.Values)
			}
		}
	}
}

// A value that has no batch, such as a number, is that of the first piece.
func TestTraceOfANumber(t *testing.T) {
	calls := 0
	tensors, err := traceInChunks(t.Context(), testBatch(3), 2, func(chunk Batch) ([]Tensor,
		error) {
		calls++
		return []Tensor{{Shape: []int{}, Values: []float32{float32(calls)}},
			{Missing: errors.New("none")},
			{Shape: []int{chunk.N}, Values: make([]float32, chunk.N)}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(tensors[0].Shape) != 0 || !slices.Equal(tensors[0].Values, []float32{1}) {
		t.Errorf("the number is %+v", tensors[0])
	}
	if tensors[1].Missing == nil || !slices.Equal(tensors[2].Shape, []int{3}) {
		t.Errorf("%+v", tensors[1:])
	}
}
