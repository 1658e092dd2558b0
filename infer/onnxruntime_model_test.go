//go:build cgo

package infer

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// TestONNXRuntimeReadsTheFile: of a large model that nobody else needs, onnxruntime reads the file,
// with the same answers; a file that is another one meanwhile is refused.
func TestONNXRuntimeReadsTheFile(t *testing.T) {
	needLibrary(t)
	weights := make([]byte, 4*4096*4200)
	for i := range 4096 * 4200 {
		binary.LittleEndian.PutUint32(weights[4*i:], math.Float32bits(float32(i%61)/61-0.5))
	}
	graph := graphmaker.New(graphmaker.Free, 1, 64, 64).Integers("flat", 0, -1).
		Tensor(&onnxpb.TensorProto{Name: proto.String("w"), Dims: []int64{4096, 4200},
			RawData: weights, DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT))}).
		Weight("v", -1, 1, 4200, 10).Node("f = Reshape x flat").
		Node("h = MatMul f w").Node("y = MatMul h v").Model()
	content, err := onnx.Encode(graph)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "large.onnx")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	batch := Batch{N: 2, C: 1, H: 64, W: 64, Pixels: make([]float32, 2*64*64)}
	for i := range batch.Pixels {
		batch.Pixels[i] = float32(i%7) - 3
	}
	var scores [2][]float32
	for i, detach := range []bool{false, true} {
		model, err := LoadModel(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := OpenONNXRuntime(t.Context(), model, ONNXRuntimeOptions{Device: DeviceCPU,
			Detach: detach})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if detached := model.Check() != nil; detached != detach {
			t.Errorf("the model is detached: %v, want %v", detached, detach)
		}
		logits, err := r.Run(context.Background(), batch)
		if err != nil {
			t.Fatal(err)
		}
		scores[i] = logits.Values
	}
	if !slices.Equal(scores[0], scores[1]) {
		t.Error("other answers from the file than from its bytes")
	}

	model, err := LoadModel(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2]++ // a weight
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = OpenONNXRuntime(t.Context(), model, ONNXRuntimeOptions{Device: DeviceCPU, Detach: true})
	if err == nil || !strings.Contains(err.Error(), "was changed while it was read") {
		t.Errorf("a changed file: %v", err)
	}
}
