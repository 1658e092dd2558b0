package onnx_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// TestShapesOfPadAndReduceMean: sizes are known where the model tells them, and open elsewhere.
func TestShapesOfPadAndReduceMean(t *testing.T) {
	type attributes = []*onnxpb.AttributeProto
	for name, test := range map[string]struct {
		node       string
		integers   []int64
		attributes attributes
		want       string
	}{
		"pad":                 {"y = Pad x i", []int64{0, 0, 1, 2, 0, 0, 3, 0}, nil, "N×2×8×8"},
		"pad by nothing":      {"y = Pad x i", make([]int64, 8), nil, "N×2×4×6"},
		"pad of the batch":    {"y = Pad x i", []int64{1, 0, 0, 0, 1, 0, 0, 0}, nil, "?×2×4×6"},
		"pad of another rank": {"y = Pad x i", []int64{0, 1, 1, 0}, nil, "?×?×?×?"},
		"pad with huge sizes": {"y = Pad x i", []int64{0, 0, 1 << 62, 1 << 62, 0, 0, 1 << 62, 1 << 62},
			nil, ""},
		"mean of the map":       {"y = ReduceMean x i", []int64{2, -1}, nil, "N×2×1×1"},
		"mean of the first":     {"y = ReduceMean x i", []int64{-4}, nil, "1×2×4×6"},
		"mean before the first": {"y = ReduceMean x i", []int64{-5}, nil, ""},
		"mean behind the last":  {"y = ReduceMean x i", []int64{4}, nil, ""},
		"mean by a matrix":      {"y = ReduceMean x m", nil, nil, ""},
		"mean without dims": {"y = ReduceMean x i", []int64{2, 3},
			attributes{graphmaker.Int("keepdims", 0)}, "N×2"},
		"mean of all": {"y = ReduceMean x", nil, nil, "1×1×1×1"},
		"mean of none": {"y = ReduceMean x", nil,
			attributes{graphmaker.Int("noop_with_empty_axes", 1)}, "N×2×4×6"},
		"mean outside":           {"y = ReduceMean x i", []int64{7}, nil, ""},
		"instance normalization": {"y = InstanceNormalization x s s", nil, nil, "N×2×4×6"},
	} {
		g := graphmaker.New(graphmaker.Free, 2, 4, 6).Weight("s", 1, 2, 2)
		g.Tensor(&onnxpb.TensorProto{Name: proto.String("m"), Dims: []int64{1, 2},
			Int64Data: []int64{2, 3}, DataType: proto.Int32(int32(onnxpb.TensorProto_INT64))})
		if test.integers != nil {
			g.Integers("i", test.integers...)
		}
		// The last output is declared without a shape: one node more shows what is between.
		model := g.Node(test.node, test.attributes...).Node("z = Relu y").Model()
		output := onnx.Inspect(model).Nodes[0].Outputs[0]
		got := ""
		if output.HasShape {
			got = output.ShapeString()
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
