package infer

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/infer/port"
	"slipway/internal/graphmaker"
	"slipway/onnx/onnxpb"
)

// Which nodes may compute with several images at once. The input is N×2×3×3, or features N×6.
func TestMixingNodes(t *testing.T) {
	image := func() *graphmaker.Graph {
		return graphmaker.New(graphmaker.Free, 2, 3, 3).
			Weight("k", 1, 2, 2)
	}
	features := func() *graphmaker.Graph { return graphmaker.New(graphmaker.Free, 6) }
	axes := func(values ...int64) *onnxpb.AttributeProto { return graphmaker.Ints("axes", values...) }
	axis := func(value int64) *onnxpb.AttributeProto { return graphmaker.Int("axis", value) }
	raw := &onnxpb.TensorProto{Name: proto.String("s"),
		DataType: proto.Int32(int32(onnxpb.TensorProto_INT64)), Dims: []int64{2}}
	for _, size := range []uint64{1<<64 - 1, 6} {
		raw.RawData = binary.LittleEndian.AppendUint64(raw.RawData, size)
	}
	rawFixed := proto.CloneOf(raw)
	copy(rawFixed.RawData, []byte{2, 0, 0, 0, 0, 0, 0, 0})
	for _, test := range []struct {
		name  string
		opset int64 // 0 for the maker's
		graph *graphmaker.Graph
		want  bool
	}{
		{"Relu", 0, image().Node("y = Relu x"), false},
		{"BatchNormalization", 0, image().Node("y = BatchNormalization x k k k k"), false},
		{"BatchNormalization, training at opset 14", 14, image().
			Node("y = BatchNormalization x k k k k", graphmaker.Int("training_mode", 1)), true},
		{"BatchNormalization, training", 0, image().
			Node("y = BatchNormalization x k k k k", graphmaker.Int("training_mode", 1)), true},
		{"BatchNormalization, not training", 14, image().
			Node("y = BatchNormalization x k k k k", graphmaker.Int("training_mode", 0)), false},
		{"BatchNormalization before opset 14", 13, image().Node("y = BatchNormalization x k k k k"),
			false},
		{"Softmax over classes", 0, features().Node("y = Softmax x", axis(1)), false},
		{"Softmax over images", 0, features().Node("y = Softmax x", axis(0)), true},
		{"Softmax over images, from the end", 0, features().Node("y = Softmax x", axis(-2)), true},
		{"Softmax from the end", 0, features().Node("y = Softmax x", axis(-1)), false},
		{"Softmax by default", 0, features().Node("y = Softmax x"), false},
		{"LogSoftmax over images", 0, features().Node("y = LogSoftmax x", axis(0)), true},
		{"MeanVarianceNormalization by default", 0, image().Node("y = MeanVarianceNormalization x"),
			true},
		{"MeanVarianceNormalization of a map", 0, image().
			Node("y = MeanVarianceNormalization x", axes(2, 3)), false},
		{"MeanVarianceNormalization of all", 0, image().
			Node("y = MeanVarianceNormalization x", axes(0, 2, 3)), true},
		{"ReduceMean of all", 13, image().Node("y = ReduceMean x"), true},
		{"ReduceMean of a map", 13, image().Node("y = ReduceMean x", axes(2, 3)), false},
		{"ReduceMean of images", 13, image().Node("y = ReduceMean x", axes(0)), true},
		{"ReduceMean of nothing", 0, image().
			Node("y = ReduceMean x", graphmaker.Int("noop_with_empty_axes", 1)), false},
		{"ReduceMean by an input", 0, image().Integers("a", 2, 3).Node("y = ReduceMean x a"), false},
		{"ReduceMean of images by an input", 0, image().Integers("a", 0).
			Node("y = ReduceMean x a"), true},
		{"Reshape that keeps", 0, features().Integers("s", 0, 6).Node("y = Reshape x s"), false},
		{"Reshape of what is left", 0, features().Integers("s", -1, 6).Node("y = Reshape x s"), false},
		{"Reshape to one image", 0, features().Integers("s", 1, -1).Node("y = Reshape x s"), true},
		{"Reshape to two images", 0, features().Integers("s", 2, 3).Node("y = Reshape x s"), true},
		{"Reshape, raw", 0, features().Tensor(raw).Node("y = Reshape x s"), false},
		{"Reshape to two images, raw", 0, features().Tensor(rawFixed).Node("y = Reshape x s"), true},
		{"Cast to integers", 0, features().Node("y = Cast x", graphmaker.Int("to", 7)), false},
	} {
		model := test.graph.Model()
		if test.opset != 0 {
			model.Proto.OpsetImport[0].Version = proto.Int64(test.opset)
		}
		if got := len(mixingNodes(model)) > 0; got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	// The statistics of the batch, asked for before opset 14.
	old := image().Node("y = BatchNormalization x k k k k").Model()
	old.Proto.OpsetImport[0].Version = proto.Int64(13)
	old.Proto.Graph.Node[0].Output = append(old.Proto.Graph.Node[0].Output, "", "")
	if got := mixingNodes(old); len(got) > 0 {
		t.Errorf("statistics that are left out: %q", got)
	}
	old.Proto.Graph.Node[0].Output[2] = "mean"
	if got := mixingNodes(old); !slices.Equal(got, []string{`BatchNormalization "the_y"`}) {
		t.Errorf("statistics that are asked for: %q", got)
	}
	// Three of many are told.
	many := features()
	for _, node := range []string{"a = Softmax x", "b = Softmax a", "c = Softmax b", "y = Softmax c"} {
		many.Node(node, axis(0))
	}
	if got := mixingNodes(many.Model()); !slices.Equal(got,
		[]string{`Softmax "the_a"`, `Softmax "the_b"`, `Softmax "the_c"`}) {
		t.Errorf("of four: %q", got)
	}
}

// Dropout is in training mode where its third input is the constant true.
func TestDropoutThatTrains(t *testing.T) {
	for name, test := range map[string]struct {
		tensor *onnxpb.TensorProto
		want   bool
	}{
		"true":       {&onnxpb.TensorProto{Int32Data: []int32{1}}, true},
		"true, raw":  {&onnxpb.TensorProto{RawData: []byte{1}}, true},
		"false":      {&onnxpb.TensorProto{Int32Data: []int32{0}}, false},
		"false, raw": {&onnxpb.TensorProto{RawData: []byte{0}}, false},
		"none":       {nil, false},
	} {
		graph, node := graphmaker.New(graphmaker.Free, 6).Weight("r", 0.5, 0.5), "y = Dropout x r"
		if test.tensor != nil {
			test.tensor.Name, test.tensor.DataType = proto.String("on"), proto.Int32(
				int32(onnxpb.TensorProto_BOOL))
			graph, node = graph.Tensor(test.tensor), node+" on"
		}
		if got := len(port.TrainingNotes(graph.Node(node).Model())) > 0; got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// NaN on both sides is no difference, on one side it is infinite.
func TestApart(t *testing.T) {
	nan := float32(math.NaN())
	for _, test := range []struct {
		a, b []float32
		want float64
	}{
		{[]float32{1, 2}, []float32{1.5, 2}, 0.5},
		{[]float32{nan, 2}, []float32{nan, 2.25}, 0.25},
	} {
		if got := apart(test.a, test.b); got != test.want {
			t.Errorf("%v and %v: %v, want %v", test.a, test.b, got, test.want)
		}
	}
	for _, pair := range [][2][]float32{{{nan}, {1}}, {{1}, {nan}}} {
		if got := apart(pair[0], pair[1]); got < 1e300 {
			t.Errorf("%v and %v: %v", pair[0], pair[1], got)
		}
	}
}
