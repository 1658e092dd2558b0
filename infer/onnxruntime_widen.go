//go:build cgo

package infer

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/onnxpb"
)

// widenOutputs lets a graph give its outputs of 16-bit floats as float32, which holds
// them exactly, and returns the outputs' names then. The binding of onnxruntime has no
// Go type for them, and copies half of an output that it allocates itself.
func widenOutputs(graph *onnxpb.GraphProto) []string {
	names := make([]string, len(graph.GetOutput()))
	for i, output := range graph.GetOutput() {
		names[i] = output.GetName()
		switch onnxpb.TensorProto_DataType(output.GetType().GetTensorType().GetElemType()) {
		case onnxpb.TensorProto_FLOAT16, onnxpb.TensorProto_BFLOAT16:
		default:
			continue
		}
		// The suffix makes the name one that no exporter gives.
		names[i] = fmt.Sprintf("%s/widened for slipway", output.GetName())
		graph.Node = append(graph.Node, &onnxpb.NodeProto{
			OpType: proto.String("Cast"), Input: []string{output.GetName()}, Output: []string{names[i]},
			Attribute: []*onnxpb.AttributeProto{{Name: proto.String("to"),
				Type: onnxpb.AttributeProto_INT.Enum(), I: proto.Int64(int64(onnxpb.TensorProto_FLOAT))}},
		})
		output.Name = proto.String(names[i])
		output.Type.GetTensorType().ElemType = proto.Int32(int32(onnxpb.TensorProto_FLOAT))
	}
	return names
}
