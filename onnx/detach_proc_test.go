package onnx

import (
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/onnxpb"
)

// TestDetachNeedsTheOpenFile: where the open file has no path of its own, a model keeps its
// weights: by its name another file might be read, which Unchanged would not see.
func TestDetachNeedsTheOpenFile(t *testing.T) {
	made := &Model{Proto: &onnxpb.ModelProto{IrVersion: proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(18)}},
		Graph: &onnxpb.GraphProto{Name: proto.String("weights"),
			Initializer: []*onnxpb.TensorProto{{Name: proto.String("w"), Dims: []int64{detachedBytes},
				RawData:  make([]byte, detachedBytes),
				DataType: proto.Int32(int32(onnxpb.TensorProto_UINT8))}}}}}
	path := filepath.Join(t.TempDir(), "large.onnx")
	if err := made.Write(path); err != nil {
		t.Fatal(err)
	}
	model, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if file, err := model.detach(filepath.Join(t.TempDir(), "missing")); file != nil || err != nil {
		t.Errorf("detached without /proc: %v, %v", file, err)
	}
	if _, err := model.Content(); err != nil {
		t.Error(err)
	}
}
