package infer

import (
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

func TestTensorFromShowsWhatFloat32Holds(t *testing.T) {
	for name, test := range map[string]struct {
		data any
		want []float32
	}{
		"float32": {[]float32{1.5, -2}, []float32{1.5, -2}},
		"float16": {[]onnx.Float16{onnx.NewFloat16(0.5), onnx.NewFloat16(-3)}, []float32{0.5, -3}},
		"bool":    {[]bool{false, true}, []float32{0, 1}},
		"int8":    {[]int8{-128, 127}, []float32{-128, 127}},
		"uint8":   {[]uint8{0, 255}, []float32{0, 255}},
		"int16":   {[]int16{-32768, 32767}, []float32{-32768, 32767}},
		"uint16":  {[]uint16{0, 65535}, []float32{0, 65535}},
		"int32":   {[]int32{-1 << 24, 1 << 24}, []float32{-1 << 24, 1 << 24}},
		"uint32":  {[]uint32{0, 1 << 24}, []float32{0, 1 << 24}},
		"int64":   {[]int64{-1 << 24, 1 << 24}, []float32{-1 << 24, 1 << 24}},
		"uint64":  {[]uint64{0, 1 << 24}, []float32{0, 1 << 24}},
	} {
		tensor := tensorFrom([]int{2}, test.data)
		if tensor.Missing != nil || !slices.Equal(tensor.Values, test.want) ||
			!slices.Equal(tensor.Shape, []int{2}) {
			t.Errorf("%s: %+v, want %v", name, tensor, test.want)
		}
	}
	for name, data := range map[string]any{
		"int32":   []int32{0, 1<<24 + 1},
		"uint32":  []uint32{math.MaxUint32},
		"int64":   []int64{math.MinInt64},
		"uint64":  []uint64{math.MaxUint64},
		"float64": []float64{1},
		"text":    []string{"1"},
	} {
		if tensor := tensorFrom([]int{len(name)}, data); tensor.Missing == nil || tensor.Values != nil ||
			tensor.Shape != nil {
			t.Errorf("%s: %+v, want it missing", name, tensor)
		}
	}
}

// TestTraceOfIntegers shows bytes, a bool and sizes of 64 bits in each runtime that computes them.
func TestTraceOfIntegers(t *testing.T) {
	needLibrary(t)
	model, err := LoadModel("../graphs/e1.onnx")
	if err != nil {
		t.Fatal(err)
	}
	graph := model.Proto.Graph
	scale, err := onnx.FloatTensor("scale", nil, []float32{8})
	if err != nil {
		t.Fatal(err)
	}
	zero := &onnxpb.TensorProto{Name: proto.String("zero"), DataType: proto.Int32(int32(onnxpb.TensorProto_INT8)), RawData: []byte{0xfd}} // −3
	graph.Initializer = append(graph.Initializer, scale, zero)
	graph.Node = append(graph.Node,
		&onnxpb.NodeProto{OpType: proto.String("QuantizeLinear"),
			Input: []string{"logits", "scale", "zero"}, Output: []string{"bytes"}},
		&onnxpb.NodeProto{OpType: proto.String("Less"), Input: []string{"logits", "scale"},
			Output: []string{"less"}},
		&onnxpb.NodeProto{OpType: proto.String("Shape"), Input: []string{"logits"},
			Output: []string{"sizes"}},
	)
	if err := model.Check(); err != nil {
		t.Fatal(err)
	}
	batch := Batch{N: 3, C: 1, H: 28, W: 28, Pixels: make([]float32, 3*784)}
	for i := range batch.Pixels {
		batch.Pixels[i] = float32((i*i + 7*i) % 256)
	}
	for _, name := range []string{RuntimeONNXRuntime, RuntimeNative} {
		runtime, err := OpenRuntime(t.Context(), name, model,
			RuntimeOptions{Device: DeviceCPU, Output: "logits"})
		if err != nil {
			t.Fatal(err)
		}
		defer runtime.Close()
		tensors, err := runtime.(Tracer).
			Trace(t.Context(), batch, []string{"logits", "bytes", "less", "sizes"})
		if err != nil {
			t.Fatal(err)
		}
		for i, tensor := range tensors {
			if tensor.Missing != nil {
				t.Fatalf("%s: value %d: %v", name, i, tensor.Missing)
			}
		}
		for i, logit := range tensors[0].Values {
			// The scale is a power of two, so that the quotient is exact.
			want := min(max(math.RoundToEven(float64(logit)/8)-3, -128), 127)
			if got := float64(tensors[1].Values[i]); got != want {
				t.Errorf("%s: the byte of %v is %v, want %v", name, logit, got, want)
			}
			if got := tensors[2].Values[i] == 1; got != (logit < 8) {
				t.Errorf("%s: %v < 8 is %v", name, logit, got)
			}
		}
		if sizes := tensors[3].Values; !slices.Equal(sizes, []float32{3, 10}) {
			t.Errorf("%s: sizes %v", name, sizes)
		}
	}
}

// TestNativeTraceOfWideNumbers says what it does not show instead of rounding it.
func TestNativeTraceOfWideNumbers(t *testing.T) {
	model, err := LoadModel("../graphs/e1.onnx")
	if err != nil {
		t.Fatal(err)
	}
	to := &onnxpb.AttributeProto{Name: proto.String("to"), Type: onnxpb.AttributeProto_INT.Enum(),
		I: proto.Int64(int64(onnxpb.TensorProto_DOUBLE))}
	model.Proto.Graph.Node = append(model.Proto.Graph.Node,
		&onnxpb.NodeProto{OpType: proto.String("Cast"), Input: []string{"logits"},
			Output: []string{"wide"}, Attribute: []*onnxpb.AttributeProto{to}})
	if err := model.Check(); err != nil {
		t.Fatal(err)
	}
	runtime, err := OpenNative(t.Context(), model, NativeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.Close()
	tensors, err := runtime.(Tracer).Trace(t.Context(), testBatch(2), []string{"wide"})
	if err != nil {
		t.Fatal(err)
	}
	if missing := tensors[0].Missing; missing == nil || !strings.Contains(missing.Error(), "float64") {
		t.Errorf("%v", missing)
	}
}
