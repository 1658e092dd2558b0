package convert

import (
	"fmt"
	"slices"

	"slipway/builder"
	"slipway/onnx"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// data returns an input that is computed of the model's input, as a view of an item
// or of the network's input. image says that the node takes a C×H×W map.
func (r *raising) data(node *onnxpb.NodeProto, i int, image bool) (view, error) {
	v, err := r.unsettled(node, i)
	if err != nil {
		return view{}, err
	}
	return r.settled(v, image)
}

// unsettled is data for nodes that only look at it in another way.
func (r *raising) unsettled(node *onnxpb.NodeProto, i int) (view, error) {
	name := message.Input(node, i)
	value := r.values[name].view
	if value == nil {
		return view{}, fmt.Errorf("its input %d, %q, is a constant; a network's layers take what "+
			"is computed of its input",
			i, message.Shorten(name))
	}
	return *value, nil
}

// constantInput returns an input that must be a constant of float32.
func (r *raising) constantInput(node *onnxpb.NodeProto, i int) (*array, error) {
	name := message.Input(node, i)
	switch constant, err := r.lookupConstant(name); {
	case err != nil:
		return nil, err
	case constant != nil && len(constant.data) == 0:
		return nil, fmt.Errorf("its input %d, %q, holds no values", i, message.Shorten(name))
	case constant != nil:
		return constant, nil
	}
	return nil, fmt.Errorf("its input %d, %q, is computed from the model's input; it must be a "+
		"constant of float32",
		i, message.Shorten(name))
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
	data, err := onnx.Floats(tensor)
	if err != nil {
		return nil, err
	}
	constant := &array{name: tensor.GetName(), rank: len(tensor.GetDims()), data: data,
		dims: make([]int, len(tensor.GetDims()))}
	for i, dim := range tensor.GetDims() {
		constant.dims[i] = int(dim)
	}
	return constant, nil
}

// settled turns a view of the model's input into one of the network's. The first
// layer that comes decides what that is: how it is a C×H×W image or a vector.
func (r *raising) settled(v view, image bool) (view, error) {
	if !v.raw {
		return v, nil
	}
	if r.input == nil {
		if err := r.decide(v, image); err != nil {
			return view{}, err
		}
	}
	return r.fromRaw(v)
}

func (r *raising) decide(v view, image bool) error {
	raw, sizes := r.raw, v.sizes()
	input := builder.Shape(slices.Clone(raw))
	last := false
	switch {
	case len(raw) == 3 && slices.Equal(sizes, []int{raw[2], raw[0], raw[1]}) &&
		sameOrder(v.walks(), plainView(inputPlace, raw).transposed([]int{2, 0, 1}).walks()) &&
		!v.isPlain():
		// The model transposes N×H×W×C itself.
		input, last = sizes, true
	case image && !v.isPlain():
		return fmt.Errorf("the model's input %v comes to it rearranged in another way than from "+
			"N×H×W×C to N×C×H×W",
			builder.Shape(raw))
	case v.isPlain() && (image || len(sizes) == 3 && !slices.Equal(sizes, raw)):
		input = sizes
	case len(raw) == 2:
		input = builder.Shape{1, raw[0], raw[1]}
	case len(raw) == 3 && !r.own && raw[2] <= 3 && raw[0] > 3:
		// Nothing tells which axis the channels are; one to three at the end,
		// and more rows than that, are N×H×W×C.
		input, last = builder.Shape{raw[2], raw[0], raw[1]}, true
	}
	if len(input) != 1 && len(input) != 3 {
		return fmt.Errorf("it takes %v for each image; C×H×W or a vector is needed",
			builder.Shape(sizes))
	}
	r.input, r.rawLast = input, last
	return nil
}

// fromRaw rewrites the walks over an image H×W×C as walks over C×H×W.
func (r *raising) fromRaw(v view) (view, error) {
	v.raw = false
	if !r.rawLast {
		return v, nil
	}
	channels, width := r.raw[2], r.raw[1]
	inner := []int{1, channels, width * channels} // of C, W and H
	outer := []int{r.input[1] * r.input[2], 1, width}
	dims := make([]axis, len(v.dims))
	for i, dim := range v.dims {
		for _, w := range dim {
			var parts axis
			for k := 2; k >= 0 && w.n > 1; k-- {
				if w.stride*w.n <= inner[k] {
					continue
				}
				// The part of the walk that goes along this dimension, the slowest first.
				n, stride := w.n, w.stride
				if stride < inner[k] {
					if inner[k]%stride != 0 || n%(inner[k]/stride) != 0 {
						return view{}, fmt.Errorf("the model's input %v comes to it cut across "+
							"its dimensions",
							builder.Shape(r.raw))
					}
					n, stride = n/(inner[k]/stride), inner[k]
				}
				if stride%inner[k] != 0 {
					return view{}, fmt.Errorf("the model's input %v comes to it cut across its "+
						"dimensions",
						builder.Shape(r.raw))
				}
				parts = append(parts, walk{n, stride / inner[k] * outer[k]})
				w.n /= n
			}
			dims[i] = append(dims[i], parts...)
		}
	}
	v.dims = dims
	return v, nil
}

// image returns input 0, which must be a C×H×W map in the builder's order.
func (r *raising) image(node *onnxpb.NodeProto) (int, builder.Shape, error) {
	fail := func(err error) (int, builder.Shape, error) { return 0, nil, err }
	v, err := r.unsettled(node, 0)
	if err != nil {
		return fail(err)
	}
	sizes := builder.Shape(v.sizes())
	if len(sizes) != 3 {
		return fail(fmt.Errorf("its input 0 is %v for each image; C×H×W is needed", sizes))
	}
	if v, err = r.settled(v, true); err != nil {
		return fail(err)
	}
	shape := r.shapeOf(v.of)
	if len(shape) == 1 && sizes[1]*sizes[2] == 1 && v.isPlain() {
		// A vector as a map of one pixel, as of the fully connected kind of squeeze-and-excitation.
		if place, ok, err := r.unflattened(v.of); ok || err != nil {
			return place, sizes, err
		}
	}
	if !v.is(shape) {
		return fail(fmt.Errorf("its input 0, %v for each image, is %v of the layer before "+
			"rearranged; a network cannot rearrange a map",
			sizes, shape))
	}
	return v.of, shape, nil
}

func (r *raising) identity(node *onnxpb.NodeProto) (operand, error) {
	return r.values[message.Input(node, 0)], nil
}

// cast is the identity: data is float32 once it is in a network, and shapes are
// integers of any width.
func (r *raising) cast(node *onnxpb.NodeProto) (operand, error) {
	to := onnxpb.TensorProto_DataType(r.call(node).integer("to", 0))
	value := r.values[message.Input(node, 0)]
	integer := to == onnxpb.TensorProto_INT64 || to == onnxpb.TensorProto_INT32
	if tensor := value.tensor; tensor != nil {
		if from := onnxpb.TensorProto_DataType(tensor.GetDataType()); from == to {
			return value, nil
		}
		elements, err := integersOf(tensor)
		if err != nil || !integer {
			return operand{}, fmt.Errorf("to is %s, of a constant of %s; the network's weights "+
				"are float32",
				message.TypeName(to), message.TypeName(onnxpb.TensorProto_DataType(tensor.GetDataType())))
		}
		return operand{sizes: elements}, nil
	}
	if value.sizes != nil && !integer || value.sizes == nil && to != onnxpb.TensorProto_FLOAT {
		return operand{}, fmt.Errorf("to is %s; a network computes in float32", message.TypeName(to))
	}
	return value, nil
}

func (r *raising) constant(node *onnxpb.NodeProto) (operand, error) {
	if len(node.GetAttribute()) != 1 {
		return operand{}, fmt.Errorf("it has %d attributes; a constant is one",
			len(node.GetAttribute()))
	}
	attribute := node.GetAttribute()[0]
	switch attribute.GetName() {
	case "value":
		return operand{tensor: attribute.GetT()}, nil
	case "value_float":
		return operand{array: &array{data: []float32{attribute.GetF()}}}, nil
	case "value_floats":
		return operand{array: &array{dims: []int{len(attribute.GetFloats())},
			data: attribute.GetFloats()}}, nil
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
