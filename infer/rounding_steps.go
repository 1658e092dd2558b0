package infer

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// stepShift is by how much the scales of a quantized graph are enlarged to see what a
// value does that moves over the edge of a step: shiftedRoundings units in the last
// place of a float32, 2⁻²³. Rounding itself, of a unit or a few, moves one value in a hundred
// images over an edge; so many more do it in a few hundred images often enough to
// be measured, and seldom enough to come alone.
const (
	stepShift        = shiftedRoundings * 0x1p-23
	shiftedRoundings = 64
)

// withShiftedSteps returns a copy of a model in which every value that is rounded to
// integers is divided by a scale that is larger by stepShift, nil where the model
// rounds nothing to integers by a constant scale. What the integers stand for
// stays as it is.
func withShiftedSteps(model *onnx.Model) (*onnx.Model, error) {
	graph := model.Proto.GetGraph()
	constants := make(map[string]*onnxpb.TensorProto)
	for _, tensor := range graph.GetInitializer() {
		constants[tensor.GetName()] = tensor
	}
	scaleOf := func(node *onnxpb.NodeProto) (input int, tensor *onnxpb.TensorProto) {
		switch node.GetOpType() {
		case "QuantizeLinear":
			input = 1
		case "QLinearConv", "QLinearMatMul":
			input = 6
		default:
			return 0, nil
		}
		if len(node.GetInput()) > input {
			tensor = constants[node.GetInput()[input]]
		}
		return input, tensor
	}
	var shifted *onnx.Model
	for i, node := range graph.GetNode() {
		input, scale := scaleOf(node)
		if scale == nil || onnxpb.TensorProto_DataType(scale.GetDataType()) != onnxpb.TensorProto_FLOAT {
			continue
		}
		values, err := onnx.Floats(scale)
		if err != nil {
			return nil, err
		}
		for k := range values {
			values[k] *= 1 + stepShift
		}
		if shifted == nil {
			shifted = &onnx.Model{Proto: proto.CloneOf(model.Proto)}
		}
		name := fmt.Sprintf("shifted scale of node %d", i)
		tensor, err := onnx.FloatTensor(name, scale.GetDims(), values)
		if err != nil {
			return nil, err
		}
		part := shifted.Proto.Graph
		part.Initializer = append(part.Initializer, tensor)
		part.Node[i].Input[input] = name
	}
	return shifted, nil
}
