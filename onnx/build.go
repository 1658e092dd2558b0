package onnx

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"slipway/onnx/onnxpb"
)

// names are those taken in a graph, of values and of nodes.
type names map[string]bool

func namesOf(graph *onnxpb.GraphProto) names {
	taken := make(names)
	for _, node := range graph.GetNode() {
		taken[node.GetName()] = true
		for _, output := range node.GetOutput() {
			taken[output] = true
		}
	}
	for _, input := range graph.GetInput() {
		taken[input.GetName()] = true
	}
	for _, tensor := range graph.GetInitializer() {
		taken[tensor.GetName()] = true
	}
	for _, sparse := range graph.GetSparseInitializer() {
		taken[sparse.GetValues().GetName()] = true
	}
	return taken
}

// fresh takes the name, or the first of name.2, name.3, … that is free.
func (n names) fresh(name string) string {
	free := name
	for i := 2; n[free]; i++ {
		free = fmt.Sprintf("%s.%d", name, i)
	}
	n[free] = true
	return free
}

// rawTensor makes a tensor of little-endian bytes.
func rawTensor(name string, elementType onnxpb.TensorProto_DataType, dims []int64,
	raw []byte) *onnxpb.TensorProto {
	return &onnxpb.TensorProto{
		Name: proto.String(name), DataType: proto.Int32(int32(elementType)),
		Dims: append([]int64(nil), dims...), RawData: raw,
	}
}
