package native

import (
	"fmt"
	"slices"

	"slipway/onnx/onnxpb"
)

// kind is the type that an attribute must have.
type kind = onnxpb.AttributeProto_AttributeType

const (
	integerKind = onnxpb.AttributeProto_INT
	numberKind  = onnxpb.AttributeProto_FLOAT
	textKind    = onnxpb.AttributeProto_STRING
	listKind    = onnxpb.AttributeProto_INTS
)

type attributes = map[string]kind

// operator is one of ONNX's operators.
type operator struct {
	// since is the oldest opset whose definition is implemented; makers tell later
	// ones apart.
	since                int64
	minInputs, maxInputs int // maxInputs is -1 where any number may be given
	attributes           attributes
	make                 func(*node) (operation, error)
}

// check holds a node against what the operator takes.
func (o operator) check(proto *onnxpb.NodeProto) error {
	inputs := len(proto.GetInput())
	if inputs < o.minInputs || o.maxInputs >= 0 && inputs > o.maxInputs {
		return fmt.Errorf("it has %d inputs, which is not supported", inputs)
	}
	for i := range o.minInputs {
		if proto.GetInput()[i] == "" {
			return fmt.Errorf("its input %d is left out", i)
		}
	}
	for _, a := range proto.GetAttribute() {
		want, ok := o.attributes[a.GetName()]
		if !ok {
			return fmt.Errorf("attribute %s is not supported", shorten(a.GetName()))
		}
		if a.GetType() != want {
			return fmt.Errorf("attribute %s is %v; it must be %v", a.GetName(), a.GetType(), want)
		}
	}
	return nil
}

// Operators returns the names of the operators that are implemented, sorted.
func Operators() []string {
	var names []string
	for name := range operators() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func operators() map[string]operator {
	all := map[string]operator{
		"Conv": {1, 2, 3, windowAttributes("group"), makeConv},
		"MaxPool": {1, 1, 1, windowAttributes("ceil_mode", "storage_order"),
			makeMaxPool},
		"AveragePool": {1, 1, 1, windowAttributes("ceil_mode", "count_include_pad"),
			makeAveragePool},
		"GlobalAveragePool": {1, 1, 1, nil, makeGlobalPool(false)},
		"GlobalMaxPool":     {1, 1, 1, nil, makeGlobalPool(true)},
		"Gemm": {7, 2, 3, attributes{"alpha": numberKind, "beta": numberKind,
			"transA": integerKind, "transB": integerKind}, makeGemm},
		"MatMul": {1, 2, 2, nil, makeMatMul},
		"BatchNormalization": {7, 5, 5, attributes{"epsilon": numberKind, "momentum": numberKind,
			"spatial": integerKind, "training_mode": integerKind}, makeBatchNormalization},
		"InstanceNormalization": {6, 3, 3, attributes{"epsilon": numberKind}, makeInstanceNormalization},

		"Softmax":    {1, 1, 1, attributes{"axis": integerKind}, makeSoftmax(false)},
		"LogSoftmax": {1, 1, 1, attributes{"axis": integerKind}, makeSoftmax(true)},
		"ArgMax": {1, 1, 1, attributes{"axis": integerKind, "keepdims": integerKind,
			"select_last_index": integerKind}, makeArg(true)},
		"ArgMin": {1, 1, 1, attributes{"axis": integerKind, "keepdims": integerKind,
			"select_last_index": integerKind}, makeArg(false)},

		"Identity": {1, 1, 1, nil, makeIdentity},
		"Dropout":  {7, 1, 3, attributes{"ratio": numberKind, "seed": integerKind}, makeDropout},
		"Cast": {6, 1, 1, attributes{"to": integerKind, "saturate": integerKind,
			"round_mode": textKind}, makeCast},
		"QuantizeLinear": {10, 2, 3, attributes{"axis": integerKind, "saturate": integerKind,
			"block_size": integerKind, "output_dtype": integerKind, "precision": integerKind},
			makeQuantizeLinear},
		"DequantizeLinear": {10, 2, 3, attributes{"axis": integerKind, "block_size": integerKind,
			"output_dtype": integerKind}, makeDequantizeLinear},
		"Constant": {1, 0, 0, attributes{"value": onnxpb.AttributeProto_TENSOR, "value_float": numberKind,
			"value_floats": onnxpb.AttributeProto_FLOATS, "value_int": integerKind, "value_ints": listKind},
			makeConstant},
		"ConstantOfShape": {9, 1, 1, attributes{"value": onnxpb.AttributeProto_TENSOR},
			makeConstantOfShape},
		"Shape":     {1, 1, 1, attributes{"start": integerKind, "end": integerKind}, makeShape},
		"Size":      {1, 1, 1, nil, makeSize},
		"Reshape":   {5, 2, 2, attributes{"allowzero": integerKind}, makeReshape},
		"Flatten":   {1, 1, 1, attributes{"axis": integerKind}, makeFlatten},
		"Squeeze":   {1, 1, 2, attributes{"axes": listKind}, makeSqueeze},
		"Unsqueeze": {1, 1, 2, attributes{"axes": listKind}, makeUnsqueeze},
		"Transpose": {1, 1, 1, attributes{"perm": listKind}, makeTranspose},
		"Concat":    {4, 1, -1, attributes{"axis": integerKind}, makeConcat},
		"Slice": {1, 1, 5, attributes{"starts": listKind, "ends": listKind, "axes": listKind},
			makeSlice},
		"Gather": {1, 2, 2, attributes{"axis": integerKind}, makeGather},
		"Pad": {2, 1, 4, attributes{"mode": textKind, "pads": listKind, "value": numberKind},
			makePad},
		"Expand": {8, 2, 2, nil, makeExpand},
		"Where":  {9, 3, 3, nil, makeWhere},
		"Not":    {1, 1, 1, nil, makeNot},
		"Clip":   {6, 1, 3, attributes{"min": numberKind, "max": numberKind}, makeClip},
		"Relu":   {6, 1, 1, nil, makeRelu},
	}
	for name, o := range reductions() {
		all[name] = o
	}
	for name, o := range unaryOperators() {
		all[name] = o
	}
	for name, o := range binaryOperators() {
		all[name] = o
	}
	return all
}

func windowAttributes(more ...string) attributes {
	a := attributes{"auto_pad": textKind, "dilations": listKind, "kernel_shape": listKind,
		"pads": listKind, "strides": listKind}
	for _, name := range more {
		a[name] = integerKind
	}
	return a
}
