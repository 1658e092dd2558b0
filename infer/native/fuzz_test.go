package native_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"slipway/infer/native"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// FuzzEvaluator looks for models that make the evaluator panic, or use more memory
// or time than it may. Run it with -fuzzminimizetime 10x: minimizing takes most of
// the time otherwise.
func FuzzEvaluator(f *testing.F) {
	for _, pattern := range []string{"../testdata/*.onnx",
		"../../onnx/convert/testdata/exports/*/model.onnx"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			f.Fatalf("no seeds in %s (%v)", pattern, err)
		}
		for _, path := range paths {
			model, err := onnx.Read(path)
			if err != nil {
				continue // those that are no models are the decoder's tests
			}
			data, err := onnx.Encode(model)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	r := random{newSource(9)}
	for i, c := range operatorCases(r) {
		// Each operator several times; all would make the first round long.
		if i%3 != 0 {
			continue
		}
		data, err := onnx.Encode(c.model(f))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		model, err := onnx.Decode(data)
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		// One thread: a panic in a thread of the pool cannot be told from others.
		e, err := native.New(ctx, model, native.Options{Threads: 1, MemoryLimit: 64 << 20})
		if err != nil {
			return
		}
		defer e.Close()
		given := make(map[string]*native.Tensor)
		for _, port := range e.Inputs() {
			x, ok := zeros(port)
			if !ok {
				return
			}
			given[port.Name] = x
		}
		for range 2 {
			outputs, err := e.Run(ctx, given)
			if err == nil && len(outputs) != len(e.Outputs()) {
				t.Errorf("%d outputs, want %d", len(outputs), len(e.Outputs()))
			}
			if err != nil && !errors.Is(err, native.ErrUnsupported) && ctx.Err() == nil {
				t.Errorf("the input is as the model says, but: %v", err)
			}
		}
	})
}

// zeros makes an input for a port, with 2 for what is open, if it is small.
func zeros(port native.Port) (*native.Tensor, bool) {
	x, n := &native.Tensor{Shape: []int{}}, 1
	for _, d := range port.Shape {
		if d < 0 {
			d = 2
		}
		x.Shape = append(x.Shape, d)
		if d > 1<<16 || n*d > 1<<16 {
			return nil, false
		}
		n *= d
	}
	switch port.Type {
	case onnxpb.TensorProto_FLOAT:
		x.Data = make([]float32, n)
	case onnxpb.TensorProto_INT64:
		x.Data = make([]int64, n)
	case onnxpb.TensorProto_UINT8:
		x.Data = make([]uint8, n)
	default:
		return nil, false
	}
	return x, true
}
