package onnx_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// largeFile writes a model of some 69 MB, most of it one tensor.
func largeFile(t *testing.T) string {
	t.Helper()
	weights := make([]byte, 4*4096*4200)
	for i := range weights {
		weights[i] = byte(i % 61)
	}
	model := graphmaker.New(graphmaker.Free, 4096).Tensor(&onnxpb.TensorProto{
		Name: proto.String("w"), Dims: []int64{4096, 4200}, RawData: weights,
		DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT))}).Weight("v", -1, 1, 4200).
		Node("h = MatMul x w").Node("y = Add h v").Model()
	content, err := onnx.Encode(model)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "large.onnx")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// openLarge opens a model whose weights are left in its file.
func openLarge(t *testing.T) (*onnx.Model, string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("weights are left in a file on Linux alone")
	}
	path := largeFile(t)
	model, err := onnx.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if model.Left() == nil {
		t.Fatal("its weights are held")
	}
	t.Cleanup(func() { _ = model.Close() })
	return model, path
}

// TestOpenLeavesWeights: such a model has its graph and its small tensors, and none of what needs
// its weights, before Load brings them: then it is what Read reads.
func TestOpenLeavesWeights(t *testing.T) {
	model, path := openLarge(t)
	graph := model.Proto.Graph
	if raw := graph.Initializer[0].RawData; raw != nil {
		t.Errorf("%d bytes of weights are held", len(raw))
	}
	if len(graph.Initializer[1].RawData)+len(graph.Initializer[1].FloatData) == 0 {
		t.Error("a small tensor is not there")
	}
	if len(model.Outputs()) != 1 || graph.Initializer[0].Dims[1] != 4200 {
		t.Error("the graph is not what it was")
	}
	_, err := onnx.Encode(model)
	_, contentErr := model.Content()
	_, extractErr := onnx.Extract(model, []string{"y"})
	for what, err := range map[string]error{"Check": model.Check(), "Encode": err,
		"Content": contentErr, "Extract": extractErr} {
		if err == nil || !strings.Contains(err.Error(), "its weights were left in the file") {
			t.Errorf("%s: %v", what, err)
		}
	}

	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	weights := model.Left().Weights()
	if len(weights) != 1 || weights[0].Name != "w" || weights[0].Length != 4*4096*4200 {
		t.Fatalf("left are %+v", weights)
	}
	begin := weights[0].Offset
	for i, value := range content[begin : begin+weights[0].Length] {
		if value != byte(i%61) {
			t.Fatalf("byte %d of the weights is %d", i, value)
		}
	}
	if err := model.Load(); err != nil {
		t.Fatal(err)
	}
	again, err := model.Content()
	if err != nil || string(again) != string(content) {
		t.Errorf("loaded, it is not the file: %v", err)
	}
	err = errors.Join(model.Check(), model.Load(), model.Close())
	if err != nil || model.Left() != nil {
		t.Errorf("loaded: %v", err)
	}
}

// TestEncodeReferring: with external data in the place of its weights, the model is the same one.
func TestEncodeReferring(t *testing.T) {
	model, path := openLarge(t)
	content, err := model.EncodeReferring(filepath.Base(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(content) > 100<<10 {
		t.Errorf("it takes %d bytes", len(content))
	}
	referring := filepath.Join(filepath.Dir(path), "referring.onnx")
	if err := os.WriteFile(referring, content, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := onnx.Read(referring)
	if err != nil {
		t.Fatal(err)
	}
	want, err := onnx.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got.Proto, want.Proto) {
		t.Error("it is another model")
	}
	if small, err := onnx.Open("../graphs/e1.onnx"); err != nil {
		t.Error(err)
	} else if content, err := small.EncodeReferring("e1.onnx"); err != nil || len(content) < 1<<10 {
		t.Errorf("of a model that has all: %d bytes, %v", len(content), err)
	}
}

// TestLeftFileIsWatched: it is told from another one of its name, and what was written to it since
// is seen, be it the same bytes.
func TestLeftFileIsWatched(t *testing.T) {
	model, path := openLarge(t)
	file := model.Left()
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := file.Unchanged(); err != nil {
		t.Errorf("a file of the same name: %v", err)
	}
	path += ".old"
	info, err := os.Stat(path)
	if err != nil || info.Size() != file.Size() {
		t.Fatal(info, err)
	}
	writer, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	at := file.Weights()[0].Offset + file.Weights()[0].Length/2
	old := make([]byte, 2)
	if _, err := writer.ReadAt(old, at); err != nil {
		t.Fatal(err)
	}
	write := func(bytes []byte) {
		t.Helper()
		if _, err := writer.WriteAt(bytes, at); err != nil {
			t.Fatal(err)
		}
	}
	changed := func(what string) {
		t.Helper()
		if err := file.Unchanged(); !errors.Is(err, onnx.ErrChanged) ||
			!strings.Contains(err.Error(), "large.onnx") {
			t.Errorf("%s: %v", what, err)
		}
	}
	write(old)
	changed("the same bytes, written anew")
	write([]byte{200, 201})
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	changed("other bytes with the old time")
	if err := model.Load(); !errors.Is(err, onnx.ErrChanged) || model.Left() == nil {
		t.Errorf("other bytes are loaded: %v", err)
	}
	write(old)
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := file.Unchanged(); err != nil {
		t.Errorf("the bytes and the time that it had: %v", err)
	}
	if err := writer.Truncate(1 << 20); err != nil {
		t.Fatal(err)
	}
	changed("cut")
	if err := model.Load(); !errors.Is(err, onnx.ErrChanged) {
		t.Errorf("a file that was cut is loaded: %v", err)
	}
}

// TestOpenHoldsOthers: small models, those of external data and those whose weights are no raw data
// of the graph are as of Read, and what is none has its errors.
func TestOpenHoldsOthers(t *testing.T) {
	dir := t.TempDir()
	path := largeFile(t)
	model, err := onnx.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := model.Write(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	floats := model.Proto.Graph.Initializer[0]
	raw := floats.RawData
	floats.RawData, floats.FloatData = nil, make([]float32, len(raw)/4)
	held := map[string]string{"small": "../graphs/e1.onnx", "float_data": write("floats.onnx")}
	floats.RawData, floats.FloatData = raw, nil
	for name, path := range held {
		model, err := onnx.Open(path)
		if err != nil || model.Left() != nil || model.Check() != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	floats.Dims[0]--
	cut := filepath.Join(dir, "cut.onnx")
	if err := os.WriteFile(cut, mustRead(t, path)[:65<<20], 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"unsound": write("unsound.onnx"), "cut": cut,
		"missing": filepath.Join(dir, "missing.onnx"), "folder": dir} {
		_, err := onnx.Open(path)
		want := readError(path)
		if err == nil || want == nil || err.Error() != want.Error() {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

// readError is what Read or Check say of a file.
func readError(path string) error {
	model, err := onnx.Read(path)
	if err != nil {
		return err
	}
	return model.Check()
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
