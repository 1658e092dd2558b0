package native_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"slipway/infer/native"
	"slipway/internal/cputime"
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

// TestHostileModels have errors, not panics, and do not make the process grow.
func TestHostileModels(t *testing.T) {
	small := &native.Tensor{Shape: []int{1, 1, 4, 4}, Data: make([]float32, 16)}
	huge := int64(1) << 40
	// The check sees the sizes that stand in the file: these come out of a node.
	hidden := func(name string) *onnxpb.NodeProto { return nodeOf("Identity", in(name), in("hidden")) }
	for name, test := range map[string]struct {
		model *onnx.Model
		want  string
	}{
		"a cycle": {graphOf(t, 13, small, nil, nodeOf("Add", in("x", "y"), in("a")),
			nodeOf("Relu", in("a"), in("y"))), "cycle"},
		"a constant of 2^40": {graphOf(t, 13, small, map[string]*native.Tensor{"s": int64s(huge)},
			hidden("s"), nodeOf("ConstantOfShape", in("hidden"), in("y"))), "is none"},
		"a constant of 16 GiB": {graphOf(t, 13, small,
			map[string]*native.Tensor{"s": int64s(1<<16, 1<<15, 2)}, hidden("s"),
			nodeOf("ConstantOfShape", in("hidden"), in("y"))), "2^31"},
		"a constant of 2 GiB": {graphOf(t, 13, small, map[string]*native.Tensor{"s": int64s(1 << 29)},
			hidden("s"), nodeOf("ConstantOfShape", in("hidden"), in("y"))), "limit"},
		"padding of 2^30": {graphOf(t, 13, small,
			map[string]*native.Tensor{"p": int64s(0, 0, 1<<30, 0, 0, 0, 0, 0)}, hidden("p"),
			nodeOf("Pad", in("x", "hidden"), in("y"))), "2^31"},
		"a large window": {graphOf(t, 13, small,
			map[string]*native.Tensor{"w": {Shape: []int{1, 1, 1, 1}, Data: []float32{1}}},
			nodeOf("Conv", in("x", "w"), in("y"), graphmaker.Ints("pads", 1<<20, 1<<20, 1<<20, 1<<20))),
			"2^31"},
		"pads that fill the memory": {graphOf(t, 13, small,
			map[string]*native.Tensor{"w": {Shape: []int{1, 1, 1, 1}, Data: []float32{1}}},
			nodeOf("Conv", in("x", "w"), in("y"), graphmaker.Ints("pads", 1<<13, 1<<13, 1<<13, 1<<13))),
			"limit"},
		"an expansion": {graphOf(t, 13, small,
			map[string]*native.Tensor{"s": int64s(1<<15, 1<<10, 4, 4)}, hidden("s"),
			nodeOf("Expand", in("x", "hidden"), in("y"))), "limit"},
		"a shape of -2": {graphOf(t, 13, small, map[string]*native.Tensor{"s": int64s(-2, 8)},
			nodeOf("Reshape", in("x", "s"), in("y"))), "-2"},
		"a reshape that does not fit": {graphOf(t, 13, small,
			map[string]*native.Tensor{"s": int64s(5, -1)}, nodeOf("Identity", in("s"), in("t")),
			nodeOf("Reshape", in("x", "t"), in("y"))), "does not fit"},
		"an index outside": {graphOf(t, 13, small, map[string]*native.Tensor{"i": int64s(4)},
			nodeOf("Gather", in("x", "i"), in("y"), graphmaker.Int("axis", 3))), "index 4"},
		"an axis outside": {graphOf(t, 13, small, map[string]*native.Tensor{"i": int64s(4)},
			nodeOf("Unsqueeze", in("x", "i"), in("a")), nodeOf("Unsqueeze", in("a", "i"), in("b")),
			nodeOf("ReduceMean", in("b"), in("y"), graphmaker.Ints("axes", 6))), "axis 6"},
		"division by zero": {graphOf(t, 13, small, map[string]*native.Tensor{"a": int64s(1),
			"b": int64s(0)}, nodeOf("Div", in("a", "b"), in("y"))), "by zero"},
		"a step of 0": {graphOf(t, 13, small, map[string]*native.Tensor{"a": int64s(0), "b": int64s(1)},
			nodeOf("Slice", in("x", "a", "b", "a", "a"), in("y"))), "step is 0"},
		"dequantized to float16": {graphOf(t, 23, small, map[string]*native.Tensor{"s": scalar(1)},
			nodeOf("QuantizeLinear", in("x", "s"), in("q")), nodeOf("Identity", in("q"), in("i")),
			nodeOf("DequantizeLinear", in("i", "s"), in("y"),
				graphmaker.Int("output_dtype", int64(onnxpb.TensorProto_FLOAT16)))), "output_dtype = 10"},
		"quantized and dequantized to float16": {graphOf(t, 23, small,
			map[string]*native.Tensor{"s": scalar(1), "z": {Shape: []int{}, Data: []uint8{1}}},
			nodeOf("QuantizeLinear", in("x", "s", "z"), in("q")),
			nodeOf("DequantizeLinear", in("q", "s", "z"), in("y"),
				graphmaker.Int("output_dtype", int64(onnxpb.TensorProto_FLOAT16)))),
			"output_dtype = 10"},
		"pads left out": {graphOf(t, 10, small, nil, nodeOf("Pad", in("x", ""), in("y"),
			graphmaker.Ints("pads", 0, 0, 1, 1, 0, 0, -9, 0))), "crop more"},
		"shapes that do not broadcast": {graphOf(t, 13, small,
			map[string]*native.Tensor{"s": int64s(16, 1), "w": {Shape: []int{3}, Data: make([]float32, 3)}},
			nodeOf("Identity", in("s"), in("t")), nodeOf("Reshape", in("x", "t"), in("a")),
			nodeOf("Transpose", in("a"), in("b")), nodeOf("Add", in("b", "w"), in("y"))), "broadcast"},
		"an unknown operator": {graphOf(t, 13, small, nil, nodeOf("Hardmax", in("x"), in("y"))),
			"node 0 (Hardmax)"},
		"an unknown attribute": {graphOf(t, 13, small, nil,
			nodeOf("Sin", in("x"), in("y"), graphmaker.Int("speed", 1))), "node 0 (Sin): attribute speed"},
		"an old opset": {graphOf(t, 6, small, nil, nodeOf("Add", in("x", "x"), in("y"))),
			"opset 7"},
		"a strange domain": {foreign(graphOf(t, 13, small, nil, nodeOf("Relu", in("x"), in("y")))),
			"domain"},
	} {
		t.Run(name, func(t *testing.T) {
			const limit = 256 << 20
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := func() error {
				e, err := native.New(t.Context(), test.model, native.Options{Threads: 2, MemoryLimit: limit})
				if err != nil {
					return err
				}
				defer e.Close()
				_, err = e.Run(t.Context(), map[string]*native.Tensor{"x": small})
				return err
			}()
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want an error with %q", err, test.want)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 2*limit {
				t.Errorf("%d MiB were allocated, the limit is %d", grown>>20, limit>>20)
			}
		})
	}
}

func foreign(model *onnx.Model) *onnx.Model {
	model.Proto.Graph.Node[0].Domain = proto.String("com.example")
	model.Proto.OpsetImport = append(model.Proto.OpsetImport,
		&onnxpb.OperatorSetIdProto{Domain: proto.String("com.example"), Version: proto.Int64(1)})
	return model
}

func TestWrongInputs(t *testing.T) {
	x := &native.Tensor{Shape: []int{1, 1, 4, 4}, Data: make([]float32, 16)}
	e, err := native.New(t.Context(), graphOf(t, 13, x, nil, nodeOf("Relu", in("x"), in("y"))),
		native.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for want, given := range map[string]map[string]*native.Tensor{
		"is missing":        {},
		"has no input":      {"x": x, "z": x},
		"wrong input shape": {"x": {Shape: []int{1, 1, 2, 8}, Data: x.Data}},
		"takes float":       {"x": {Shape: x.Shape, Data: make([]float64, 16)}},
		"needs 16 elements": {"x": {Shape: x.Shape, Data: make([]float32, 15)}},
		"not a slice":       {"x": {Shape: x.Shape, Data: "text"}},
	} {
		if _, err := e.Run(t.Context(), given); err == nil || !strings.Contains(err.Error(), want) ||
			errors.Is(err, native.ErrUnsupported) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}

// TestWindowsBeyondTheInput: a pooling looks at what lies inside the input, however
// long the kernel is said to be.
func TestWindowsBeyondTheInput(t *testing.T) {
	x := &native.Tensor{Shape: []int{1, 1, 2, 3}, Data: []float32{1, 2, 3, 4, 5, 9}}
	for operator, want := range map[string]float32{"MaxPool": 9, "AveragePool": 4} {
		t.Run(operator, func(t *testing.T) {
			model := graphOf(t, 13, x, nil,
				nodeOf(operator, in("x"), in("y"), graphmaker.Ints("kernel_shape", math.MaxInt32,
					math.MaxInt32), graphmaker.Text("auto_pad", "SAME_UPPER")))
			got, err := inNative(t, model, tensors{x})
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range got[0].Data.([]float32) {
				if v != want {
					t.Errorf("output %d is %g, want %g: every window holds the whole input", i, v, want)
				}
			}
		})
	}
}

// TestSliceByTheLeastStep: the least integer has no opposite.
func TestSliceByTheLeastStep(t *testing.T) {
	x := &native.Tensor{Shape: []int{5}, Data: []float32{1, 2, 3, 4, 5}}
	for _, step := range []int64{math.MinInt64, math.MinInt64 + 1, math.MinInt32, -5, -4, -2} {
		weights := map[string]*native.Tensor{"from": int64s(-1), "to": int64s(math.MinInt64),
			"axis": int64s(0), "step": int64s(step)}
		got, err := inNative(t,
			graphOf(t, 13, x, weights, nodeOf("Slice", in("x", "from", "to", "axis", "step"), in("y"))),
			tensors{x})
		if err != nil {
			t.Fatal(err)
		}
		want := map[int64][]float32{-4: {5, 1}, -2: {5, 3, 1}}[step]
		if want == nil {
			want = []float32{5}
		}
		if values := got[0].Data.([]float32); !slices.Equal(values, want) {
			t.Errorf("step %d gives %v, want %v", step, values, want)
		}
	}
}

// TestPlansOfPaddedInputs runs one model on two sizes. Padded unevenly, the shorter is
// as long as the longer, whose plan pads by itself: each has a plan of its own.
func TestPlansOfPaddedInputs(t *testing.T) {
	r := random{newSource(12)}
	short, long := r.tensor(1, 2, 4), r.tensor(1, 2, 7)
	weights := map[string]*native.Tensor{"w": r.tensor(3, 2, 3), "b": r.tensor(3)}
	model := graphOf(t, 13, short, weights, nodeOf("Conv", in("x", "w", "b"), in("y"),
		graphmaker.Ints("strides", 4), graphmaker.Ints("pads", 1, 2)))
	model.Proto.Graph.Input = []*onnxpb.ValueInfoProto{value("x", onnxpb.TensorProto_FLOAT, nil)}
	e, err := native.New(t.Context(), model, native.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, x := range []*native.Tensor{short, long, short} {
		want, err := inNative(t, model, tensors{x})
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Run(t.Context(), map[string]*native.Tensor{"x": x})
		if err != nil {
			t.Fatal(err)
		}
		requireSame(t, got[0], want[0], 0)
	}
}

// TestLongPoolingsEndWithTheirContext: here 7·10¹⁰ elements are in windows.
func TestLongPoolingsEndWithTheirContext(t *testing.T) {
	x := random{newSource(8)}.tensor(1, 1, 512, 512)
	for _, operator := range []string{"MaxPool", "AveragePool"} {
		t.Run(operator, func(t *testing.T) {
			model := graphOf(t, 13, x, nil,
				nodeOf(operator, in("x"), in("y"), graphmaker.Ints("kernel_shape", math.MaxInt32,
					math.MaxInt32), graphmaker.Text("auto_pad", "SAME_UPPER")))
			requireEndsWithContext(t, model, x)
		})
	}
}

// A run ends soon after its context, also inside of a long node: here a dilated
// convolution of 6·10¹⁰ products, which would take a minute.
func TestRunEndsWithItsContext(t *testing.T) {
	r := random{newSource(8)}
	x := r.tensor(1, 64, 160, 160)
	weights := map[string]*native.Tensor{"w": r.tensor(512, 64, 9, 9)}
	model := graphOf(t, 13, x, weights, nodeOf("Conv", in("x", "w"), in("y"),
		graphmaker.Ints("dilations", 2, 2), graphmaker.Ints("pads", 8, 8, 8, 8)))
	requireEndsWithContext(t, model, x)
}

func requireEndsWithContext(t *testing.T, model *onnx.Model, x *native.Tensor) {
	t.Helper()
	e, err := native.New(t.Context(), model, native.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := cputime.Used()
	_, err = e.Run(ctx, map[string]*native.Tensor{"x": x})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the context's error", err)
	}
	// One plane of one filter takes a few ms.
	if took := cputime.Used() - start; took > 5*time.Second {
		t.Errorf("it took %v to end", took)
	}
}
