package infer

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"slipway/internal/cmemory"
	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// endless is a model whose loop adds 1 to the scores 2^62 times.
func endless() *onnx.Model {
	scalar := func(name string, element onnxpb.TensorProto_DataType) *onnxpb.ValueInfoProto {
		return &onnxpb.ValueInfoProto{Name: proto.String(name),
			Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
				TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(element)),
					Shape: &onnxpb.TensorShapeProto{}}}}}
	}
	scores := func(name string) *onnxpb.ValueInfoProto {
		return &onnxpb.ValueInfoProto{Name: proto.String(name),
			Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
				TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(onnxpb.TensorProto_FLOAT))}}}}
	}
	body := &onnxpb.GraphProto{
		Name: proto.String("body"),
		Input: []*onnxpb.ValueInfoProto{scalar("i", onnxpb.TensorProto_INT64),
			scalar("on", onnxpb.TensorProto_BOOL), scores("before")},
		Output: []*onnxpb.ValueInfoProto{scalar("still", onnxpb.TensorProto_BOOL), scores("after")},
		Node: []*onnxpb.NodeProto{
			{OpType: proto.String("Identity"), Input: []string{"on"}, Output: []string{"still"}},
			{OpType: proto.String("Add"), Input: []string{"before", "one"}, Output: []string{"after"}},
		},
		Initializer: []*onnxpb.TensorProto{{Name: proto.String("one"),
			DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)), FloatData: []float32{1}}},
	}
	always := &onnxpb.TensorProto{Name: proto.String("always"),
		DataType: proto.Int32(int32(onnxpb.TensorProto_BOOL)), Int32Data: []int32{1}}
	attribute := &onnxpb.AttributeProto{Name: proto.String("body"),
		Type: onnxpb.AttributeProto_GRAPH.Enum(), G: body}
	return graphmaker.New(graphmaker.Free, 1, 2, 2).Node("f = Flatten x").Dense("f", 4).
		Integers("often.", 1<<62).Tensor(always).Node("z = Loop often. always y", attribute).Model()
}

// A loop without end ends by the time limit, and a batch that takes more memory than is allowed is
// refused before it runs.
func TestLimitsOfONNXRuntime(t *testing.T) {
	needLibrary(t)
	batch := Batch{N: 1, C: 1, H: 2, W: 2, Pixels: make([]float32, 4)}
	model := endless()
	if err := model.Check(); err != nil {
		t.Fatal(err)
	}
	runtime, err := OpenONNXRuntime(t.Context(), model,
		ONNXRuntimeOptions{Device: DeviceCPU, TimeLimit: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.Close()
	if _, err := runtime.Run(t.Context(), batch); !errors.Is(err, ErrTimeLimit) ||
		!strings.Contains(err.Error(), "of 1s") {
		t.Errorf("the loop: %v", err)
	}
	if _, err := OpenONNXRuntime(t.Context(), model,
		ONNXRuntimeOptions{Device: DeviceCPU, TimeLimit: -1}); err == nil {
		t.Error("a negative time limit is taken")
	}

	// 16 maps of 28×28 in float32 are 50 KB an image.
	const fixed = 110_000
	wide := graphmaker.New(fixed, 1, 28, 28).Weight("w", -1, 1, 16, 1, 3, 3).
		Node("c = Conv x w", graphmaker.Ints("pads", 1, 1, 1, 1)).Node("g = GlobalAveragePool c").
		Node("f = Flatten g").
		Dense("f", 16).Model()
	if err := wide.Check(); err != nil {
		t.Fatal(err)
	}
	tall, err := OpenONNXRuntime(t.Context(), wide, ONNXRuntimeOptions{Device: DeviceCPU})
	if err != nil {
		t.Fatal(err)
	}
	defer tall.Close()
	_, err = tall.Run(t.Context(), Batch{N: 1, C: 1, H: 28, W: 28, Pixels: make([]float32, 28*28)})
	if !errors.Is(err, ErrBatchMemory) || !strings.Contains(err.Error(), "open batch dimension") {
		t.Errorf("%d images of 50 KB: %v", fixed, err)
	}
}

// Sizes that come from the pixels are no model's to tell: what is held while it runs does.
func TestMemoryOfShapesFromPixels(t *testing.T) {
	needLibrary(t)
	if _, known := cmemory.Held(); !known {
		t.Skip("the system does not tell what memory is held")
	}
	all := graphmaker.Int("keepdims", 0)
	to := graphmaker.Int("to", int64(onnxpb.TensorProto_INT64))
	model := graphmaker.New(graphmaker.Free, 4).Integers("both", 0, 1).Integers("two", 2).
		Node("s = ReduceSum x both", all).Node("i = Cast s", to).Node("shape = Expand i two").
		Node("e = ConstantOfShape shape").Node("c = Cos e").Node("m = ReduceMax c both", all).
		Node("z = Add x m").Model()
	if err := model.Check(); err != nil {
		t.Fatal(err)
	}
	runtime, err := OpenONNXRuntime(t.Context(), model,
		ONNXRuntimeOptions{Device: DeviceCPU, Threads: 1, MemoryLimit: 128 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.Close()
	for side, most := range map[float32]bool{100: false, 16384: true} {
		_, err := runtime.Run(t.Context(),
			Batch{N: 1, C: 1, H: 1, W: 4, Pixels: []float32{side, 0, 0, 0}})
		if most != errors.Is(err, ErrBatchMemory) || !most && err != nil {
			t.Errorf("%v×%v values: %v", side, side, err)
		}
	}
}

func TestMemoryOfABatch(t *testing.T) {
	for _, test := range []struct {
		bytes    int64
		n        int
		accepted bool
	}{
		{1 << 20, 4096, true}, {1 << 20, 4097, false}, {0, math.MaxInt, true}, {math.MaxInt64, 1, false},
		{1, math.MaxInt, false},
	} {
		if err := checkBatchMemory(4<<30, test.bytes, test.n, 0); test.accepted != (err == nil) {
			t.Errorf("%d bytes of each of %d images: %v", test.bytes, test.n, err)
		}
	}
	for fixed, remedy := range map[int]string{
		0: "take smaller batches", 1: "export it with an open batch dimension, or a smaller one",
	} {
		err := checkBatchMemory(1<<30, 3<<20, 500, fixed)
		want := "more memory than the limit: 500 images take 1500 MiB between the nodes, " +
			"1024 are allowed: " + remedy
		if err == nil || err.Error() != want {
			t.Errorf("of a model that fixes %d: %v, want %s", fixed, err, want)
		}
	}
}

// What goes wrong once a context has ended is of its end; what succeeds is not.
func TestErrorsOfALimit(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	other := errors.New("another error")
	for _, test := range []struct {
		ctx  context.Context
		err  error
		want bool
	}{
		{t.Context(), nil, false}, {t.Context(), other, false},
		{ended, nil, false}, {ended, other, true},
		{t.Context(), ErrTimeLimit, true}, {t.Context(), ErrBatchMemory, true},
	} {
		if got := limitReached(test.ctx, test.err); got != test.want {
			t.Errorf("%v, the context's %v: %v", test.err, test.ctx.Err(), got)
		}
	}
}
