package native_test

import (
	"math"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/infer/native"
	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// graphOf is a model of one input x and one output y.
func graphOf(t testing.TB, opset int64, x *native.Tensor, weights map[string]*native.Tensor,
	nodes ...*onnxpb.NodeProto) *onnx.Model {
	t.Helper()
	graph := &onnxpb.GraphProto{Node: nodes, Output: []*onnxpb.ValueInfoProto{untyped("y")}}
	if x != nil {
		graph.Input = []*onnxpb.ValueInfoProto{value("x", x.Type(), x.Shape)}
	}
	for name, w := range weights {
		graph.Initializer = append(graph.Initializer, protoOf(t, name, w))
	}
	return modelOf(opset, graph)
}

func in(names ...string) []string { return names }

// TestGraphsAgreeWithONNXRuntime is of chains of nodes: those that are computed as
// one, and those that look like them and are not.
func TestGraphsAgreeWithONNXRuntime(t *testing.T) {
	startONNXRuntime(t)
	r := random{newSource(4)}
	conv := func(more ...*onnxpb.AttributeProto) *onnxpb.NodeProto {
		return nodeOf("Conv", in("x", "w", "b"), in("c"), more...)
	}
	pool := func(input, output string, more ...*onnxpb.AttributeProto) *onnxpb.NodeProto {
		return nodeOf("MaxPool", in(input), in(output),
			append(attrs{graphmaker.Ints("kernel_shape", 2, 2), graphmaker.Ints("strides", 2, 2)},
				more...)...)
	}
	relu := func(input, output string) *onnxpb.NodeProto {
		return nodeOf("Relu", in(input), in(output))
	}
	filters := map[string]*native.Tensor{"w": r.tensor(7, 3, 3, 3), "b": r.tensor(7)}
	dense := map[string]*native.Tensor{"w": r.tensor(12, 5), "b": r.tensor(5), "one": r.tensor(1),
		"column": r.tensor(4, 1)}
	normal := map[string]*native.Tensor{"w": filters["w"], "b": filters["b"], "scale": r.tensor(7),
		"shift": r.tensor(7), "mean": r.tensor(7), "variance": r.positive(7)}
	image := r.tensor(2, 3, 11, 10)
	quantized := map[string]*native.Tensor{"w": filters["w"], "b": filters["b"], "scale": scalar(0.05),
		"coarse": scalar(0.1), "zero": {Shape: []int{}, Data: []uint8{100}},
		"one": {Shape: []int{}, Data: []uint8{1}}, "scales": r.positive(7),
		"zeros": {Shape: []int{7}, Data: []uint8{0, 1, 2, 3, 128, 254, 255}}}
	cast := func(input, output string, to onnxpb.TensorProto_DataType) *onnxpb.NodeProto {
		return nodeOf("Cast", in(input), in(output), graphmaker.Int("to", int64(to)))
	}
	doubles := map[string]*native.Tensor{"w": {Shape: []int{3, 2},
		Data: []float64{1, -2, 3, 0.5, -1, 4}}, "b": {Shape: []int{2}, Data: []float64{0.25, -3}}}
	wholes := map[string]*native.Tensor{"w": {Shape: []int{5, 2},
		Data: []int64{1, -2, 3, 4, -5, 6, 7, -8, 9, 10}}, "b": int64s(11, -12)}
	integers := r.tensor(3, 5)
	for i := range integers.Data.([]float32) {
		integers.Data.([]float32)[i] *= 100
	}
	quantize := func(input, output, scale, zero string) *onnxpb.NodeProto {
		return nodeOf("QuantizeLinear", in(input, scale, zero), in(output))
	}
	dequantize := func(input, output, scale, zero string) *onnxpb.NodeProto {
		return nodeOf("DequantizeLinear", in(input, scale, zero), in(output))
	}
	for name, test := range map[string]struct {
		x       *native.Tensor
		weights map[string]*native.Tensor
		nodes   []*onnxpb.NodeProto
	}{
		"conv, relu, pool": {image, filters, []*onnxpb.NodeProto{conv(), relu("c", "r"),
			pool("r", "y")}},
		"conv, pool": {image, filters, []*onnxpb.NodeProto{conv(), pool("c", "y")}},
		"conv, relu": {image, filters, []*onnxpb.NodeProto{conv(), relu("c", "y")}},
		"conv, relu, uneven pool": {image, filters,
			[]*onnxpb.NodeProto{conv(graphmaker.Ints("pads", 1, 2, 0, 1)), relu("c", "r"),
				pool("r", "y", graphmaker.Ints("pads", 0, 1, 1, 0))}},
		"conv, relu, ceil pool": {image, filters, []*onnxpb.NodeProto{conv(), relu("c", "r"),
			pool("r", "y", graphmaker.Int("ceil_mode", 1))}},
		"dilated conv, relu, pool": {image, filters,
			[]*onnxpb.NodeProto{conv(graphmaker.Ints("dilations", 2, 1)), relu("c", "r"), pool("r", "y")}},
		"conv, dilated pool": {image, filters, []*onnxpb.NodeProto{conv(), relu("c", "r"),
			pool("r", "y", graphmaker.Ints("dilations", 2, 2))}},
		"relu used twice": {image, filters, []*onnxpb.NodeProto{conv(), relu("c", "r"),
			nodeOf("Add", in("r", "c"), in("y"))}},
		"conv, normalize, relu": {image, normal,
			[]*onnxpb.NodeProto{conv(),
				nodeOf("BatchNormalization", in("c", "scale", "shift", "mean", "variance"), in("n")),
				relu("n", "y")}},
		"conv, activation, sum of two": {image, filters,
			[]*onnxpb.NodeProto{conv(), nodeOf("Sigmoid", in("c"), in("s")),
				nodeOf("Mul", in("c", "s"), in("y"))}},
		"channels last outside": {r.tensor(2, 11, 10, 3), filters, []*onnxpb.NodeProto{
			nodeOf("Transpose", in("x"), in("t"), graphmaker.Ints("perm", 0, 3, 1, 2)),
			nodeOf("Conv", in("t", "w", "b"), in("c")), relu("c", "r"), pool("r", "p"),
			nodeOf("Transpose", in("p"), in("y"), graphmaker.Ints("perm", 0, 2, 3, 1))}},
		"quantize, dequantize": {image, quantized,
			[]*onnxpb.NodeProto{quantize("x", "q", "scale", "zero"), dequantize("q", "y", "scale", "zero")}},
		"two scales and zero points": {image, quantized,
			[]*onnxpb.NodeProto{quantize("x", "q", "scale", "zero"), dequantize("q", "y", "coarse", "one")}},
		"conv, relu, quantized, pool": {image, quantized, []*onnxpb.NodeProto{conv(), relu("c", "r"),
			quantize("r", "q", "scale", "one"), dequantize("q", "d", "scale", "one"), pool("d", "y")}},
		"integers used twice": {image, quantized,
			[]*onnxpb.NodeProto{conv(), quantize("c", "q", "scale", "zero"),
				dequantize("q", "d", "scale", "zero"),
				dequantize("q", "e", "coarse", "zero"), nodeOf("Add", in("d", "e"), in("y"))}},
		"matmul, add, relu of float64": {r.tensor(4, 3), doubles,
			[]*onnxpb.NodeProto{cast("x", "d", onnxpb.TensorProto_DOUBLE),
				nodeOf("MatMul", in("d", "w"), in("m")),
				nodeOf("Add", in("m", "b"), in("a")), relu("a", "r"), cast("r", "y", onnxpb.TensorProto_FLOAT)}},
		"matmul, add of int64": {integers, wholes,
			[]*onnxpb.NodeProto{cast("x", "i", onnxpb.TensorProto_INT64),
				nodeOf("MatMul", in("i", "w"), in("m")),
				nodeOf("Add", in("m", "b"), in("a")), cast("a", "y", onnxpb.TensorProto_FLOAT)}},
		"a scale for each channel": {image, quantized,
			[]*onnxpb.NodeProto{conv(), quantize("c", "q", "scales", "zeros"),
				dequantize("q", "y", "scales", "zeros")}},
		"a pool of integers": {image, quantized,
			[]*onnxpb.NodeProto{quantize("x", "q", "scale", "zero"), pool("q", "p"),
				dequantize("p", "y", "scale", "zero")}},
		"matmul, add, relu": {r.tensor(4, 12), dense,
			[]*onnxpb.NodeProto{nodeOf("MatMul", in("x", "w"), in("m")),
				nodeOf("Add", in("m", "b"), in("a")), relu("a", "y")}},
		"matmul, add from the left": {r.tensor(4, 12), dense,
			[]*onnxpb.NodeProto{nodeOf("MatMul", in("x", "w"), in("m")),
				nodeOf("Add", in("b", "m"), in("y"))}},
		"matmul, add one": {r.tensor(4, 12), dense,
			[]*onnxpb.NodeProto{nodeOf("MatMul", in("x", "w"), in("m")),
				nodeOf("Add", in("m", "one"), in("y"))}},
		"matmul, add a column": {r.tensor(4, 12), dense,
			[]*onnxpb.NodeProto{nodeOf("MatMul", in("x", "w"), in("m")),
				nodeOf("Add", in("m", "column"), in("y"))}},
		"matmul, add itself": {r.tensor(4, 12), dense,
			[]*onnxpb.NodeProto{nodeOf("MatMul", in("x", "w"), in("m")),
				nodeOf("Add", in("m", "m"), in("y"))}},
		"matmul, relu": {r.tensor(4, 12), dense,
			[]*onnxpb.NodeProto{nodeOf("MatMul", in("x", "w"), in("m")), relu("m", "y")}},
		"gemm, relu": {r.tensor(4, 12), dense,
			[]*onnxpb.NodeProto{nodeOf("Gemm", in("x", "w", "b"), in("g")), relu("g", "y")}},
		"gemm with a column, relu": {r.tensor(4, 12), dense,
			[]*onnxpb.NodeProto{nodeOf("Gemm", in("x", "w", "column"), in("g")), relu("g", "y")}},
		"gemm without a bias, relu": {r.tensor(4, 12), dense,
			[]*onnxpb.NodeProto{nodeOf("Gemm", in("x", "w"), in("g")), relu("g", "y")}},
		"the input is the output": {r.tensor(4, 12), nil,
			[]*onnxpb.NodeProto{nodeOf("Identity", in("x"), in("y"))}},
		"a view is used twice": {image, nil,
			[]*onnxpb.NodeProto{nodeOf("Flatten", in("x"), in("f")), relu("x", "r"),
				nodeOf("Flatten", in("r"), in("g")), nodeOf("Sub", in("f", "g"), in("y"))}},
		"a view of what is still used": {image, nil,
			[]*onnxpb.NodeProto{relu("x", "r"), nodeOf("Flatten", in("r"), in("f")),
				nodeOf("Exp", in("x"), in("e")), nodeOf("Flatten", in("e"), in("g")),
				nodeOf("Sub", in("f", "g"), in("y"))}},
		"a reshape to the batch": {image, map[string]*native.Tensor{"zero": int64s(0),
			"rest": int64s(-1)}, []*onnxpb.NodeProto{
			relu("x", "r"), nodeOf("Shape", in("r"), in("s")), nodeOf("Gather", in("s", "zero"), in("n")),
			nodeOf("Concat", in("n", "rest"), in("to"), graphmaker.Int("axis", 0)),
			nodeOf("Reshape", in("r", "to"), in("y"))}},
	} {
		t.Run(name, func(t *testing.T) {
			model := graphOf(t, 13, test.x, test.weights, test.nodes...)
			want, err := inONNXRuntime(t, model, tensors{test.x})
			if err != nil {
				t.Fatalf("onnxruntime: %v", err)
			}
			got, err := inNative(t, model, tensors{test.x})
			if err != nil {
				t.Fatal(err)
			}
			requireSame(t, got[0], want[0], agreement)
		})
	}
}

// TestIntegersQuantizedAgain: QuantizeLinear takes int32, which onnxruntime does not,
// also where it is computed with the DequantizeLinear behind it.
func TestIntegersQuantizedAgain(t *testing.T) {
	x := &native.Tensor{Shape: []int{5}, Data: []int32{-70, -1, 0, 3, 500}}
	weights := map[string]*native.Tensor{"scale": scalar(0.5),
		"zero": {Shape: []int{}, Data: []uint8{100}}}
	quantize := nodeOf("QuantizeLinear", in("x", "scale", "zero"), in("q"))
	dequantize := func(input string) *onnxpb.NodeProto {
		return nodeOf("DequantizeLinear", in(input, "scale", "zero"), in("y"))
	}
	for name, nodes := range map[string][]*onnxpb.NodeProto{
		"as one": {quantize, dequantize("q")},
		"apart":  {quantize, nodeOf("Identity", in("q"), in("same")), dequantize("same")},
	} {
		got, err := inNative(t, graphOf(t, 13, x, weights, nodes...), tensors{x})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if values, want := got[0].Data.([]float32), []float32{-50, -1, 0, 3, 77.5}; !slices.Equal(values,
			want) {
			t.Errorf("%s: %v, want %v", name, values, want)
		}
	}
}

// NaN and infinities come out where they do in onnxruntime, but for MaxPool: there
// NaN wins here, and onnxruntime's answer depends on its place in the window.
func TestNonFiniteNumbers(t *testing.T) {
	startONNXRuntime(t)
	r := random{newSource(6)}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	x := r.tensor(2, 2, 6, 6)
	copy(x.Data.([]float32)[8:], []float32{nan, 1, inf, 2, -inf})
	weights := map[string]*native.Tensor{"w": r.tensor(4, 2, 3, 3), "b": r.tensor(4),
		"low": scalar(-1), "high": scalar(1)}
	for name, nodes := range map[string][]*onnxpb.NodeProto{
		"Conv":       {nodeOf("Conv", in("x", "w", "b"), in("y"))},
		"Conv, Relu": {nodeOf("Conv", in("x", "w", "b"), in("c")), nodeOf("Relu", in("c"), in("y"))},
		"Relu":       {nodeOf("Relu", in("x"), in("y"))},
		"LeakyRelu":  {nodeOf("LeakyRelu", in("x"), in("y"))},
		"Sigmoid":    {nodeOf("Sigmoid", in("x"), in("y"))},
		"Add":        {nodeOf("Add", in("x", "x"), in("y"))},
		"Sub":        {nodeOf("Sub", in("x", "x"), in("y"))},
		"ReduceMean": {nodeOf("ReduceMean", in("x"), in("y"), graphmaker.Ints("axes", 3))},
		"average":    {nodeOf("GlobalAveragePool", in("x"), in("y"))},
	} {
		t.Run(name, func(t *testing.T) {
			model := graphOf(t, 13, x, weights, nodes...)
			want, err := inONNXRuntime(t, model, tensors{x})
			if err != nil {
				t.Fatal(err)
			}
			got, err := inNative(t, model, tensors{x})
			if err != nil {
				t.Fatal(err)
			}
			requireSame(t, got[0], want[0], agreement)
		})
	}
	t.Run("MaxPool", func(t *testing.T) {
		model := graphOf(t, 13, x, nil, nodeOf("MaxPool", in("x"), in("y"),
			graphmaker.Ints("kernel_shape", 2, 2), graphmaker.Ints("strides", 2, 2)))
		got, err := inNative(t, model, tensors{x})
		if err != nil {
			t.Fatal(err)
		}
		// The window of rows 0 and 1, columns 2 and 3 holds the NaN.
		if v := got[0].Data.([]float32)[1]; v == v {
			t.Errorf("a window with a NaN gives %g", v)
		}
	})
}

func foreign(model *onnx.Model) *onnx.Model {
	model.Proto.Graph.Node[0].Domain = proto.String("com.example")
	model.Proto.OpsetImport = append(model.Proto.OpsetImport,
		&onnxpb.OperatorSetIdProto{Domain: proto.String("com.example"), Version: proto.Int64(1)})
	return model
}
