package infer

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"slipway/infer/port"
	"slipway/internal/onnxgraph"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// onnxGoModel rewrites a model into what onnx-go v0.5.0 computes rightly: the
// image input's shape fixed, one output, attributes that only repeat a default
// and that it refuses left out, ones that it needs filled in. What it computes
// wrongly or not at all is an error.
//
// batch is the batch size for a model that leaves it open. It is at least 2:
// at 1 onnx-go's Gemm writes its result into the bias.
func onnxGoModel(model *onnx.Model, p port.Ports, batch int) (encoded []byte, input []int,
	err error) {
	m := proto.Clone(model.Proto).(*onnxpb.ModelProto)
	graph := m.GetGraph()
	if p.InputType != onnxpb.TensorProto_FLOAT {
		return nil, nil, fmt.Errorf("float32 images are wanted, input %q is %s", p.Input,
			port.ElementName(p.InputType))
	}
	if p.OutputType != onnxpb.TensorProto_FLOAT {
		return nil, nil, fmt.Errorf("float32 scores are wanted, output %q is %s", p.Output,
			port.ElementName(p.OutputType))
	}
	input = slices.Clone(p.InputDims)
	if input[0] < 2 {
		input[0] = batch
	}
	if slices.Contains(input, port.Unknown) {
		return nil, nil, fmt.Errorf("the image size must be in the model, input %q is %s", p.Input,
			port.FormatDims(p.InputDims))
	}
	if input[0] < 2 {
		return nil, nil, fmt.Errorf("a batch of 2 or more is needed, not %d", input[0])
	}

	weights := make(map[string][]int64)
	for _, tensor := range graph.GetInitializer() {
		weights[tensor.GetName()] = tensor.GetDims()
	}
	for i, node := range graph.GetNode() {
		if err := adaptNode(node, weights); err != nil {
			return nil, nil, fmt.Errorf("node %d (%s %q): %w", i, node.GetOpType(), node.GetName(), err)
		}
	}
	graph.ValueInfo = nil // shapes for another batch size
	graph.Input = []*onnxpb.ValueInfoProto{valueInfo(p.Input, input)}
	graph.Output = []*onnxpb.ValueInfoProto{{Name: proto.String(p.Output)}}
	encoded, err = onnx.Encode(&onnx.Model{Proto: m})
	return encoded, input, err
}

func valueInfo(name string, shape []int) *onnxpb.ValueInfoProto {
	dims := make([]*onnxpb.TensorShapeProto_Dimension, len(shape))
	for i, d := range shape {
		dims[i] = &onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: int64(d)}}
	}
	return &onnxpb.ValueInfoProto{
		Name: proto.String(name),
		Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{
			ElemType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)),
			Shape:    &onnxpb.TensorShapeProto{Dim: dims},
		}}},
	}
}

// adaptNode changes a node in place. The list of operators is short on purpose:
// each is compared with the reference by a test. Reshape is not in it: onnx-go
// takes -1 in the shape for what it is not.
func adaptNode(node *onnxpb.NodeProto, weights map[string][]int64) error {
	if onnxgraph.Domain(node.GetDomain()) != "" {
		return fmt.Errorf("operators of domain %q are not supported", node.GetDomain())
	}
	if len(node.GetOutput()) > 1 && node.GetOutput()[1] != "" {
		return fmt.Errorf("a second output is not supported")
	}
	switch node.GetOpType() {
	case "Conv":
		return adaptConv(node, weights)
	case "MaxPool":
		return adaptMaxPool(node)
	case "Gemm":
		return adaptGemm(node, weights)
	case "Flatten", "Softmax":
		// Softmax comes after Gemm here, so the last axis is 1.
		return onlyInts(node, "axis", 1, -1)
	case "Relu", "Identity", "Sigmoid", "Tanh":
		return nil
	}
	return fmt.Errorf(
		"the operator is not among those that onnx-go is trusted with; compare in onnxruntime alone")
}

func adaptConv(node *onnxpb.NodeProto, weights map[string][]int64) error {
	if err := firstError(
		onlyInts(node, "group", 1),
		onlyInts(node, "dilations", 1),
		equalInts(node, "pads"),
		onlyStrings(node, "auto_pad", "", "NOTSET", "VALID"),
	); err != nil {
		return err
	}
	if onnx.Attribute(node, "kernel_shape") == nil {
		dims, known := weights[node.GetInput()[1]]
		if !known || len(dims) != 4 {
			return fmt.Errorf("kernel_shape is missing, and the weight is no 4-dimensional initializer")
		}
		node.Attribute = append(node.Attribute, &onnxpb.AttributeProto{
			Name: proto.String("kernel_shape"),
			Type: onnxpb.AttributeProto_INTS.Enum(),
			Ints: dims[2:],
		})
	}
	return nil
}

func adaptMaxPool(node *onnxpb.NodeProto) error {
	if err := firstError(
		onlyInts(node, "dilations", 1),
		onlyInts(node, "ceil_mode", 0),
		onlyInts(node, "storage_order", 0),
		equalInts(node, "pads"),
		onlyStrings(node, "auto_pad", "", "NOTSET"),
	); err != nil {
		return err
	}
	node.Attribute = slices.DeleteFunc(node.Attribute, func(a *onnxpb.AttributeProto) bool {
		return a.GetName() == "dilations"
	})
	return nil
}

func adaptGemm(node *onnxpb.NodeProto, weights map[string][]int64) error {
	if len(node.GetInput()) != 3 || node.GetInput()[2] == "" {
		return fmt.Errorf("a Gemm without a bias is not supported")
	}
	if dims, known := weights[node.GetInput()[2]]; !known || len(dims) != 1 {
		return fmt.Errorf(
			"the bias is no vector among the initializers; onnx-go would write its result into it")
	}
	return onlyInts(node, "transA", 0)
}

func onlyInts(node *onnxpb.NodeProto, name string, allowed ...int64) error {
	for _, v := range onnx.Integers(node, name) {
		if !slices.Contains(allowed, v) {
			return fmt.Errorf("%s = %v is not supported", name, onnx.Integers(node, name))
		}
	}
	return nil
}

func equalInts(node *onnxpb.NodeProto, name string) error {
	for _, v := range onnx.Integers(node, name) {
		if v != onnx.Integers(node, name)[0] {
			return fmt.Errorf("%s = %v is not supported, only equal ones", name, onnx.Integers(node, name))
		}
	}
	return nil
}

func onlyStrings(node *onnxpb.NodeProto, name string, allowed ...string) error {
	if a := onnx.Attribute(node, name); a != nil && !slices.Contains(allowed, string(a.GetS())) {
		return fmt.Errorf("%s = %s is not supported", name, a.GetS())
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
