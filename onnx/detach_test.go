package onnx_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// largeModel writes a model of some 67 MB and reads it.
func largeModel(t *testing.T) (*onnx.Model, string) {
	t.Helper()
	weights := make([]byte, 4*4096*4200)
	for i := range weights {
		weights[i] = byte(i % 61)
	}
	model := graphmaker.New(graphmaker.Free, 4096).Tensor(&onnxpb.TensorProto{
		Name: proto.String("w"), Dims: []int64{4096, 4200}, RawData: weights,
		DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT))}).Node("y = MatMul x w").Model()
	content, err := onnx.Encode(model)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "large.onnx")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if model, err = onnx.Read(path); err != nil {
		t.Fatal(err)
	}
	return model, path
}

// TestDetach: a detached model has its graph and none of its weights; its file is told from another
// one of that name, and from what was written to it meanwhile.
func TestDetach(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip(err) // and no model is detached
	}
	model, path := largeModel(t)
	file, err := model.Detach()
	if err != nil || file == nil {
		t.Fatal(file, err)
	}
	defer file.Close()
	if raw := model.Proto.Graph.Initializer[0].RawData; raw != nil {
		t.Errorf("%d bytes of weights are kept", len(raw))
	}
	if len(model.Outputs()) != 1 || model.Proto.Graph.Initializer[0].Dims[1] != 4200 {
		t.Error("the graph is not what it was")
	}
	_, err = onnx.Encode(model)
	_, contentErr := model.Content()
	_, extractErr := onnx.Extract(model, []string{"y"})
	for what, err := range map[string]error{"Check": model.Check(), "Encode": err,
		"Content": contentErr, "Extract": extractErr} {
		if err == nil || !strings.Contains(err.Error(), "its weights were given up") {
			t.Errorf("%s of a detached model: %v", what, err)
		}
	}
	if again, err := model.Detach(); again != nil || err != nil {
		t.Errorf("detached twice: %v, %v", again, err)
	}

	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := file.Unchanged(); err != nil {
		t.Errorf("a file of the same name: %v", err)
	}
	if info, err := os.Stat(file.Path()); err != nil || info.Size() != file.Size() {
		t.Errorf("%s is not the file: %v", file.Path(), err)
	}
	changed, err := os.OpenFile(path+".old", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer changed.Close()
	if _, err := changed.WriteAt([]byte{1, 2}, file.Size()/2); err != nil {
		t.Fatal(err)
	}
	if err := file.Unchanged(); err == nil || !strings.Contains(err.Error(), "was changed while") {
		t.Errorf("a changed byte: %v", err)
	}
	if err := changed.Truncate(1 << 20); err != nil {
		t.Fatal(err)
	}
	if err := file.Unchanged(); err == nil {
		t.Error("a file that was cut is taken for whole")
	}
}

// TestDetachLeavesOthers: small models, those that are no file's, and those that were changed keep
// their weights.
func TestDetachLeavesOthers(t *testing.T) {
	small, err := onnx.Read("../graphs/e1.onnx")
	if err != nil {
		t.Fatal(err)
	}
	other, _ := largeModel(t)
	other.Proto.Graph.Name = proto.String("other")
	cut, path := largeModel(t)
	if err := os.Truncate(path, 1<<20); err != nil {
		t.Fatal(err)
	}
	for name, model := range map[string]*onnx.Model{"small": small, "changed": other} {
		if file, err := model.Detach(); file != nil || err != nil {
			t.Errorf("%s: %v, %v", name, file, err)
		}
		if err := model.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if file, err := cut.Detach(); file != nil || err == nil || cut.Check() != nil {
		t.Errorf("a file that was cut: %v, %v, %v", file, err, cut.Check())
	}
}
