//go:build cgo

package infer

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// rawWeight is a tensor of numbers between -0.5 and 0.5 as raw data.
func rawWeight(name string, dims ...int64) *onnxpb.TensorProto {
	elements := int64(1)
	for _, dim := range dims {
		elements *= dim
	}
	weights := make([]byte, 4*elements)
	for i := range elements {
		binary.LittleEndian.PutUint32(weights[4*i:], math.Float32bits(float32(i%61)/61-0.5))
	}
	return &onnxpb.TensorProto{Name: proto.String(name), Dims: dims, RawData: weights,
		DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT))}
}

// leftFile writes a model whose weights are left in the file, of which onnxruntime packs one, w, and
// uses another, c, as it is.
func leftFile(t *testing.T) string {
	t.Helper()
	graph := graphmaker.New(graphmaker.Free, 1, 64, 64).Integers("flat", 0, -1).
		Integers("first", 0).Tensor(rawWeight("w", 4096, 4200)).Tensor(rawWeight("c", 8, 1, 4200)).
		Weight("v", -1, 1, 4200, 10).Node("f = Reshape x flat").Node("m = MatMul f w").
		Node("u = Unsqueeze m first").Node("a = Mul u c").
		Node("h = ReduceSum a first", graphmaker.Int("keepdims", 0)).Node("y = MatMul h v").Model()
	path := filepath.Join(t.TempDir(), "large.onnx")
	if err := graph.Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// openLeft opens a model whose weights are left in its file.
func openLeft(t *testing.T, path string) *onnx.Model {
	t.Helper()
	needLibrary(t)
	if runtime.GOOS != "linux" {
		t.Skip("weights are left in a file on Linux alone")
	}
	model, err := OpenModel(path)
	if err != nil {
		t.Fatal(err)
	}
	if model.Left() == nil {
		t.Fatal("its weights are held")
	}
	t.Cleanup(func() { _ = model.Close() })
	return model
}

// scoresOf runs a model on two pictures.
func scoresOf(t *testing.T, r Runtime) []float32 {
	t.Helper()
	batch := Batch{N: 2, C: 1, H: 64, W: 64, Pixels: make([]float32, 2*64*64)}
	for i := range batch.Pixels {
		batch.Pixels[i] = float32(i%7) - 3
	}
	logits, err := r.Run(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	return logits.Values
}

// TestONNXRuntimeTakesWeightsFromTheFile: they give the answers that a model gives that holds its
// weights, in every session of the model, also when the file has another name.
func TestONNXRuntimeTakesWeightsFromTheFile(t *testing.T) {
	path := leftFile(t)
	left := openLeft(t, path)
	whole, err := LoadModel(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, unoptimized := range []bool{false, true} {
		options := ONNXRuntimeOptions{Device: DeviceCPU, Unoptimized: unoptimized}
		held, err := OpenONNXRuntime(t.Context(), whole, options)
		if err != nil {
			t.Fatal(err)
		}
		defer held.Close()
		lent, err := OpenONNXRuntime(t.Context(), left, options)
		if err != nil {
			t.Fatal(err)
		}
		defer lent.Close()
		if left.Left() == nil {
			t.Error("the weights were loaded")
		}
		want, got := scoresOf(t, held), scoresOf(t, lent)
		if !slices.Equal(want, got) {
			t.Errorf("unoptimized %v: %v, want %v", unoptimized, got, want)
		}
		if !unoptimized {
			if err := os.Rename(path, path+".old"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestWeightsInPlace: what onnxruntime does not pack it reads in the file for as long as it computes.
// The answers are refused once the file was written to, and a file that was cut ends no process.
func TestWeightsInPlace(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"written": func(path string) error {
			file, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = file.WriteAt([]byte{1}, 40<<20)
			return errors.Join(err, file.Close())
		},
		"cut": func(path string) error { return os.Truncate(path, 1<<20) },
	} {
		t.Run(name, func(t *testing.T) {
			weight := rawWeight("w", 4096, 2100)
			weight.DataType = proto.Int32(int32(onnxpb.TensorProto_DOUBLE))
			weight.RawData = make([]byte, 8*4096*2100)
			for i := range 4096 * 2100 {
				binary.LittleEndian.PutUint64(weight.RawData[8*i:], math.Float64bits(float64(i%7)))
			}
			path := filepath.Join(t.TempDir(), "double.onnx")
			if err := graphmaker.New(graphmaker.Free, 1, 64, 64).Integers("flat", 0, -1).
				Tensor(weight).Node("f = Reshape x flat").
				Node("d = Cast f", graphmaker.Int("to", int64(onnxpb.TensorProto_DOUBLE))).
				Node("m = MatMul d w").
				Node("y = Cast m", graphmaker.Int("to", int64(onnxpb.TensorProto_FLOAT))).
				Model().Write(path); err != nil {
				t.Fatal(err)
			}
			r, err := OpenONNXRuntime(t.Context(), openLeft(t, path),
				ONNXRuntimeOptions{Device: DeviceCPU})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			scoresOf(t, r)
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			batch := Batch{N: 1, C: 1, H: 64, W: 64, Pixels: make([]float32, 64*64)}
			if _, err := r.Run(t.Context(), batch); !errors.Is(err, onnx.ErrChanged) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestWeightsThatAreComputedWith: where onnxruntime makes other weights of those that were left, by
// merging a BatchNormalization or a Transpose into a product, the answers are the same.
func TestWeightsThatAreComputedWith(t *testing.T) {
	graph := graphmaker.New(graphmaker.Free, 1, 64, 64).Integers("flat", 0, -1).
		Tensor(rawWeight("w", 4096, 4200)).Tensor(rawWeight("u", 40, 4200)).
		Weight("s", 0.5, 1, 4200).Weight("b", -1, 1, 4200).Weight("n", -1, 1, 4200).
		Weight("r", 1, 2, 4200).Node("f = Reshape x flat").Node("m = MatMul f w").
		Node("h = BatchNormalization m s b n r").
		Node("t = Transpose u", graphmaker.Ints("perm", 1, 0)).Node("y = MatMul h t").Model()
	path := filepath.Join(t.TempDir(), "large.onnx")
	if err := graph.Write(path); err != nil {
		t.Fatal(err)
	}
	left := openLeft(t, path)
	whole, err := LoadModel(path)
	if err != nil {
		t.Fatal(err)
	}
	var scores [2][]float32
	for i, model := range []*onnx.Model{left, whole} {
		r, err := OpenONNXRuntime(t.Context(), model, ONNXRuntimeOptions{Device: DeviceCPU})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		scores[i] = scoresOf(t, r)
	}
	if !slices.Equal(scores[0], scores[1]) {
		t.Error("other answers")
	}
}

// TestNativeLoadsWeights: a runtime that needs the weights loads those that were left.
func TestNativeLoadsWeights(t *testing.T) {
	path := leftFile(t)
	left := openLeft(t, path)
	whole, err := LoadModel(path)
	if err != nil {
		t.Fatal(err)
	}
	var scores [2][]float32
	for i, model := range []*onnx.Model{left, whole} {
		r, err := OpenNative(t.Context(), model, NativeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		scores[i] = scoresOf(t, r)
	}
	if left.Left() != nil || !slices.Equal(scores[0], scores[1]) {
		t.Errorf("%v, want %v", scores[0], scores[1])
	}
}

// TestRuntimesOfAModel: one that loads the weights leaves the file to one that takes them from there.
func TestRuntimesOfAModel(t *testing.T) {
	model := openLeft(t, leftFile(t))
	lent, err := OpenONNXRuntime(t.Context(), model, ONNXRuntimeOptions{Device: DeviceCPU})
	if err != nil {
		t.Fatal(err)
	}
	defer lent.Close()
	want := scoresOf(t, lent)
	native, err := OpenNative(t.Context(), model, NativeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer native.Close()
	if got := scoresOf(t, lent); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestWeightsThatChange: a file that is not what it was when the model was checked is refused. One
// that was cut has no bytes where weights were, and ends no process.
func TestWeightsThatChange(t *testing.T) {
	for name, change := range map[string]func(path string, content []byte) error{
		"a weight": func(path string, content []byte) error {
			content[len(content)/2]++
			return os.WriteFile(path, content, 0o600)
		},
		"cut":   func(path string, _ []byte) error { return os.Truncate(path, 1<<20) },
		"empty": func(path string, _ []byte) error { return os.Truncate(path, 0) },
		"written anew": func(path string, content []byte) error {
			return os.WriteFile(path, content, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := leftFile(t)
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			model := openLeft(t, path)
			if err := change(path, content); err != nil {
				t.Fatal(err)
			}
			r, err := OpenONNXRuntime(t.Context(), model, ONNXRuntimeOptions{Device: DeviceCPU})
			if !errors.Is(err, onnx.ErrChanged) {
				if err == nil {
					_ = r.Close()
				}
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestRefusedWithoutItsWeights: of a model that onnxruntime refuses it says the same as of one that
// holds its weights.
func TestRefusedWithoutItsWeights(t *testing.T) {
	path := leftFile(t)
	whole, err := LoadModel(path)
	if err != nil {
		t.Fatal(err)
	}
	node := whole.Proto.Graph.Node[0]
	node.OpType, node.Domain = proto.String("Unheard"), proto.String("nobody")
	whole.Proto.OpsetImport = append(whole.Proto.OpsetImport,
		&onnxpb.OperatorSetIdProto{Domain: proto.String("nobody"), Version: proto.Int64(1)})
	if err := whole.Write(path); err != nil {
		t.Fatal(err)
	}
	left := openLeft(t, path)
	if whole, err = LoadModel(path); err != nil {
		t.Fatal(err)
	}
	var refusals [2]string
	for i, model := range []*onnx.Model{left, whole} {
		if _, err := OpenONNXRuntime(t.Context(), model,
			ONNXRuntimeOptions{Device: DeviceCPU}); err != nil {
			refusals[i] = err.Error()
		}
	}
	if refusals[0] == "" || refusals[0] != refusals[1] {
		t.Errorf("%q, want %q", refusals[0], refusals[1])
	}
}
