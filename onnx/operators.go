package onnx

import (
	"fmt"

	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// minCheckedOpset is the oldest opset whose operators are checked: before 7,
// Gemm and Add broadcast by attributes of their own.
const minCheckedOpset = 7

// attributeKind is the type that an operator's attribute must have.
type attributeKind = onnxpb.AttributeProto_AttributeType

// operator is what the checker knows of one of ONNX's operators, in all its
// versions from opset 7 on.
type operator struct {
	minInputs, maxInputs   int // maxInputs is -1 where any number may be given
	minOutputs, maxOutputs int
	attributes             map[string]attributeKind
	required               []string // attributes that have no default
	// infer checks the values of attributes and the shapes of the inputs, and
	// returns the outputs, without names, as far as they are known.
	infer func(*call) ([]Value, error)
}

// call is one use of an operator.
type call struct {
	node   *onnxpb.NodeProto
	opset  int64
	inputs []Value // of the operator's maxInputs at least; those left out are empty
	names  *scope
}

// knownOperators are those whose attributes and shapes Check knows. Nodes of others are only held
// against the general rules.
func knownOperators() map[string]operator {
	const (
		number  = onnxpb.AttributeProto_FLOAT
		integer = onnxpb.AttributeProto_INT
		text    = onnxpb.AttributeProto_STRING
		list    = onnxpb.AttributeProto_INTS
	)
	type attributes = map[string]attributeKind
	window := func(more attributes) attributes {
		for name, kind := range (attributes{"auto_pad": text, "dilations": list, "kernel_shape": list,
			"pads": list, "strides": list}) {
			more[name] = kind
		}
		return more
	}
	elementwise := func(own attributes) operator {
		return operator{minInputs: 1, maxInputs: 1, minOutputs: 1, maxOutputs: 1, attributes: own,
			infer: inferSame}
	}
	arithmetic := operator{minInputs: 2, maxInputs: 2, minOutputs: 1, maxOutputs: 1,
		infer: inferBroadcast}
	return map[string]operator{
		"Conv": {minInputs: 2, maxInputs: 3, minOutputs: 1, maxOutputs: 1,
			attributes: window(attributes{"group": integer}), infer: inferConv},
		"MaxPool": {minInputs: 1, maxInputs: 1, minOutputs: 1, maxOutputs: 2,
			attributes: window(attributes{"ceil_mode": integer, "storage_order": integer}),
			required:   []string{"kernel_shape"}, infer: inferPool},
		"AveragePool": {minInputs: 1, maxInputs: 1, minOutputs: 1, maxOutputs: 1,
			attributes: window(attributes{"ceil_mode": integer, "count_include_pad": integer}),
			required:   []string{"kernel_shape"}, infer: inferPool},
		"GlobalAveragePool": {minInputs: 1, maxInputs: 1, minOutputs: 1, maxOutputs: 1,
			infer: inferGlobalPool},
		"GlobalMaxPool": {minInputs: 1, maxInputs: 1, minOutputs: 1, maxOutputs: 1,
			infer: inferGlobalPool},
		"Flatten": {minInputs: 1, maxInputs: 1, minOutputs: 1, maxOutputs: 1,
			attributes: attributes{"axis": integer}, infer: inferFlatten},
		"Gemm": {minInputs: 2, maxInputs: 3, minOutputs: 1, maxOutputs: 1,
			attributes: attributes{"alpha": number, "beta": number, "transA": integer, "transB": integer},
			infer:      inferGemm},
		"MatMul": {minInputs: 2, maxInputs: 2, minOutputs: 1, maxOutputs: 1, infer: inferMatMul},
		"Softmax": {minInputs: 1, maxInputs: 1, minOutputs: 1, maxOutputs: 1,
			attributes: attributes{"axis": integer}, infer: inferSoftmax},
		"LogSoftmax": {minInputs: 1, maxInputs: 1, minOutputs: 1, maxOutputs: 1,
			attributes: attributes{"axis": integer}, infer: inferSoftmax},
		"Add": arithmetic, "Sub": arithmetic, "Mul": arithmetic, "Div": arithmetic,
		"Relu": elementwise(nil), "Sigmoid": elementwise(nil), "Tanh": elementwise(nil),
		"Identity":        elementwise(nil),
		"LeakyRelu":       elementwise(attributes{"alpha": number}),
		"Elu":             elementwise(attributes{"alpha": number}),
		"HardSigmoid":     elementwise(attributes{"alpha": number, "beta": number}),
		"HardSwish":       elementwise(nil),
		"Selu":            elementwise(attributes{"alpha": number, "gamma": number}),
		"Celu":            elementwise(attributes{"alpha": number}),
		"ThresholdedRelu": elementwise(attributes{"alpha": number}), "Softsign": elementwise(nil),
		"Mish":     elementwise(nil),
		"Gelu":     elementwise(attributes{"approximate": text}),
		"Softplus": elementwise(nil), "Erf": elementwise(nil), "Exp": elementwise(nil),
		"Sqrt": elementwise(nil), "Neg": elementwise(nil),
		"Abs": elementwise(nil), "PRelu": arithmetic,
		"Pad": {minInputs: 1, maxInputs: 4, minOutputs: 1, maxOutputs: 1,
			attributes: attributes{"mode": text, "pads": list, "value": number}, infer: inferPad},
		"ReduceMean": {minInputs: 1, maxInputs: 2, minOutputs: 1, maxOutputs: 1,
			attributes: attributes{"axes": list, "keepdims": integer, "noop_with_empty_axes": integer},
			infer:      inferReduce},
		"InstanceNormalization": {minInputs: 3, maxInputs: 3, minOutputs: 1, maxOutputs: 1,
			attributes: attributes{"epsilon": number}, infer: inferSame},
		"Clip": {minInputs: 1, maxInputs: 3, minOutputs: 1, maxOutputs: 1,
			attributes: attributes{"min": number, "max": number}, infer: inferSame},
		"Dropout": {minInputs: 1, maxInputs: 3, minOutputs: 1, maxOutputs: 2,
			attributes: attributes{"ratio": number, "seed": integer}, infer: inferSame},
		"Cast": {minInputs: 1, maxInputs: 1, minOutputs: 1, maxOutputs: 1,
			attributes: attributes{"to": integer, "saturate": integer, "round_mode": text},
			required:   []string{"to"}, infer: inferCast},
		"QuantizeLinear": {minInputs: 2, maxInputs: 3, minOutputs: 1, maxOutputs: 1,
			attributes: attributes{"axis": integer, "saturate": integer, "block_size": integer,
				"output_dtype": integer, "precision": integer}, infer: inferQuantizeLinear},
		"DequantizeLinear": {minInputs: 2, maxInputs: 3, minOutputs: 1, maxOutputs: 1,
			attributes: attributes{"axis": integer, "block_size": integer, "output_dtype": integer},
			infer:      inferQuantizeLinear},
		"Reshape": {minInputs: 2, maxInputs: 2, minOutputs: 1, maxOutputs: 1,
			attributes: attributes{"allowzero": integer}, infer: inferReshape},
		"Transpose": {minInputs: 1, maxInputs: 1, minOutputs: 1, maxOutputs: 1,
			attributes: attributes{"perm": list}, infer: inferTranspose},
		"Concat": {minInputs: 1, maxInputs: -1, minOutputs: 1, maxOutputs: 1,
			attributes: attributes{"axis": integer}, required: []string{"axis"}, infer: inferConcat},
		"BatchNormalization": {minInputs: 5, maxInputs: 5, minOutputs: 1, maxOutputs: 5,
			attributes: attributes{"epsilon": number, "momentum": number, "spatial": integer,
				"training_mode": integer}, infer: inferBatchNormalization},
		"Constant": {minInputs: 0, maxInputs: 0, minOutputs: 1, maxOutputs: 1,
			attributes: attributes{"value": onnxpb.AttributeProto_TENSOR,
				"sparse_value": onnxpb.AttributeProto_SPARSE_TENSOR,
				"value_float":  number, "value_floats": onnxpb.AttributeProto_FLOATS, "value_int": integer,
				"value_ints":   list,
				"value_string": text, "value_strings": onnxpb.AttributeProto_STRINGS}, infer: inferConstant},
	}
}

// apply checks a node against its operator and infers its outputs.
func (o operator) apply(node *onnxpb.NodeProto, opset int64, names *scope) ([]Value, error) {
	inputs := node.GetInput()
	for len(inputs) > 0 && inputs[len(inputs)-1] == "" {
		inputs = inputs[:len(inputs)-1]
	}
	if len(inputs) < o.minInputs || o.maxInputs >= 0 && len(inputs) > o.maxInputs {
		return nil, fmt.Errorf("it has %d inputs; %s takes %s", len(inputs), node.GetOpType(),
			countRange(o.minInputs, o.maxInputs))
	}
	for i := range o.minInputs {
		if inputs[i] == "" {
			return nil, fmt.Errorf("its input %d is left out, but %s needs it", i, node.GetOpType())
		}
	}
	if outputs := len(node.GetOutput()); outputs < o.minOutputs || outputs > o.maxOutputs {
		return nil, fmt.Errorf("it has %d outputs; %s gives %s", outputs, node.GetOpType(),
			countRange(o.minOutputs, o.maxOutputs))
	}
	for _, attribute := range node.GetAttribute() {
		want, ok := o.attributes[attribute.GetName()]
		if !ok {
			return nil, fmt.Errorf("%s has no attribute %q", node.GetOpType(),
				message.Shorten(attribute.GetName()))
		}
		if attribute.GetType() != want {
			return nil, fmt.Errorf("the attribute %s is %v; it must be %v", attribute.GetName(),
				attribute.GetType(), want)
		}
	}
	for _, name := range o.required {
		if message.Attribute(node, name) == nil {
			return nil, fmt.Errorf("the attribute %s is missing; %s needs it", name, node.GetOpType())
		}
	}
	c := &call{node: node, opset: opset, names: names,
		inputs: make([]Value, max(o.maxInputs, len(inputs)))}
	for i, name := range inputs {
		if name != "" {
			c.inputs[i], _ = names.value(name)
		}
	}
	outputs, err := o.infer(c)
	if err != nil {
		return nil, err
	}
	for _, output := range outputs {
		if err := checkInferred(output); err != nil {
			return nil, err
		}
	}
	return outputs, nil
}

// maxInferred bounds the elements of a value that a node computes, so that a
// file of a kilobyte cannot make a runtime ask for more memory than a machine has.
const maxInferred = 1 << 31

func checkInferred(value Value) error {
	elements := int64(1)
	for _, dim := range value.Dims {
		switch {
		case !dim.Known() || dim.Size == 0:
		case dim.Size > maxInferred/elements:
			return fmt.Errorf("its output %v would hold more than 2^31 elements", value)
		default:
			elements *= dim.Size
		}
	}
	return nil
}

func countRange(least, most int) string {
	switch {
	case most < 0:
		return fmt.Sprintf("%d or more", least)
	case least == most:
		return fmt.Sprint(least)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

// integer returns the value of an integer attribute.
func (c *call) integer(name string, otherwise int64) int64 {
	return message.Integer(c.node, name, otherwise)
}

// flag returns the value of an attribute that may be 0 or 1.
func (c *call) flag(name string) (bool, error) { return message.Flag(c.node, name) }

// axis returns an axis of rank dimensions, counted from the end if negative.
func (c *call) axis(otherwise int64, rank, last int) (int, error) {
	return message.Axis(c.node, otherwise, rank, last)
}

func (c *call) present(input int) bool {
	return input < len(c.node.GetInput()) && c.node.GetInput()[input] != ""
}

// requireSameType verifies that inputs that are known have one element type.
func (c *call) requireSameType() error {
	first := onnxpb.TensorProto_UNDEFINED
	for i, input := range c.inputs {
		switch {
		case input.Type == onnxpb.TensorProto_UNDEFINED:
		case first == onnxpb.TensorProto_UNDEFINED:
			first = input.Type
		case input.Type != first:
			return fmt.Errorf("its input %d is of %s, but one before it of %s; they must be the same", i,
				message.TypeName(input.Type), message.TypeName(first))
		}
	}
	return nil
}
