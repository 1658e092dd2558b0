package onnx

import (
	"fmt"
	"slices"

	"slipway/builder"
	"slipway/onnx/onnxpb"
)

// call is the node as the checker sees it, for its attributes.
func (r *raising) call(node *onnxpb.NodeProto) *call { return &call{node: node, opset: r.opset} }

// inputOf returns the name of an input, empty if it is left out.
func inputOf(node *onnxpb.NodeProto, i int) string {
	if i >= len(node.GetInput()) {
		return ""
	}
	return node.GetInput()[i]
}

// flowing returns an input that must be the end of the chain of layers.
func (r *raising) flowing(node *onnxpb.NodeProto, i int) (*flow, error) {
	name := inputOf(node, i)
	value := r.values[name]
	if value.flow == nil {
		return nil, fmt.Errorf("its input %d, %q, is a constant; a network's layers take what the layer before them gives", i, shorten(name))
	}
	if value.flow.stage != r.stage {
		return nil, fmt.Errorf("its input %d, %q, is taken by another layer too: the graph branches, and a network is one chain of layers", i, shorten(name))
	}
	return value.flow, nil
}

// constantInput returns an input that must be a constant of float32.
func (r *raising) constantInput(node *onnxpb.NodeProto, i int) (*array, error) {
	name := inputOf(node, i)
	switch constant, err := r.lookupConstant(name); {
	case err != nil:
		return nil, err
	case constant != nil && len(constant.data) == 0:
		return nil, fmt.Errorf("its input %d, %q, holds no values", i, shorten(name))
	case constant != nil:
		return constant, nil
	}
	return nil, fmt.Errorf("its input %d, %q, is computed from the model's input; it must be a constant of float32", i, shorten(name))
}

// lookupConstant returns nil where the value is no constant of float32.
func (r *raising) lookupConstant(name string) (*array, error) {
	value := r.values[name]
	if value.tensor == nil {
		return value.array, nil
	}
	return arrayOf(value.tensor)
}

// arrayOf reads a tensor of float32.
func arrayOf(tensor *onnxpb.TensorProto) (*array, error) {
	data, err := Floats(tensor)
	if err != nil {
		return nil, err
	}
	constant := &array{data: data, dims: make([]int, len(tensor.GetDims()))}
	for i, dim := range tensor.GetDims() {
		constant.dims[i] = int(dim)
	}
	return constant, nil
}

// start decides on the network's input when the first layer comes: how the
// model's input, which the view is of, is a C×H×W image or a vector. It returns
// the view of that.
func (r *raising) start(view *flow, image bool) (*flow, error) {
	if r.input != nil {
		return view, nil
	}
	raw, started := r.raw, *view
	switch {
	case len(raw) == 3 && view.order != nil && slices.Equal(view.dims, []int{raw[2], raw[0], raw[1]}) &&
		slices.Equal(view.order, permuted(raw, []int{2, 0, 1})):
		// The model transposes N×H×W×C itself.
		r.input, started.order = slices.Clone(view.dims), nil
	case image && view.order != nil:
		return nil, fmt.Errorf("the model's input %v comes to it rearranged in another way than from N×H×W×C to N×C×H×W", builder.Shape(raw))
	case view.order == nil && (image || len(raw) == 1 || len(view.dims) == 3 && !slices.Equal(view.dims, raw)):
		r.input = slices.Clone(view.dims)
	case len(raw) == 2:
		r.input = builder.Shape{1, raw[0], raw[1]}
	case len(raw) == 3 && !r.own && raw[2] <= 3 && raw[0] > 3:
		// Nothing tells which axis the channels are; one to three at the end,
		// and more rows than that, are N×H×W×C.
		r.input = builder.Shape{raw[2], raw[0], raw[1]}
		started.order = permuted(r.input, []int{1, 2, 0})
		if view.order != nil {
			started.order = compose(started.order, view.order)
		}
		started.order = orNil(started.order)
	default:
		r.input = slices.Clone(raw)
	}
	if len(r.input) != 1 && len(r.input) != 3 {
		return nil, fmt.Errorf("it takes %v for each image; C×H×W or a vector is needed", builder.Shape(view.dims))
	}
	r.shape = r.input
	return &started, nil
}

// image verifies that input 0 is a C×H×W map in the builder's order.
func (r *raising) image(node *onnxpb.NodeProto) error {
	view, err := r.flowing(node, 0)
	if err != nil {
		return err
	}
	if len(view.dims) != 3 {
		return fmt.Errorf("its input 0 is %v for each image; C×H×W is needed", builder.Shape(view.dims))
	}
	if view, err = r.start(view, true); err != nil {
		return err
	}
	if view.order != nil || !slices.Equal(view.dims, r.shape) {
		return fmt.Errorf("its input 0, %v for each image, is the output %v of the layer before rearranged; a network cannot rearrange a map", builder.Shape(view.dims), r.shape)
	}
	return nil
}

// permuted returns, for an array of those dimensions whose axes are permuted as
// ONNX's Transpose does, where each of the result's elements was before.
func permuted(dims, perm []int) []int32 {
	strides := make([]int, len(dims))
	stride := 1
	for i := len(dims) - 1; i >= 0; i-- {
		strides[i] = stride
		stride *= dims[i]
	}
	order := make([]int32, 0, stride)
	at := make([]int, len(dims))
	for range stride {
		from := 0
		for i, axis := range perm {
			from += at[i] * strides[axis]
		}
		order = append(order, int32(from))
		for i := len(perm) - 1; i >= 0; i-- {
			if at[i]++; at[i] < dims[perm[i]] {
				break
			}
			at[i] = 0
		}
	}
	return order
}

// compose returns the order of an array rearranged by first and then by second.
func compose(first, second []int32) []int32 {
	both := make([]int32, len(second))
	for i, from := range second {
		both[i] = first[from]
	}
	return both
}

// orNil returns nil for an order that changes nothing.
func orNil(order []int32) []int32 {
	for i, from := range order {
		if int(from) != i {
			return order
		}
	}
	return nil
}

func (r *raising) identity(node *onnxpb.NodeProto) (operand, error) {
	return r.values[inputOf(node, 0)], nil
}

// cast is the identity: data is float32 once it is in a network, and shapes are
// integers of any width.
func (r *raising) cast(node *onnxpb.NodeProto) (operand, error) {
	to := onnxpb.TensorProto_DataType(r.call(node).integer("to", 0))
	value := r.values[inputOf(node, 0)]
	integer := to == onnxpb.TensorProto_INT64 || to == onnxpb.TensorProto_INT32
	if tensor := value.tensor; tensor != nil {
		if from := onnxpb.TensorProto_DataType(tensor.GetDataType()); from == to {
			return value, nil
		}
		elements, err := integersOf(tensor)
		if err != nil || !integer {
			return operand{}, fmt.Errorf("to is %s, of a constant of %s; the network's weights are float32", typeName(to), typeName(onnxpb.TensorProto_DataType(tensor.GetDataType())))
		}
		return operand{sizes: elements}, nil
	}
	if value.sizes != nil && !integer || value.sizes == nil && to != onnxpb.TensorProto_FLOAT {
		return operand{}, fmt.Errorf("to is %s; a network computes in float32", typeName(to))
	}
	return value, nil
}

func (r *raising) constant(node *onnxpb.NodeProto) (operand, error) {
	attribute := node.GetAttribute()[0]
	switch attribute.GetName() {
	case "value":
		return operand{tensor: attribute.GetT()}, nil
	case "value_float":
		return operand{array: &array{data: []float32{attribute.GetF()}}}, nil
	case "value_floats":
		return operand{array: &array{dims: []int{len(attribute.GetFloats())}, data: attribute.GetFloats()}}, nil
	case "value_int":
		return operand{sizes: &sizes{values: []size{{n: attribute.GetI()}}, scalar: true}}, nil
	case "value_ints":
		list := &sizes{}
		for _, n := range attribute.GetInts() {
			list.values = append(list.values, size{n: n})
		}
		return operand{sizes: list}, nil
	}
	return operand{}, fmt.Errorf("it has %s; a network computes with float32", attribute.GetName())
}

// number returns the value of a float attribute.
func (c *call) number(name string, otherwise float32) float32 {
	if attribute := findAttribute(c.node, name); attribute != nil {
		return attribute.GetF()
	}
	return otherwise
}
