package onnx

import (
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// The smallest scales of full precision are taken as they are.
func TestTheSmallestScales(t *testing.T) {
	if got, err := quantizeRange(Range{0, 255 * 0x1p-126}); err != nil ||
		got != (quantization{0x1p-126, 0}) {
		t.Errorf("a range of 255 times the smallest scale: %v, %v", got, err)
	}
	if got := quantizeWeights([]float32{0, -weightMax * 0x1p-126}, 0, 1); got != 0x1p-126 {
		t.Errorf("weights of 64 times the smallest scale: %v", got)
	}
}

// floatValue is a value of float32; -1 is a free dimension.
func floatValue(name string, dims ...int64) *onnxpb.ValueInfoProto {
	shape := &onnxpb.TensorShapeProto{}
	for _, size := range dims {
		shape.Dim = append(shape.Dim, &onnxpb.TensorShapeProto_Dimension{
			Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: size}})
	}
	return &onnxpb.ValueInfoProto{Name: proto.String(name), Type: &onnxpb.TypeProto{
		Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{
			ElemType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)), Shape: shape}}}}
}

// tensorOf is a tensor of zeros.
func tensorOf(name string, elementType onnxpb.TensorProto_DataType,
	dims ...int64) *onnxpb.TensorProto {
	tensor := &onnxpb.TensorProto{Name: proto.String(name), DataType: proto.Int32(int32(elementType)),
		Dims: dims}
	length, err := message.ByteLength(tensor)
	if err != nil {
		panic(err)
	}
	tensor.RawData = make([]byte, length)
	return tensor
}

// graphOf is a model of one input "x", float32, and one node that makes "y" of it and of
// tensors; inputs are their names.
func graphOf(opset int64, input []int64, operator string, inputs string,
	attributes []*onnxpb.AttributeProto, tensors ...*onnxpb.TensorProto) *Model {
	node := &onnxpb.NodeProto{Name: proto.String("n"), OpType: proto.String(operator),
		Input: strings.Split(inputs, ","), Output: []string{"y"}, Attribute: attributes}
	return &Model{Proto: &onnxpb.ModelProto{IrVersion: proto.Int64(10),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(opset)},
			{Domain: proto.String("com.acme"), Version: proto.Int64(1)}},
		Graph: &onnxpb.GraphProto{Name: proto.String("g"),
			Input:  []*onnxpb.ValueInfoProto{floatValue("x", input...)},
			Output: []*onnxpb.ValueInfoProto{{Name: proto.String("y")}}, Node: []*onnxpb.NodeProto{node},
			Initializer: tensors}}}
}

func integer64(name string, value int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_INT.Enum(),
		I: proto.Int64(value)}
}

func float32Of(name string, value float32) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_FLOAT.Enum(),
		F: proto.Float32(value)}
}

// Only products with weights and biases of their own, as runtimes know them, are quantized.
func TestWhatIsQuantized(t *testing.T) {
	const float = onnxpb.TensorProto_FLOAT
	image, vector := []int64{-1, 2, 5, 5}, []int64{-1, 4}
	weights, dense, bias := tensorOf("w", float, 3, 2, 3, 3), tensorOf("w", float, 4, 3), tensorOf("b",
		float, 3)
	gemm := func(more ...*onnxpb.AttributeProto) []*onnxpb.AttributeProto { return more }
	for name, test := range map[string]struct {
		model *Model
		want  bool
	}{
		"Conv":                    {graphOf(13, image, "Conv", "x,w,b", nil, weights, bias), true},
		"Conv without a bias":     {graphOf(13, image, "Conv", "x,w", nil, weights), true},
		"Conv, the bias left out": {graphOf(13, image, "Conv", "x,w,", nil, weights), true},
		"Conv in one dimension": {graphOf(13, []int64{-1, 2, 5}, "Conv", "x,w", nil,
			tensorOf("w", float, 3, 2, 3)), true},
		"Conv by its input":       {graphOf(13, image, "Conv", "x,x", nil), false},
		"a bias that is an input": {graphOf(13, image, "Conv", "x,w,x", nil, weights), false},
		"a bias of two dimensions": {graphOf(13, image, "Conv", "x,w,b", nil, weights,
			tensorOf("b", float, 3, 1)), false},
		"a bias of another length": {graphOf(13, image, "Conv", "x,w,b", nil, weights,
			tensorOf("b", float, 1)), false},
		"Gemm": {graphOf(13, vector, "Gemm", "x,w,b", nil, dense, bias), true},
		"Gemm, transposed": {graphOf(13, vector, "Gemm", "x,w,b", gemm(integer64("transB", 1)),
			tensorOf("w", float, 3, 4), bias), true},
		"Gemm, plain": {graphOf(13, vector, "Gemm", "x,w,b",
			gemm(float32Of("alpha", 1), float32Of("beta", 1), integer64("transA", 0)), dense, bias), true},
		"Gemm, scaled": {graphOf(13, vector, "Gemm", "x,w,b", gemm(float32Of("alpha", 2)),
			dense, bias), false},
		"Gemm, bias scaled": {graphOf(13, vector, "Gemm", "x,w,b", gemm(float32Of("beta", 2)),
			dense, bias), false},
		"Gemm of columns": {graphOf(13, vector, "Gemm", "x,w,b", gemm(integer64("transA", 1)),
			dense, bias), false},
		"MatMul": {graphOf(13, vector, "MatMul", "x,w", nil, dense), true},
		"MatMul of a stack": {graphOf(13, vector, "MatMul", "x,w", nil,
			tensorOf("w", float, 2, 4, 3)), false},
		"doubles": {graphOf(13, image, "Conv", "x,w", nil,
			tensorOf("w", onnxpb.TensorProto_DOUBLE, 3, 2, 3, 3)), false},
	} {
		foreign := proto.Clone(test.model.Proto).(*onnxpb.ModelProto)
		foreign.Graph.Node[0].Domain = proto.String("com.acme")
		for model, want := range map[*Model]bool{test.model: test.want, {Proto: foreign}: false} {
			values, err := QuantizedValues(model)
			if want && (err != nil || !slices.Equal(values, []string{"x"})) ||
				!want && (err == nil || !strings.Contains(err.Error(), "there is nothing to quantize")) {
				t.Errorf("%s of domain %q: %q, %v", name, model.Proto.Graph.Node[0].GetDomain(), values, err)
			}
		}
	}
}

// Runtimes compute averages of integers, so that their inputs are quantized, too.
func TestAveragesAreQuantized(t *testing.T) {
	const float = onnxpb.TensorProto_FLOAT
	for _, operator := range []string{"AveragePool", "GlobalAveragePool", "Sigmoid"} {
		m := graphOf(13, []int64{-1, 2, 5, 5}, "Conv", "x,w", nil, tensorOf("w", float, 3, 2, 3, 3),
			tensorOf("v", float, 3, 3, 1, 1))
		graph := m.Proto.Graph
		node := func(operator, output string, inputs ...string) *onnxpb.NodeProto {
			return &onnxpb.NodeProto{OpType: proto.String(operator), Input: inputs, Output: []string{output}}
		}
		graph.Node = append(graph.Node, node(operator, "mean", "y"), node("Conv", "z", "mean", "v"))
		want := []string{"x", "y", "mean"}
		if operator == "Sigmoid" {
			want = []string{"x", "mean"}
		}
		if values, err := QuantizedValues(m); err != nil || !slices.Equal(values, want) {
			t.Errorf("%s: %q, %v, want %q", operator, values, err, want)
		}
	}
}

// What the largest float32 is quantized to is finite.
func TestTheLargestWeightIsQuantized(t *testing.T) {
	weights := tensorOf("w", onnxpb.TensorProto_FLOAT, 1, 1, 1, 1)
	weights.RawData = rawFloats(math.MaxFloat32)
	m := graphOf(13, []int64{1, 1, 2, 2}, "Conv", "x,w", nil, weights)
	if _, err := Quantize(m, map[string]Range{"x": {0, 1}}); err != nil {
		t.Error(err)
	}
}

// What the operators of quantization give, and how their scales must be.
func TestQuantizeLinearOfEachKind(t *testing.T) {
	const float, half, signed, unsigned = onnxpb.TensorProto_FLOAT, onnxpb.TensorProto_FLOAT16,
		onnxpb.TensorProto_INT8, onnxpb.TensorProto_UINT8
	vector := []int64{3, 4}
	scale, scales := tensorOf("s", float), tensorOf("s", float, 4)
	table, wrong := tensorOf("s", float, 3, 2), tensorOf("s", float, 2)
	attributes := func(list ...*onnxpb.AttributeProto) []*onnxpb.AttributeProto { return list }
	weights := tensorOf("q", signed, 3, 4)
	for name, test := range map[string]struct {
		model *Model
		want  string // of y, or of the error
	}{
		"to bytes": {graphOf(13, vector, "QuantizeLinear", "x,s", nil, scale),
			"uint8[3×4]"},
		"to bytes, zero left out": {graphOf(13, vector, "QuantizeLinear", "x,s,", nil, scale),
			"uint8[3×4]"},
		"as the zero point": {graphOf(13, vector, "QuantizeLinear", "x,s,z", nil, scale,
			tensorOf("z", signed)), "int8[3×4]"},
		"as it says": {graphOf(21, vector, "QuantizeLinear", "x,s",
			attributes(integer64("output_dtype", int64(signed))), scale), "int8[3×4]"},
		"back": {graphOf(13, vector, "DequantizeLinear", "q,s", nil, weights, scale),
			"float[3×4]"},
		"back, of a zero point": {graphOf(13, vector, "DequantizeLinear", "q,s,z", nil, weights,
			scale, tensorOf("z", signed)), "float[3×4]"},
		"back, of another": {graphOf(13, vector, "DequantizeLinear", "q,s,z", nil, weights,
			scale, tensorOf("z", unsigned)), "its zero point of uint8; they must be the same"},
		"back to half": {graphOf(23, vector, "DequantizeLinear", "q,s",
			attributes(integer64("output_dtype", int64(half))), weights, scale), "float16[3×4]"},
		"by columns": {graphOf(13, vector, "QuantizeLinear", "x,s", nil, scales),
			"uint8[3×4]"},
		"by columns, too few": {graphOf(13, vector, "QuantizeLinear", "x,s", nil, wrong),
			"must have as many numbers"},
		"by columns, too few, late": {graphOf(21, vector, "QuantizeLinear", "x,s", nil, wrong),
			"must have as many numbers"},
		"by columns, early": {graphOf(10, vector, "QuantizeLinear", "x,s", nil, scales),
			"before opset 13 it must be one number"},
		"by a table": {graphOf(20, vector, "QuantizeLinear", "x,s", nil, table),
			"it must be one number, or a vector for an axis"},
		"by blocks": {graphOf(21, vector, "QuantizeLinear", "x,s",
			attributes(integer64("block_size", 2)), table), "uint8[3×4]"},
		"by a table, as blocks": {graphOf(21, vector, "QuantizeLinear", "x,s", nil, table),
			"uint8[3×4]"},
		"by blocks of the last": {graphOf(21, vector, "QuantizeLinear", "x,s",
			attributes(integer64("block_size", 2)), wrong), "uint8[3×4]"},
		"by one, of any shape": {graphOf(13, vector, "QuantizeLinear", "x,s", nil,
			tensorOf("s", float, 1)), "uint8[3×4]"},
		"a zero point of two, of 1": {graphOf(13, vector, "QuantizeLinear", "x,s,z", nil, scale,
			tensorOf("z", signed, 2)), "they must be of one shape"},
	} {
		found, err := analyze(test.model.Proto)
		if err != nil {
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v, want %q", name, err, test.want)
			}
			continue
		}
		if got := found.values["y"].String(); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// What is stored as float16 has at least 64 numbers of float32, and no input may replace it.
func TestWhatIsHalved(t *testing.T) {
	const float = onnxpb.TensorProto_FLOAT
	of := func(opset, columns int64, elementType onnxpb.TensorProto_DataType) *Model {
		return graphOf(opset, []int64{-1, columns}, "MatMul", "x,w", nil,
			tensorOf("w", elementType, columns, 1))
	}
	input := of(13, 64, float)
	input.Proto.Graph.Input = append(input.Proto.Graph.Input, floatValue("w", 64, 1))
	for name, test := range map[string]struct {
		model *Model
		want  string // in the error, empty if there is none
	}{
		"64 numbers":       {of(13, 64, float), ""},
		"the oldest opset": {of(6, 64, float), ""},
		"an older one":     {of(5, 64, float), "its opset is 5"},
		"63 numbers":       {of(13, 63, float), "there is nothing to make smaller"},
		"an input's":       {input, "there is nothing to make smaller"},
		"doubles":          {of(13, 64, onnxpb.TensorProto_DOUBLE), "there is nothing to make smaller"},
	} {
		half, err := ToFloat16(test.model)
		if test.want != "" {
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v, want %q", name, err, test.want)
			}
			continue
		}
		if tensor := half.Proto.Graph.Initializer[0]; err != nil || len(tensor.RawData) != 2*64 {
			t.Errorf("%s: %v, %v", name, err, tensor)
		}
	}
}
