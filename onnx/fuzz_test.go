package onnx_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// FuzzDecode looks for bytes that make decoding, checking or describing a model
// panic or hang, or that change when they are encoded and decoded again. Run it with
// -fuzzminimizetime 10x: minimizing takes most of the time otherwise.
func FuzzDecode(f *testing.F) {
	paths, err := filepath.Glob("convert/testdata/exports/*/model.onnx")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds in convert/testdata/exports (%v)", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, model := range richModels(f) {
		f.Add(encode(f, model))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		model, err := onnx.Decode(data)
		if err != nil {
			return
		}
		checked := model.Check()
		_ = onnx.Inspect(model).String()
		if _, _, err := model.TrainingRecord(); err != nil && checked == nil && err.Error() == "" {
			t.Error("an error without a text")
		}
		first, err := onnx.Encode(model)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		again, err := onnx.Decode(first)
		if err != nil {
			t.Fatalf("what was encoded cannot be decoded: %v", err)
		}
		second, err := onnx.Encode(again)
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("encoding twice gives other bytes (%v)", err)
		}
		if rechecked := again.Check(); (checked == nil) != (rechecked == nil) {
			t.Fatalf("the check says %v, and after encoding %v", checked, rechecked)
		}
	})
}

// richModels have what our exports do not: functions, subgraphs, sparse and
// typed data, and every operator that the checker knows.
func richModels(t testing.TB) []*onnx.Model {
	functions := tinyModel(t)
	importDomain(functions.Proto, "local")
	functions.Proto.Functions = []*onnxpb.FunctionProto{functionOf("Rectify",
		nodeOf("Relu", []string{"x"}, []string{"y"}))}
	functions.Proto.Graph.Node = append(functions.Proto.Graph.Node,
		local("Rectify", "image", "rectified"))

	subgraph := tinyModel(t)
	branch := &onnxpb.GraphProto{Name: proto.String("branch"),
		Node:   []*onnxpb.NodeProto{nodeOf("Neg", []string{"image"}, []string{"z"})},
		Output: []*onnxpb.ValueInfoProto{{Name: proto.String("z")}}}
	choice := nodeOf("If", []string{"image"}, []string{"chosen"})
	for _, name := range []string{"then_branch", "else_branch"} {
		choice.Attribute = append(choice.Attribute,
			&onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_GRAPH.Enum(),
				G: branch})
	}
	subgraph.Proto.Graph.Node = append(subgraph.Proto.Graph.Node, choice)

	operators := tinyModel(t)
	graph := operators.Proto.Graph
	int64s := func(name string, values ...int64) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{Name: proto.String(name),
			DataType: proto.Int32(int32(onnxpb.TensorProto_INT64)),
			Dims:     []int64{int64(len(values))}, Int64Data: values}
	}
	graph.Initializer = append(graph.Initializer, int64s("shape", 0, -1), &onnxpb.TensorProto{
		Name: proto.String("half"), DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT16)),
		Dims: []int64{2}, Int32Data: []int32{1, 2}})
	graph.SparseInitializer = []*onnxpb.SparseTensorProto{{Values: &onnxpb.TensorProto{Name: proto.String("sparse"),
		DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)), Dims: []int64{1},
		FloatData: []float32{1}}, Indices: int64s("", 0), Dims: []int64{3}}}
	transpose := nodeOf("Transpose", []string{"image"}, []string{"t"})
	setInts(transpose, "perm", 0, 2, 3, 1)
	cast := nodeOf("Cast", []string{"image"}, []string{"c"})
	setInt(cast, "to", 11)
	concat := nodeOf("Concat", []string{"image", "image"}, []string{"cat"})
	setInt(concat, "axis", -1)
	constant := nodeOf("Constant", nil, []string{"k"})
	constant.Attribute = []*onnxpb.AttributeProto{{Name: proto.String("value"),
		Type: onnxpb.AttributeProto_TENSOR.Enum(), T: int64s("", 2, -1)}}
	graph.Node = append(graph.Node, constant, transpose, cast, concat,
		nodeOf("Reshape", []string{"image", "shape"}, []string{"r"}),
		nodeOf("Reshape", []string{"conv1.weight", "k"}, []string{"r2"}),
		nodeOf("MatMul", []string{"image", "image"}, []string{"m"}),
		nodeOf("Add", []string{"image", "r"}, []string{"a"}),
		nodeOf("BatchNormalization", []string{"conv1.output", "conv1.bias", "conv1.bias", "conv1.bias",
			"conv1.bias"}, []string{"bn"}),
		nodeOf("Dropout", []string{"image"}, []string{"d", "mask"}),
		nodeOf("GlobalAveragePool", []string{"image"}, []string{"gap"}),
		nodeOf("LogSoftmax", []string{"logits"}, []string{"ls"}))
	return []*onnx.Model{functions, subgraph, operators}
}

func TestRichModelsPass(t *testing.T) {
	for _, model := range richModels(t) {
		if err := model.Check(); err != nil {
			t.Errorf("%v\n%v", err, onnx.Inspect(model))
		}
	}
}
