package onnx

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/onnxpb"
)

// TestCutWhileItIsDecoded: a file that is cut once it was summed, and before it is decoded, is an
// error and no signal that ends the process.
func TestCutWhileItIsDecoded(t *testing.T) {
	made := &Model{Proto: &onnxpb.ModelProto{IrVersion: proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(18)}},
		Graph: &onnxpb.GraphProto{Name: proto.String("weights"),
			Initializer: []*onnxpb.TensorProto{{Name: proto.String("w"), Dims: []int64{leftBytes},
				RawData:  make([]byte, leftBytes),
				DataType: proto.Int32(int32(onnxpb.TensorProto_UINT8))}}}}}
	path := filepath.Join(t.TempDir(), "large.onnx")
	if err := made.Write(path); err != nil {
		t.Fatal(err)
	}
	file, err := openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if model, err := file.model(path); model != nil || !errors.Is(err, ErrChanged) {
		t.Errorf("%v, %v", model, err)
	}
}
