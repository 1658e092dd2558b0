package onnx

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/onnxpb"
)

// What Check knows of an operator's output, and what it refuses of its inputs. The model's
// input x is of those dimensions (0 the free batch N, -1 free without a name), w of float32.
func TestShapesOfOutputs(t *testing.T) {
	const float = onnxpb.TensorProto_FLOAT
	list := func(attributes ...*onnxpb.AttributeProto) []*onnxpb.AttributeProto { return attributes }
	to := func(n int64) []*onnxpb.AttributeProto { return list(integer64("to", n)) }
	axis := func(n int64) []*onnxpb.AttributeProto { return list(integer64("axis", n)) }
	perm := func(axes ...int64) []*onnxpb.AttributeProto {
		return list(&onnxpb.AttributeProto{Name: proto.String("perm"),
			Type: onnxpb.AttributeProto_INTS.Enum(), Ints: axes})
	}
	dims := func(sizes ...int64) []int64 { return append([]int64{}, sizes...) }
	for _, test := range []struct {
		operator   string
		opset      int64
		x, w       []int64 // w nil: there is none
		attributes []*onnxpb.AttributeProto
		want       string // of y, or in the error
	}{
		{"Add", 13, dims(0, 3), dims(3), nil, "float[N×3]"},
		{"Add", 13, dims(3), dims(2, 3), nil, "float[2×3]"},
		{"Add", 13, dims(0, 1), dims(2, 3), nil, "float[2×3]"},
		{"Add", 13, dims(0, 3), dims(1, 1), nil, "float[N×3]"},
		{"Add", 13, dims(2, 3), dims(2, 4), nil, "3 and 4 are neither equal nor 1"},
		{"Add", 13, dims(4, 5, 1), dims(5, 7), nil, "float[4×5×7]"},
		{"MatMul", 13, dims(0, 3), dims(3, 4), nil, "float[N×4]"},
		{"MatMul", 13, dims(3), dims(3, 4), nil, "float[4]"},
		{"MatMul", 13, dims(0, 3), dims(3), nil, "float[N]"},
		{"MatMul", 13, dims(3), dims(3), nil, "float[]"},
		{"MatMul", 13, dims(5, 2, 3), dims(3, 4), nil, "float[5×2×4]"},
		{"MatMul", 13, dims(0, 3), dims(2, 4), nil, "the inner dimensions differ"},
		{"MatMul", 13, dims(0, 3), dims(), nil, "neither may be a scalar"},
		{"MatMul", 13, dims(), dims(3), nil, "neither may be a scalar"},
		{"Softmax", 13, dims(0, 3), nil, nil, "float[N×3]"},
		{"Softmax", 13, dims(), nil, nil, "float[]"},
		{"Softmax", 13, dims(0, 3), nil, axis(1), "float[N×3]"},
		{"Softmax", 13, dims(0, 3), nil, axis(2), "must be within -2…1"},
		{"Softmax", 13, dims(3), nil, nil, "float[3]"},
		{"Softmax", 12, dims(3), nil, nil, "axis is 1; for 1 dimensions it must be within -1…0"},
		{"Cast", 13, dims(2), nil, to(11), "double[2]"},
		{"Cast", 13, dims(2), nil, to(0), "to is 0, which is no element type"},
		{"Cast", 13, dims(2), nil, to(-1), "to is -1, which is no element type"},
		{"Cast", 13, dims(2), nil, to(1<<32 + 1), "to is 4294967297, which is no element type"},
		{"Cast", 13, dims(2), nil, to(1 << 20), "to is 1048576, which is no element type"},
		{"Transpose", 13, dims(0, 2, 3), nil, nil, "float[3×2×N]"},
		{"Transpose", 13, dims(0, 2, 3), nil, perm(2, 0, 1), "float[3×N×2]"},
		{"Transpose", 13, dims(0, 2, 3), nil, perm(0, 1), "perm has 2 entries, its input float[N×2×3]"},
		{"Transpose", 13, dims(0, 2, 3), nil, perm(0, 1, 3), "perm [0 1 3] is no permutation of 0…2"},
		{"Transpose", 13, dims(0, 2, 3), nil, perm(0, 1, 1), "perm [0 1 1] is no permutation of 0…2"},
		{"Transpose", 13, dims(0, 2, 3), nil, perm(0, 1, -1), "perm [0 1 -1] is no permutation of 0…2"},
		{"Concat", 13, dims(2, 3), dims(4, 3), axis(0), "float[6×3]"},
		{"Concat", 13, dims(0, 3), dims(4, 3), axis(0), "float[?×3]"},
		{"Concat", 13, dims(2, 3), dims(2, 5), axis(1), "float[2×8]"},
		{"Concat", 13, dims(0, 3), dims(2, 5), axis(-1), "float[2×8]"},
		{"Concat", 13, dims(2, 3), dims(4, 5), axis(1),
			"its inputs 0 and 1, float[2×3] and float[4×5], differ outside of axis 1"},
		{"Concat", 13, dims(2, 3), dims(2, 3, 1), axis(1), "have different numbers of dimensions"},
		{"BatchNormalization", 13, dims(0, 3, 2), dims(3), nil, "float[N×3×2]"},
		{"BatchNormalization", 13, dims(0, 3, 2), dims(4), nil,
			"its input 1 is float[4]; it must have one value for each of the 3 channels"},
		{"BatchNormalization", 13, dims(0, 3, 2), dims(3, 1), nil,
			"its input 1 is float[3×1]; it must have one value"},
		{"BatchNormalization", 13, dims(3), dims(3), nil, "it needs at least N×C"},
		{"BatchNormalization", 8, dims(0, 3, 2), dims(3, 2), list(integer64("spatial", 0)),
			"float[N×3×2]"},
		{"Flatten", 13, dims(0, 2, 3), nil, nil, "float[N×6]"},
		{"Flatten", 13, dims(4, 2, 3), nil, axis(0), "float[1×24]"},
		{"Flatten", 13, dims(4, 2, 3), nil, axis(3), "float[24×1]"},
		{"Flatten", 13, dims(4, 2, 3), nil, axis(4), "must be within -3…3"},
	} {
		inputs, tensors := "x", []*onnxpb.TensorProto(nil)
		if test.w != nil {
			inputs, tensors = "x,w", []*onnxpb.TensorProto{tensorOf("w", float, test.w...)}
			if test.operator == "BatchNormalization" {
				inputs = "x,w,w,w,w"
			}
		}
		model := graphOf(test.opset, test.x, test.operator, inputs, test.attributes, tensors...)
		for i, dim := range model.Proto.Graph.Input[0].Type.GetTensorType().GetShape().GetDim() {
			if test.x[i] == 0 {
				dim.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "N"}
			}
		}
		requireShape(t, test.operator, model, test.want)
	}
}

// requireShape holds the value y of a model against a text, or the error.
func requireShape(t *testing.T, name string, model *Model, want string) {
	t.Helper()
	found, err := analyze(model.Proto)
	if err != nil {
		if !strings.Contains(err.Error(), want) || strings.HasSuffix(want, "]") &&
			!strings.Contains(want, " ") {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		return
	}
	if got := found.values["y"].String(); got != want {
		t.Errorf("%s: %s, want %s", name, got, want)
	}
}

// Gemm's third input broadcasts to the product in one direction, and may be left out since
// opset 11.
func TestShapeOfGemm(t *testing.T) {
	const float = onnxpb.TensorProto_FLOAT
	w := tensorOf("w", float, 3, 4)
	for _, test := range []struct {
		opset int64
		x     []int64
		bias  []int64
		want  string
	}{
		{11, []int64{2, 3}, nil, "float[2×4]"},
		{10, []int64{2, 3}, nil, "needs before opset 11"},
		{10, []int64{2, 3}, []int64{4}, "float[2×4]"},
		{13, []int64{2, 3}, []int64{}, "float[2×4]"},
		{13, []int64{2, 3}, []int64{2, 1}, "float[2×4]"},
		{13, []int64{2, 3}, []int64{1, 4}, "float[2×4]"},
		{13, []int64{2, 3}, []int64{3},
			"its input 2 is float[3], which does not broadcast to the product float[2×4]"},
		{13, []int64{2, 3}, []int64{1, 1, 4}, "does not broadcast to the product"},
		{13, []int64{1, 3}, []int64{2, 4}, "does not broadcast to the product float[1×4]"},
		{13, []int64{1, 3}, []int64{1, 4}, "float[1×4]"},
	} {
		inputs, tensors := "x,w", []*onnxpb.TensorProto{w}
		if test.bias != nil {
			inputs, tensors = "x,w,b", append(tensors, tensorOf("b", float, test.bias...))
		}
		requireShape(t, "Gemm", graphOf(test.opset, test.x, "Gemm", inputs, nil, tensors...), test.want)
	}
	// A product of one column.
	column := graphOf(13, []int64{2, 3}, "Gemm", "x,w,b", nil, tensorOf("w", float, 3, 1),
		tensorOf("b", float, 2, 4))
	requireShape(t, "Gemm of a column", column, "does not broadcast to the product float[2×1]")
	column = graphOf(13, []int64{2, 3}, "Gemm", "x,w,b", nil, tensorOf("w", float, 3, 1),
		tensorOf("b", float, 2, 1))
	requireShape(t, "Gemm of a column", column, "float[2×1]")
}

// Reshape by a constant: what is left over, what is copied, and what cannot be meant.
func TestShapeOfReshape(t *testing.T) {
	for _, test := range []struct {
		x, shape []int64
		want     string
	}{
		{[]int64{2, 3, 4}, []int64{6, 4}, "float[6×4]"},
		{[]int64{2, 3, 4}, []int64{-1, 4}, "float[6×4]"},
		{[]int64{2, 3, 4}, []int64{0, -1}, "float[2×12]"},
		{[]int64{2, 3, 4}, []int64{0, 0, 0}, "float[2×3×4]"},
		{[]int64{2, 3, 4}, []int64{1, 1, 1, 0},
			"copies dimension 3, which the input float[2×3×4] does not have"},
		{[]int64{2, 3, 4}, []int64{-1, -1}, "has more than one -1"},
		{[]int64{2, 3, 4}, []int64{-2, 12}, "holds -2; use -1 for one that is free"},
		{[]int64{2, 3, 4}, []int64{1<<40 + 1}, "holds 1099511627777"},
		{[]int64{2, 3, 4}, []int64{1 << 40}, "of 24 elements does not fit the shape [1099511627776]"},
		{[]int64{2, 3, 4}, []int64{5, 5}, "of 24 elements does not fit the shape [5 5]"},
		{[]int64{2, 3, 4}, []int64{-1, 5}, "of 24 elements does not fit the shape [-1 5]"},
		{[]int64{-1, 3}, []int64{-1, 0}, "float[?×3]"},
		{[]int64{0, 3}, []int64{0, 5}, "float[0×5]"},
		{[]int64{0, 3}, []int64{-1, 0}, "float[0×3]"},
		{[]int64{3, 0}, []int64{-1, 0}, "float[?×0]"},
		{[]int64{3, 0}, []int64{2, 5}, "of 0 elements does not fit the shape [2 5]"},
		{[]int64{3, 0}, []int64{5, 0}, "float[5×0]"},
	} {
		model := graphOf(13, test.x, "Reshape", "x,s", nil, int64Tensor("s", test.shape...))
		requireShape(t, "Reshape", model, test.want)
	}
	shapes := map[string]*onnxpb.TensorProto{
		"it must be int64": tensorOf("s", onnxpb.TensorProto_INT32, 2),
		"its shape is int64[1×2]; it must be a vector of at most 64 dimensions": tensorOf("s",
			onnxpb.TensorProto_INT64, 1, 2),
		"its shape is int64[65]; it must be a vector of at most 64 dimensions": tensorOf("s",
			onnxpb.TensorProto_INT64, 65),
		"its shape is int64[]; it must be a vector": tensorOf("s",
			onnxpb.TensorProto_INT64),
	}
	for want, shape := range shapes {
		requireShape(t, "Reshape", graphOf(13, []int64{2}, "Reshape", "x,s", nil, shape), want)
	}
	// With allowzero a 0 copies nothing.
	zero := graphOf(14, []int64{3, 4}, "Reshape", "x,s",
		[]*onnxpb.AttributeProto{integer64("allowzero", 1)}, int64Tensor("s", -1, 0))
	requireShape(t, "Reshape", zero, "of 12 elements does not fit the shape [-1 0]")
	// Of what has no shape.
	unknown := graphOf(13, []int64{2}, "Reshape", "z,s", nil, int64Tensor("s", 2, 3))
	unknown.Proto.Graph.Node = append([]*onnxpb.NodeProto{sharpen("x", "z")},
		unknown.Proto.Graph.Node...)
	requireShape(t, "Reshape", unknown, "?[2×3]")
	ones := make([]int64, 64)
	for i := range ones {
		ones[i] = 1
	}
	model := graphOf(13, []int64{1}, "Reshape", "x,s", nil, int64Tensor("s", ones...))
	if _, err := analyze(model.Proto); err != nil {
		t.Errorf("64 dimensions: %v", err)
	}
}

// sharpen is a node of which nothing is known.
func sharpen(input, output string) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{OpType: proto.String("Sharpen"), Domain: proto.String("com.acme"),
		Input: []string{input}, Output: []string{output}}
}

func int64Tensor(name string, values ...int64) *onnxpb.TensorProto {
	return &onnxpb.TensorProto{Name: proto.String(name), Int64Data: values,
		Dims:     []int64{int64(len(values))},
		DataType: proto.Int32(int32(onnxpb.TensorProto_INT64))}
}

// Dropout's mask is of booleans since opset 10, and of the data's type before.
func TestTypeOfDropoutsMask(t *testing.T) {
	for opset, want := range map[int64]string{9: "float[2]", 10: "bool[2]"} {
		model := graphOf(opset, []int64{2}, "Dropout", "x", nil)
		model.Proto.Graph.Node[0].Output = []string{"z", "y"}
		requireShape(t, "Dropout", model, want)
	}
	// Other operators have no second output.
	model := graphOf(9, []int64{2}, "Relu", "x", nil)
	requireShape(t, "Relu", model, "float[2]")
}

// Elements of different types do not add up; one that is not known takes the other's.
func TestTypesOfSums(t *testing.T) {
	model := graphOf(13, []int64{2}, "Add", "x,w", nil, tensorOf("w", onnxpb.TensorProto_DOUBLE, 2))
	requireShape(t, "Add", model, "its input 1 is of double, but one before it of float")
	model = graphOf(13, []int64{2}, "Add", "z,x", nil)
	model.Proto.Graph.Node = append([]*onnxpb.NodeProto{sharpen("x", "z")}, model.Proto.Graph.Node...)
	requireShape(t, "Add", model, "float[…]")
}

// A value of a shape that is not known may be transposed in as many dimensions as there may be.
func TestTransposeOfWhatIsNotKnown(t *testing.T) {
	for rank, want := range map[int]string{64: "?[…]", 65: "perm has 65 entries"} {
		perm := &onnxpb.AttributeProto{Name: proto.String("perm"),
			Type: onnxpb.AttributeProto_INTS.Enum()}
		for axis := range rank {
			perm.Ints = append(perm.Ints, int64(rank-1-axis))
		}
		model := graphOf(13, []int64{2}, "Transpose", "z", []*onnxpb.AttributeProto{perm})
		model.Proto.Graph.Node = append([]*onnxpb.NodeProto{sharpen("x", "z")}, model.Proto.Graph.Node...)
		requireShape(t, "Transpose", model, want)
	}
}
