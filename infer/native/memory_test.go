package native

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// TestMemoryGoesBack: however a run ends, and whatever the batch, the memory that
// is counted as used comes back to what it was.
func TestMemoryGoesBack(t *testing.T) {
	model, err := onnx.Read("../../graphs/e1.onnx")
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(t.Context(), model, Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	name := e.Inputs()[0].Name
	images := func(n int) map[string]*Tensor {
		return map[string]*Tensor{name: {Shape: []int{n, 1, 28, 28}, Data: make([]float32, n*784)}}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	round := func() {
		for _, n := range []int{64, 16} {
			if _, err := e.Run(t.Context(), images(n)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := e.Run(ended, images(64)); !errors.Is(err, context.Canceled) {
			t.Fatalf("%v, want the context's error", err)
		}
	}
	round()
	used := e.arena.used
	for range 20 {
		round()
	}
	if e.arena.used != used || used <= 0 {
		t.Errorf("%d bytes are in use after more runs, %d before", e.arena.used, used)
	}
	// Shapes that never come again do not add up without end.
	for n := 1; n <= 60; n++ {
		if _, err := e.Run(t.Context(), images(n)); err != nil {
			t.Fatal(err)
		}
	}
	if e.arena.used > 4*used {
		t.Errorf("after 60 batch sizes %d bytes are in use, %d were after two", e.arena.used, used)
	}
	t.Logf("%.1f MiB, after 60 batch sizes %.1f MiB", float64(used)/(1<<20),
		float64(e.arena.used)/(1<<20))
}

// TestShapesThatNodesCompute gives sizes that Check does not see, as other nodes
// make them: they are counted before anything is allocated.
func TestShapesThatNodesCompute(t *testing.T) {
	int64s := func(name string, values ...int64) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{Name: proto.String(name),
			DataType: proto.Int32(int32(onnxpb.TensorProto_INT64)), Dims: []int64{int64(len(values))},
			Int64Data: values}
	}
	node := func(operator, output string, inputs ...string) *onnxpb.NodeProto {
		return &onnxpb.NodeProto{OpType: proto.String(operator), Input: inputs, Output: []string{output}}
	}
	for name, test := range map[string]struct {
		nodes []*onnxpb.NodeProto
		want  string
	}{
		"of constants": {[]*onnxpb.NodeProto{node("Mul", "shape", "a", "a"),
			node("ConstantOfShape", "y", "shape")}, "depends on no input"},
		"of constants, expanded": {[]*onnxpb.NodeProto{node("Mul", "shape", "a", "a"),
			node("ConstantOfShape", "one", "b"), node("Expand", "y", "one", "shape")},
			"depends on no input"},
		"of the input": {[]*onnxpb.NodeProto{node("Shape", "n", "x"), node("Mul", "m", "n", "a"),
			node("Mul", "shape", "m", "a"), node("ConstantOfShape", "y", "shape")}, "more than the limit"},
		"of the input, padded": {[]*onnxpb.NodeProto{node("Shape", "n", "x"), node("Mul", "m", "n", "a"),
			node("Mul", "more", "m", "a"), node("Concat", "pads", "more", "more"),
			node("Pad", "y", "x", "pads")},
			"more than the limit"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range test.nodes {
				if n.GetOpType() == "Concat" {
					n.Attribute = []*onnxpb.AttributeProto{{Name: proto.String("axis"),
						Type: onnxpb.AttributeProto_INT.Enum(), I: proto.Int64(0)}}
				}
			}
			value := func(name string) *onnxpb.ValueInfoProto {
				return &onnxpb.ValueInfoProto{Name: proto.String(name),
					Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
						TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(onnxpb.TensorProto_FLOAT))}}}}
			}
			model := &onnx.Model{Proto: &onnxpb.ModelProto{
				IrVersion:   proto.Int64(7),
				OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(13)}},
				Graph: &onnxpb.GraphProto{Name: proto.String("g"), Node: test.nodes,
					Input: []*onnxpb.ValueInfoProto{value("x")}, Output: []*onnxpb.ValueInfoProto{value("y")},
					Initializer: []*onnxpb.TensorProto{int64s("a", 1<<14), int64s("b", 1)}},
			}}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			e, err := New(t.Context(), model, Options{Threads: 1, MemoryLimit: 512 << 20})
			if err == nil {
				defer e.Close()
				_, err = e.Run(t.Context(),
					map[string]*Tensor{"x": {Shape: []int{3}, Data: make([]float32, 3)}})
			}
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 8<<20 {
				t.Errorf("%d bytes were allocated", allocated)
			}
		})
	}
}
