package infer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"slipway/dataset"
	"slipway/internal/cli"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

func openNative(t testing.TB, path string, options NativeOptions) (Runtime, error) {
	t.Helper()
	model, err := LoadModel(path)
	if err != nil {
		return nil, err
	}
	r, err := OpenNative(t.Context(), model, options)
	if err == nil {
		t.Cleanup(func() { r.Close() })
	}
	return r, err
}

func TestNativeAnswersAsTheReference(t *testing.T) {
	eachFormAnswersAsTheReference(t, func(t *testing.T, name string) (Runtime, error) {
		return openNative(t, filepath.Join("testdata", name), NativeOptions{})
	})
}

// TestNativeIsONNXRuntimeOnTheTestSet is the runtime's acceptance: no label of
// 10,000 differs, no logit by more than 1e-5 of the logits' range, which is what
// two float32 runtimes that sum in other orders keep to on these graphs.
func TestNativeIsONNXRuntimeOnTheTestSet(t *testing.T) {
	if testing.Short() {
		t.Skip("evaluates 10,000 images in two runtimes")
	}
	needLibrary(t)
	set, err := dataset.Open(t.Context(), "t10k", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"e1", "e2"} {
		t.Run(name, func(t *testing.T) {
			model, err := LoadModel(filepath.Join("..", "graphs", name+".onnx"))
			if err != nil {
				t.Fatal(err)
			}
			record, ok, err := model.TrainingRecord()
			if err != nil || !ok {
				t.Fatalf("no record: %v", err)
			}
			pixels, err := PixelsOf(record)
			if err != nil {
				t.Fatal(err)
			}
			ort, err := OpenONNXRuntime(t.Context(), model, ONNXRuntimeOptions{Device: DeviceCPU})
			if err != nil {
				t.Fatal(err)
			}
			defer ort.Close()
			own, err := OpenNative(t.Context(), model, NativeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer own.Close()
			var results []*Result
			for _, r := range []Runtime{ort, own} {
				result, err := Evaluate(t.Context(), r, set, EvaluateOptions{Pixels: pixels, KeepLogits: true})
				if err != nil {
					t.Fatal(err)
				}
				results = append(results, result)
			}
			c, err := Compare(results[0].Logits, results[1].Logits, 1e-5)
			if err != nil {
				t.Fatal(err)
			}
			if !c.Agree() || c.LabelsDiffer != 0 || c.NotFinite != 0 || c.Images != 10000 {
				t.Errorf("%s; %+v", c.Reason(), c)
			}
			t.Logf("labels differ %d, max |Δ| %.2g, of range %.2g; images/s %.0f onnxruntime, %.0f native",
				c.LabelsDiffer, c.MaxAbsDiff, c.MaxRelDiff,
				results[0].ImagesPerSecond(), results[1].ImagesPerSecond())
		})
	}
}

func TestNativeInfoAndMisuse(t *testing.T) {
	r, err := openNative(t, "testdata/small.onnx", NativeOptions{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	info := r.Info()
	if info.Runtime != "native" || info.Version != cli.ModuleVersion || info.Provider == "" ||
		info.Device != "cpu" || info.Threads != 1 || info.Library != "" {
		t.Errorf("%+v", info)
	}
	if _, err := r.Run(t.Context(), Batch{N: 1, C: 1, H: 28, W: 28}); err == nil ||
		!strings.Contains(err.Error(), "pixels") {
		t.Errorf("%v, want an error about the pixels", err)
	}
	if _, err := r.Run(t.Context(),
		Batch{N: 1, C: 1, H: 2, W: 2, Pixels: make([]float32, 4)}); err == nil ||
		!strings.Contains(err.Error(), "wrong input shape") {
		t.Errorf("%v, want wrong input shape", err)
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	if _, err := r.Run(t.Context(), testBatch(1)); err == nil ||
		!strings.Contains(err.Error(), "after Close") {
		t.Errorf("%v, want an error after Close", err)
	}
	model, err := LoadModel("testdata/small.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenNative(t.Context(), model, NativeOptions{Threads: -1}); err == nil ||
		!strings.Contains(err.Error(), "threads -1") {
		t.Errorf("%v, want an error about the threads", err)
	}
}

func TestNativeRefusesWhatItDoesNotKnow(t *testing.T) {
	model, err := LoadModel("testdata/small.onnx")
	if err != nil {
		t.Fatal(err)
	}
	changed := proto.Clone(model.Proto).(*onnxpb.ModelProto)
	changed.Graph.Node[0].OpType, changed.Graph.Node[0].Attribute = proto.String("Hardmax"), nil
	changed.Graph.Node[0].Input = changed.Graph.Node[0].Input[:1]
	_, err = OpenNative(t.Context(), &onnx.Model{Proto: changed}, NativeOptions{})
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "Hardmax") {
		t.Errorf("%v, want ErrUnsupported that names Hardmax", err)
	}
}

func TestNativeRunEndsWithItsContext(t *testing.T) {
	r, err := openNative(t, "testdata/small.onnx", NativeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	batch := testBatch(64)
	for err == nil {
		_, err = r.Run(ctx, batch)
	}
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnsupported) {
		t.Errorf("%v, want the context's error", err)
	}
	// The runtime is as good as before.
	got, err := r.Run(t.Context(), testBatch(3))
	if err != nil {
		t.Fatal(err)
	}
	wantClose(t, got, golden(t))
}

func BenchmarkNative(b *testing.B) {
	model, err := LoadModel("../graphs/e1.onnx")
	if err != nil {
		b.Fatal(err)
	}
	for _, batch := range []int{1, 64} {
		for _, name := range []string{"onnxruntime", "native"} {
			b.Run(fmt.Sprintf("%s/%d", name, batch), func(b *testing.B) {
				var r Runtime
				var err error
				if name == "native" {
					r, err = OpenNative(b.Context(), model, NativeOptions{Threads: 1})
				} else {
					needLibrary(b)
					r, err = OpenONNXRuntime(b.Context(), model, ONNXRuntimeOptions{Device: DeviceCPU, Threads: 1})
				}
				if err != nil {
					b.Fatal(err)
				}
				defer r.Close()
				images := testBatch(batch)
				for b.Loop() {
					if _, err := r.Run(b.Context(), images); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(batch*b.N)/b.Elapsed().Seconds(), "images/s")
			})
		}
	}
}

// TestHugeFixedBatch: a graph that takes nothing but batches of millions does not
// make a few images as many.
func TestHugeFixedBatch(t *testing.T) {
	model, err := LoadModel("../graphs/e1.onnx")
	if err != nil {
		t.Fatal(err)
	}
	graph := model.Proto.Graph
	first := graph.Input[0].Type.GetTensorType().Shape.Dim[0]
	first.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: 1 << 20}
	graph.Node = graph.Node[6:] // from Flatten on
	graph.Input[0].Type.GetTensorType().Shape.Dim[1].Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: 1}
	graph.Node[1].Input[1] = "w"
	graph.Node[0].Input[0] = graph.Input[0].GetName()
	weight, err := onnx.FloatTensor("w", []int64{128, 784}, make([]float32, 128*784))
	if err != nil {
		t.Fatal(err)
	}
	graph.Initializer = append(graph.Initializer, weight)
	graph.Output[0].Type.GetTensorType().Shape.Dim[0].Value = first.Value
	if err := model.Check(); err != nil {
		t.Fatal(err)
	}
	runtime, err := OpenNative(t.Context(), model, NativeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.Close()
	if _, err := runtime.Run(t.Context(), testBatch(2)); err == nil ||
		!strings.Contains(err.Error(), "open batch dimension") {
		t.Errorf("%v", err)
	}
	if _, err := runtime.(Tracer).Trace(t.Context(), testBatch(2), []string{"logits"}); err == nil ||
		!strings.Contains(err.Error(), "open batch dimension") {
		t.Errorf("%v", err)
	}
}
