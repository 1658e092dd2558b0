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

	"slipway/infer/native"
	"slipway/internal/cputime"
	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

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
