//go:build cgo

package native_test

import (
	"os"
	"slices"
	"testing"

	ort "github.com/yalue/onnxruntime_go"

	"slipway/infer"
	"slipway/infer/native"
	"slipway/onnx"
)

// startONNXRuntime loads the library for this process.
func startONNXRuntime(t *testing.T) {
	t.Helper()
	if os.Getenv("SLIPWAY_SKIP_ONNXRUNTIME") == "1" {
		t.Skip("SLIPWAY_SKIP_ONNXRUNTIME=1: nothing of onnxruntime is tested")
	}
	library, err := infer.FindLibrary("", false)
	if err != nil {
		t.Fatal(err)
	}
	ort.SetSharedLibraryPath(library.Path)
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ort.DestroyEnvironment(); err != nil {
			t.Error(err)
		}
	})
}

func inONNXRuntime(t *testing.T, model *onnx.Model, inputs []*native.Tensor) ([]*native.Tensor,
	error) {
	t.Helper()
	encoded, err := onnx.Encode(model)
	if err != nil {
		t.Fatal(err)
	}
	var inNames, outNames []string
	for _, in := range model.Proto.GetGraph().GetInput() {
		inNames = append(inNames, in.GetName())
	}
	for _, out := range model.Proto.GetGraph().GetOutput() {
		outNames = append(outNames, out.GetName())
	}
	session, err := ort.NewDynamicAdvancedSessionWithONNXData(encoded, inNames, outNames, nil)
	if err != nil {
		return nil, err
	}
	defer session.Destroy()
	var in []ort.Value
	for _, tensor := range inputs {
		shape := ort.Shape{}
		for _, d := range tensor.Shape {
			shape = append(shape, int64(d))
		}
		var v ort.Value
		switch data := tensor.Data.(type) {
		case []float32:
			v, err = ort.NewTensor(shape, data)
		case []int64:
			v, err = ort.NewTensor(shape, data)
		default:
			t.Fatalf("%T cannot be fed here", data)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer v.Destroy()
		in = append(in, v)
	}
	out := make([]ort.Value, len(outNames))
	if err := session.Run(in, out); err != nil {
		return nil, err
	}
	var results []*native.Tensor
	for _, v := range out {
		defer v.Destroy()
		r := &native.Tensor{}
		for _, d := range v.GetShape() {
			r.Shape = append(r.Shape, int(d))
		}
		switch v := v.(type) {
		case *ort.Tensor[float32]:
			r.Data = slices.Clone(v.GetData())
		case *ort.Tensor[int64]:
			r.Data = slices.Clone(v.GetData())
		default:
			t.Fatalf("onnxruntime answers a %T", v)
		}
		results = append(results, r)
	}
	return results, nil
}
