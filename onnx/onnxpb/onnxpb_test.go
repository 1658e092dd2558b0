package onnxpb_test

import (
	"testing"

	onnxgo "github.com/owulveryck/onnx-go"
	"github.com/owulveryck/onnx-go/backend/simple"
	"google.golang.org/protobuf/reflect/protoregistry"

	"slipway/onnx/onnxpb"
)

// onnx-go registers a protobuf package called onnx. Were these types in one
// called so too, this test's binary would panic before it began.
func TestLinksBesideOnnxGo(t *testing.T) {
	if name := (&onnxpb.ModelProto{}).ProtoReflect().Descriptor().
		FullName(); name != "slipway.onnx.ModelProto" {
		t.Errorf("the message is called %s", name)
	}
	if _, err := protoregistry.GlobalFiles.FindFileByPath(
		"slipway/onnx/onnxpb/onnx.proto"); err != nil {
		t.Error(err)
	}
	if onnxgo.NewModel(simple.NewSimpleGraph()) == nil {
		t.Error("onnx-go makes no model")
	}
}
